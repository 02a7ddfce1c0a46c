"""A task that keeps everything, and one for each fault."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from kexue_bench import task
from kexue_bench.lab import Sampling

if TYPE_CHECKING:
    from kexue_bench.lab import Context

_calls = itertools.count()


@task("numbers", "the mean of some numbers", version=1, suites={"quick": ("numbers",)}, budgets={"quick": 4096})
@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The mean of 0, 1, ..., k - 1, which is (k - 1) / 2."""

    k: int = 5

    def problem(self, method: Any, ctx: Context) -> Sampling:
        """Draws of a method."""
        x = torch.arange(self.k, dtype=ctx.dtype)
        return Sampling(draw=lambda noise, n: method.draw(x, noise, n), truth=x.double().mean(), batch=64, inputs=(x,))


@task("fickle", "another truth each time", version=1)
@dataclass(frozen=True, kw_only=True)
class Fickle(Numbers):
    """The mean of 0, 1, ..., k - 1, where k grows."""

    def problem(self, method: Any, ctx: Context) -> Sampling:
        """Draws of a method."""
        return Numbers(k=5 + next(_calls)).problem(method, ctx)


@task("empty", "lacks the function of its kind", version=1)
@dataclass(frozen=True, kw_only=True)
class Empty:
    k: int = 5


@task("failing", "fails", version=1)
@dataclass(frozen=True, kw_only=True)
class Failing(Numbers):
    """Raises."""

    def problem(self, method: Any, ctx: Context) -> Sampling:
        """An error."""
        raise RuntimeError("no truth today")
