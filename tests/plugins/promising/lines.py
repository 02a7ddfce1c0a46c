"""Trainings: a task that fits lines, a method that is honest, and one for each promise that can be broken."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from kexue_bench.api import Evidence
from kexue_bench.lab import Training
from kexue_bench.lab.training import adam

if TYPE_CHECKING:
    from kexue_bench.lab import Context, Measure, Noise

_calls = itertools.count()


class Method(Protocol):
    """What the family asks of a method."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """The loss of errors `[R, n]`: `[R]`, or their sum `[]`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Line:
    """Predict the last feature of iris flowers from the others.

    Args:
        features: how many are used, 1 .. 3.
        steps: of a training.
    """

    features: int = 2
    steps: int = 100

    def build(self, method: Any, ctx: Context) -> Training:
        """A linear map for each replicate; batches are views of the shared data."""
        data, replicates = ctx.data("iris")["inputs"], len(ctx.replicates)
        model = nn.Module()
        start = ctx.noise("init", stack=0).normal(replicates, min(self.features, 3))
        model.weight = nn.Parameter(start.clone())

        def loss(batch: Tensor, state: None, noise: Noise) -> tuple[Tensor, None]:
            inputs = batch[:, : start.shape[1]].to(ctx.dtype)
            error = model.weight @ inputs.mT - batch[:, -1].to(ctx.dtype)
            return method.loss(error, batch, noise), state

        return Training(
            model=model,
            batches=lambda step: data[8 * (step % 16) : 8 * (step % 16) + 8],
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, lr=0.01),
            noise=ctx.noise("noise", stack=0),
            replicates=replicates,
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """The size of the weights."""
        return lambda: {"error": training.model.weight.square().sum(1)}


def descends(training: Training, method: object, ctx: Context) -> Evidence:
    """Whether the loss of the tenth step is below that of the first."""
    losses = []
    for _ in range(10):
        training.step()
        losses.append(float(training.last_loss.sum()))
    return Evidence(claim="descends", metric="violation", value=float(not losses[-1] < losses[0]), note="the loss")


@dataclass(frozen=True, kw_only=True)
class Honest:
    """Mean square, with noise of its own stream."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[R]`."""
        return (error + 1e-3 * noise.normal(len(error), 1)).square().mean(1)


@dataclass(frozen=True, kw_only=True)
class Forgetful(Honest):
    """Never the same twice."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[R]`."""
        return super().loss(error, batch, noise) * (1 + 1e-6 * next(_calls))


@dataclass(frozen=True, kw_only=True)
class Global(Honest):
    """Draws from torch's global generator."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[R]`."""
        return super().loss(error + 1e-3 * torch.randn(error.shape[1]), batch, noise)


@dataclass(frozen=True, kw_only=True)
class Seeding(Honest):
    """Seeds the global generators."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[R]`."""
        torch.manual_seed(0)
        return super().loss(error, batch, noise)


@dataclass(frozen=True, kw_only=True)
class Writing(Honest):
    """Writes to its batch, which is a view of the shared data."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[R]`."""
        batch[0, 0] += 1e-9
        return super().loss(error, batch, noise)


@dataclass(frozen=True, kw_only=True)
class Careless(Honest):
    """Leaves another default dtype behind."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[R]`."""
        torch.set_default_dtype(torch.float64)
        return super().loss(error, batch, noise)


@dataclass(frozen=True, kw_only=True)
class Exploding(Honest):
    """A loss that is not a number."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[R]`."""
        return super().loss(error, batch, noise) * math.nan


@dataclass(frozen=True, kw_only=True)
class Averaging(Honest):
    """Averages the losses of the replicates, which then get smaller gradients in a stack."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[]`."""
        return super().loss(error, batch, noise).mean()


@dataclass(frozen=True, kw_only=True)
class Climbing(Honest):
    """Goes the wrong way."""

    def loss(self, error: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """`[R]`, with its gradient turned round."""
        value = super().loss(error, batch, noise)
        return 2 * value.detach() - value
