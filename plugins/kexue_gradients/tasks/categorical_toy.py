"""The categorical toy: a polynomial of a three-way choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_gradients.contract import Distribution, Enumeration
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import exact_gradient, frozen_problem

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context, Counter
    from kexue_bench.lab.protocols import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 1024  # part of the task's version: the stream of a batch depends on it
_POINTS = {"flat": (0.5, -0.3, 0.2), "peaked": (2.0, -1.0, 0.0)}
_WEIGHTS = (-1.0, 0.5, 2.0)


@dataclass(frozen=True, kw_only=True)
class CategoricalToy:
    """`f(x) = (w . x - t)^power` for one choice of three, w = (-1, .5, 2); off the vertices the same formula holds.

    With power 2 f is the square of a linear function, where ReinMax is unbiased; with power 3 it is worse than
    straight-through: a second-order method is not better everywhere.

    Args:
        power: exponent, at least 1.
        t: target.
        point: `flat` for the logits (.5, -.3, .2), `peaked` for (2, -1, 0).

    Raises:
        ValueError: the power or the point is not one of these.
    """

    power: int = 2
    t: float = 0.45
    point: str = "flat"

    def __post_init__(self) -> None:
        if self.power < 1:
            raise ValueError(f"power must be >= 1, got {self.power}")
        if self.point not in _POINTS:
            raise ValueError(f"point must be one of {', '.join(_POINTS)}, got {self.point!r}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed logits; the truth is float64."""
        law = self.distribution(ctx.dtype, ctx.device)
        return frozen_problem(
            method,
            ctx,
            law=law,
            double=self.distribution(torch.float64, ctx.device),
            objective=self.objective(law, ctx.counter),
            gradient=lambda aim: exact_gradient(aim, self.objective(aim)),
            batch=_BATCH,
        )

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """One class with logits `[1, 3]`."""
        return Distribution(kind="categorical", logits=torch.tensor([_POINTS[self.point]], dtype=dtype, device=device))

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table of three states."""
        weights = torch.tensor(_WEIGHTS, dtype=distribution.logits.dtype, device=distribution.logits.device)

        def table() -> Enumeration:
            states = torch.eye(3, dtype=weights.dtype, device=weights.device).unsqueeze(1)
            return Enumeration(states=states, values=((states @ weights) - self.t) ** self.power)

        return FunctionObjective(
            lambda x: ((x @ weights).squeeze(-1) - self.t) ** self.power, counter=counter, table=table
        )
