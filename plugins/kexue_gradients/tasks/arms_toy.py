"""The toy of ARMS: one bit at a given probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import task
from kexue_gradients.tasks.bernoulli_toy import BernoulliToy
from kexue_gradients.words import SMOOTH, TOY_BUDGETS

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_TARGET = 0.49
_POINTS = ("arms-toy[p=[0.2,0.5,0.8]]",)


@task(
    "arms-toy",
    "f = (b - 0.49)^2 of one bit: variance at 2, 4 and 10 evaluations, as published",
    version=1,
    offers={*SMOOTH, "bernoulli"},
    suites={"standard": _POINTS, "full": _POINTS},
    methods={
        "standard": (
            "exact",
            "rloo[n=[2,4,10]]",
            "arm",
            "arm[pairs=[2,5]]",
            "disarm",
            "disarm[pairs=[2,5]]",
            "arms[n=[2,4,10]]",
        )
    },
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class ArmsToy:
    """`f(b) = (b - 0.49)^2` of one bit, at points of the ascent whose variance was plotted (arXiv:2105.14141).

    Methods are compared at n evaluations of one estimate: n draws of rloo and arms, n / 2 pairs of arm and disarm.

    Args:
        p: probability of a 1, between 0 and 1.

    Raises:
        ValueError: p is out of range.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.p < 1:
            raise ValueError(f"p must be between 0 and 1, got {self.p}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed logit; the truth is float64."""
        return BernoulliToy(theta=math.log(self.p / (1 - self.p)), t=_TARGET).problem(method, ctx)
