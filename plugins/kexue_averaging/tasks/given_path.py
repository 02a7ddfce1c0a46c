"""Weights that move as given: an average of a constant, and of a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from kexue_bench import task

from ..contract import Averager

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
_FOLLOWERS = (
    "raw",
    "ema",
    "ema[storage=float32]",
    "ema[storage=float64]",
    "ema[correction=debias]",
    "power-ema",
    "polyak",
    "torch-averaged-model",
)


def follow(method: object, path: Callable[[int], float], *, steps: int, dtype: torch.dtype) -> float:
    """The average after a weight went path(0), ..., path(steps).

    Args:
        method: of this family.
        path: the weight after each step; rounded to `dtype`.
        steps: number of updates.
        dtype: of the weight.
    """
    model = nn.Module()
    model.weight = nn.Parameter(torch.tensor([path(0)], dtype=dtype))
    average: Any = cast("Averager", method).attach(model)
    with torch.no_grad():
        for step in range(1, steps + 1):
            model.weight.fill_(path(step))
            average.after_(step)
    # Without `measuring`, which rounds to the precision of the model.
    return float(average.values()[0].detach().double())


def stated(method: object, path: Callable[[int], float], *, steps: int) -> float | None:
    """The same by the coefficients that the method states; None where it states none."""
    if not hasattr(method, "weights"):
        return None
    averager: Any = method
    values = torch.tensor([path(step) for step in range(steps + 1)], dtype=torch.float64)
    return float(averager.weights(steps) @ values)


@task(
    "constant-weight",
    "an average of a weight that stands still: where its arithmetic stops short",
    version=1,
    kind="record",
    suites={
        "quick": ("constant-weight[steps=12000]",),
        "standard": ("constant-weight[held=[float32,bfloat16,float64]]",),
        "full": ("constant-weight[held=[float32,bfloat16,float64],steps=200000]",),
    },
    methods={"quick": _FOLLOWERS, "standard": _FOLLOWERS, "full": _FOLLOWERS},
    timed=(),
    dtype="float64",
    primary="mse",
    headline=("mse", "shortfall"),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class ConstantWeight:
    """The weight is 0 when the average is attached and 1 from then on; measured is the average after `steps`.

    The truth is the sum of the coefficients that the averager states, 1 - decay^n for an EMA, or 1 where it states
    none, so that an error is one of the arithmetic alone: in float32 an EMA stops 2^-25 / (1 - decay) short, in
    bfloat16 2^-9 / (1 - decay).

    Args:
        held: dtype of the weight, `float32`, `bfloat16` or `float64`.
        steps: updates, >= 1.

    Raises:
        ValueError: another dtype, or no steps.
    """

    held: str = "float32"
    steps: int = 20000

    def __post_init__(self) -> None:
        if self.held not in _DTYPES:
            raise ValueError(f"held must be float32, bfloat16 or float64, got {self.held!r}")
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record how far the average is from what its coefficients say."""
        expected = stated(method, _step, steps=self.steps)
        found = follow(method, _step, steps=self.steps, dtype=_DTYPES[self.held])
        _record(ctx, (1.0 if expected is None else expected) - found)


@task(
    "drift",
    "an average of a weight that moves evenly: how far it lags behind",
    version=1,
    kind="record",
    suites={
        "standard": ("drift",),
        "full": ("drift", "drift[steps=10000]"),
    },
    methods={"standard": _FOLLOWERS, "full": _FOLLOWERS},
    timed=(),
    dtype="float64",
    primary="mse",
    headline=("mse", "shortfall"),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class Drift:
    """The weight is 1 + speed k after step k; measured is the average after `steps`, the truth is the weight itself.

    An EMA lags decay / (1 - decay) steps behind once it has forgotten its start, a uniform average half of all.

    Args:
        speed: change of the weight in a step.
        steps: updates, >= 1.

    Raises:
        ValueError: no steps.
    """

    speed: float = 0.001
    steps: int = 1000

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def at(self, step: int) -> float:
        """The weight after a step."""
        return 1 + self.speed * step

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record how far the average is behind the weight."""
        _record(ctx, self.at(self.steps) - follow(method, self.at, steps=self.steps, dtype=ctx.dtype))


def _record(ctx: Context, shortfall: float) -> None:
    for metric, value in (("mse", shortfall**2), ("shortfall", shortfall)):
        ctx.record(metric, value, interval=(value, value), flags=("exact",))


def _step(step: int) -> float:
    return 1.0 if step else 0.0
