"""Methods and tasks whose best settings are known; workers import them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from kexue_bench.lab.problems import Sampling, Workload


@dataclass(frozen=True, kw_only=True)
class Shifted:
    """Quadratics in its field and in the learning rate, best at `best` and 0.1."""

    width: float = 1.0
    best: float = 4.0

    def loss(self, lr):
        return math.log(self.width / self.best) ** 2 + math.log(lr / 0.1) ** 2


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Nothing of its own to turn; best at lr = 0.1."""

    def loss(self, lr):
        return (math.log(lr / 0.1)) ** 2


@dataclass(frozen=True, kw_only=True)
class Breaks:
    """Raises on part of its grid."""

    width: float = 1.0

    def loss(self, lr):
        if self.width > 1:
            raise ValueError("too wide")
        return self.width


@dataclass(frozen=True, kw_only=True)
class Dies(Breaks):
    """Raises everywhere."""

    width: float = 1.0

    def loss(self, lr):
        raise RuntimeError("no width fits")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Minus the method's loss, with a number of each stream seen."""

    lr: float = 0.01

    def score(self, method, ctx):
        ctx.noise("init").uniform(1)
        return -method.loss(self.lr)

    def evaluate(self, method, ctx):
        ctx.record("loss", method.loss(self.lr) + float(ctx.noise("noise").uniform(1)) * 1e-9)

    def workload(self, method, ctx):
        return Workload(call=lambda: None)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A draw N(1, 1) times `scale`: mse = scale^2 + (scale - 1)^2, at its smallest at scale = 1/2."""

    scale: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The mean of a Gaussian, truth 1."""

    def problem(self, method, ctx):
        def draw(noise, n):
            ctx.counter.add(evaluations=n)
            return method.scale * (1 + noise.normal(n, 1))

        return Sampling(draw=draw, truth=torch.ones(1, dtype=torch.float64), batch=64)
