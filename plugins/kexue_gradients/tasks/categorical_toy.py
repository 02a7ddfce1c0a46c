"""The categorical toy: a polynomial of one choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_gradients.contract import Distribution
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import tabulated_problem
from kexue_gradients.tasks.states import class_states, whole_table
from kexue_gradients.words import FIRST_OF_CLASSES, SMOOTH, TOY_BUDGETS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 1024  # part of the task's version: the stream of a batch depends on it
# The first class has the first logit; the others repeat the rest.
_POINTS = {"flat": (0.5, -0.3, 0.2), "peaked": (2.0, -1.0, 0.0)}


@task(
    "categorical-toy",
    "f = (w . x - t)^power for one choice, exact gradient known",
    version=1,
    offers={*SMOOTH, "categorical", "power"},
    suites={
        "quick": ("categorical-toy[power=3]",),
        "standard": ("categorical-toy[power=[2,3],classes=[3,10]]", "categorical-toy[point=peaked]"),
        "full": ("categorical-toy[power=[2,3],point=[flat,peaked],classes=[3,10]]",),
        "verify": ("categorical-toy[power=[2,3],t=0.37]", "categorical-toy[classes=10,t=0.37]"),
    },
    methods={"quick": FIRST_OF_CLASSES},
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class CategoricalToy:
    """`f(x) = (w . x - t)^power` for one choice, w from -1 to 2 in equal steps; the same formula off the vertices.

    With power 2 f is the square of a linear function, where ReinMax is unbiased; with power 3 ReinMax is worse than
    straight-through: a second-order method is not always better.

    Args:
        power: exponent, at least 1.
        t: target.
        point: `flat` for the logits (0.5, -0.3, 0.2), `peaked` for (2, -1, 0); with more than three classes the last
            two logits repeat.
        classes: number of classes, at least 2; w is (-1, 0.5, 2) for three.

    Raises:
        ValueError: the power, the point or the number of classes is not one of these.
    """

    power: int = 2
    t: float = 0.45
    point: str = "flat"
    classes: int = 3

    def __post_init__(self) -> None:
        if self.power < 1:
            raise ValueError(f"power must be >= 1, got {self.power}")
        if self.point not in _POINTS:
            raise ValueError(f"point must be one of {', '.join(_POINTS)}, got {self.point!r}")
        if self.classes < 2:
            raise ValueError(f"classes must be >= 2, got {self.classes}; one class leaves no choice")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed logits; the truth is float64."""
        return tabulated_problem(self, method, ctx, batch=_BATCH)

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """One choice with logits `[1, classes]`."""
        first, *rest = _POINTS[self.point]
        logits = [first, *(rest[i % len(rest)] for i in range(self.classes - 1))]
        return Distribution(kind="categorical", logits=torch.tensor([logits], dtype=dtype, device=device))

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table."""
        logits = distribution.logits
        weights = torch.linspace(-1, 2, self.classes, dtype=logits.dtype, device=logits.device)

        def f(x: Tensor) -> Tensor:
            return ((x @ weights).squeeze(-1) - self.t) ** self.power

        states = class_states(1, self.classes, logits)
        return FunctionObjective(
            f, counter=counter, event_dims=distribution.event_dims, table=lambda: whole_table(states, f)
        )
