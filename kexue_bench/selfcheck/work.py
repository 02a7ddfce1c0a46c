"""The methods and tasks of `doctor`; imported by workers."""

from __future__ import annotations

import hashlib
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from ..lab.problems import Sampling, Workload

if TYPE_CHECKING:
    from torch import Tensor

    from ..lab.context import Context
    from ..lab.noise import Noise

_BLOCK = bytes(2**18)
_BATCH = 64
_TRUTH = 1.0
_APART = 2**40
"""Larger than the number of any batch: first stream of the identical methods."""


class Method(Protocol):
    """Draws numbers whose mean should be 1, and does a piece of work."""

    def draw(self, noise: Noise, n: int) -> Tensor:
        """Return n draws, `[n]`."""
        ...

    def work(self) -> object:
        """Do the work that is timed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Spin:
    """Normal draws of mean and variance 1; its work is to hash a fixed block `times` times.

    Args:
        times: how often the work is done.
        copy: distinguishes identical methods: another stream of the same distribution, the same work.
    """

    times: int = 1
    copy: int = 0

    def draw(self, noise: Noise, n: int) -> Tensor:
        """See `Method.draw`."""
        return _TRUTH + noise.at(_APART + self.copy).normal(n)

    def work(self) -> None:
        """See `Method.work`."""
        for _ in range(self.times):
            hashlib.sha256(_BLOCK).digest()


@dataclass(frozen=True, kw_only=True)
class Null:
    """Returns 0, so that its mse is exactly 1."""

    def draw(self, noise: Noise, n: int) -> Tensor:
        """See `Method.draw`."""
        return torch.zeros(n, dtype=noise.dtype, device=noise.device)

    def work(self) -> None:
        """Do nothing: the cost of a call."""


@dataclass(frozen=True, kw_only=True)
class Oracle:
    """Returns the truth."""

    def draw(self, noise: Noise, n: int) -> Tensor:
        """See `Method.draw`."""
        return torch.full((n,), _TRUTH, dtype=noise.dtype, device=noise.device)

    def work(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """Bias, variance and mse of a method's draws, whose mean should be 1, and the time of its work."""

    def subject(self, method: Method, ctx: Context) -> Method:
        """The method itself is measured."""
        return method

    def evaluate(self, method: Method, ctx: Context) -> None:
        """Estimate, and record the clock step in this process."""
        truth = torch.tensor(_TRUTH, dtype=torch.float64)
        found = ctx.estimate(Sampling(draw=method.draw, truth=truth, batch=_BATCH))
        ctx.add(found.measurements(("bias", "variance", "mse")))
        ctx.record("clock-step", _clock_step(), unit="s")

    def workload(self, method: Method, ctx: Context) -> Workload:
        """The work, without draws."""
        return Workload(call=method.work)


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """A case without work.

    Args:
        index: distinguishes cases.
    """

    index: int = 0

    def evaluate(self, method: Method, ctx: Context) -> None:
        """Record the index."""
        ctx.record("score", float(self.index))

    def workload(self, method: Method, ctx: Context) -> Workload:
        """The method's work."""
        return Workload(call=method.work)


def _clock_step() -> float:
    """Smallest step between two readings of the timing clock, in seconds."""
    readings = [time.perf_counter_ns() for _ in range(2000)]
    return min(b - a for a, b in itertools.pairwise(readings) if b > a) / 1e9
