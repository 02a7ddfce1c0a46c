"""Subjects: a task that measures a function, a method that is honest, and one for each promise that can be broken."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from kexue_bench.api import Evidence

if TYPE_CHECKING:
    from kexue_bench.lab import Context

_calls = itertools.count()
Function = Callable[[Tensor], Tensor]


class Method(Protocol):
    """What the family asks of a method."""

    def value(self, x: Tensor) -> Tensor:
        """The wave at x."""
        ...


@dataclass(frozen=True, kw_only=True)
class Wave:
    """How far a method is from a sine at random places.

    Args:
        places: how many.
    """

    places: int = 64

    def subject(self, method: Any, ctx: Context) -> Function:
        """The function that is measured."""
        return method.value

    def evaluate(self, subject: Function, ctx: Context) -> str:
        """Record the largest error."""
        x = ctx.noise("data").normal(self.places)
        error = (subject(x) - x.sin()).abs()
        ctx.record("error", float(error.max()))
        ctx.detail("errors", error)
        return "exact"


def odd(subject: Function, method: object, ctx: Context) -> Evidence:
    """Whether f(-x) = -f(x)."""
    x = ctx.noise("measure").normal(32)
    gap = float((subject(x) + subject(-x)).abs().max().nan_to_num(nan=1.0))
    return Evidence(claim="odd", metric="violation", value=gap, tolerance=1e-2, note="f(x) + f(-x)")


@dataclass(frozen=True, kw_only=True)
class Sine:
    """The truth."""

    def value(self, x: Tensor) -> Tensor:
        """Sin x."""
        return x.sin()


@dataclass(frozen=True, kw_only=True)
class Counting(Sine):
    """Never the same twice."""

    def value(self, x: Tensor) -> Tensor:
        """Nearly sin x."""
        return super().value(x) * (1 + 1e-6 * next(_calls))


@dataclass(frozen=True, kw_only=True)
class Global(Sine):
    """Draws from Python's global generator."""

    def value(self, x: Tensor) -> Tensor:
        """Nearly sin x."""
        return super().value(x) * (1 + 1e-3 * random.random())


@dataclass(frozen=True, kw_only=True)
class Seeding(Sine):
    """Seeds torch's global generator."""

    def value(self, x: Tensor) -> Tensor:
        """Sin x."""
        torch.manual_seed(0)
        return super().value(x)


@dataclass(frozen=True, kw_only=True)
class Careless(Sine):
    """Leaves anomaly detection on."""

    def value(self, x: Tensor) -> Tensor:
        """Sin x."""
        torch.autograd.set_detect_anomaly(mode=True)
        return super().value(x)


@dataclass(frozen=True, kw_only=True)
class Undefined(Sine):
    """Not a number to the right of zero."""

    def value(self, x: Tensor) -> Tensor:
        """Sin x, or nan."""
        return torch.where(x > 0, math.nan, super().value(x))


@dataclass(frozen=True, kw_only=True)
class Shifted(Sine):
    """Beside the truth."""

    def value(self, x: Tensor) -> Tensor:
        """Sin x + 1/2."""
        return super().value(x) + 0.5
