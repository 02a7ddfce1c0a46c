"""Costs of one gamma variable with closed forms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import Unless, task
from kexue_gradients.contract import Gamma
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import frozen_problem
from kexue_gradients.words import TOY_BUDGETS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 4096  # part of the task's version: the stream of a batch depends on it
_FUNCTIONS = ("linear", "square", "exp")


@task(
    "gamma-cost",
    "f = x, x^2 or exp(-x) of one gamma variable, gradient for its shape in closed form",
    version=1,
    offers={"expectation", "gamma", "differentiable"},
    suites={
        "quick": ("gamma-cost",),
        "standard": ("gamma-cost[shape=[0.7,2.5]]",),
        "full": ("gamma-cost[shape=[0.7,2.5],function=[linear,square,exp]]",),
        "verify": ("gamma-cost[shape=2.3,function=square]",),
    },
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    unless=(
        Unless(
            when="task.shape < (0.0792 if dtype == 'float32' else 0.0098)",
            because="a thousandth or more of the distribution at shape {task.shape} is below the smallest number "
            "of its dtype; take a larger shape, or float64",
        ),
    ),
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class GammaCost:
    """Gradient of E f(x) with respect to the shape of a gamma variable of rate 1; f is `x`, `x^2` or `exp(-x)`.

    No simple transformation of a fixed noise gives gamma variables, so pathwise gradients are implicit.

    Args:
        function: `linear`, `square` or `exp`.
        shape: the shape parameter, > 0.

    Raises:
        ValueError: an argument is out of range.
    """

    function: str = "linear"
    shape: float = 2.5

    def __post_init__(self) -> None:
        if self.function not in _FUNCTIONS:
            raise ValueError(f"function must be one of {', '.join(_FUNCTIONS)}, got {self.function!r}")
        if not self.shape > 0:
            raise ValueError(f"shape must be > 0, got {self.shape}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed shape; the truth `[1]` is float64."""
        return frozen_problem(
            method,
            ctx,
            law=self.law(ctx.dtype, ctx.device),
            double=self.law(torch.float64, ctx.device),
            objective=FunctionObjective(lambda x: self.cost(x).squeeze(-1), counter=ctx.counter),
            gradient=self._gradient,
            batch=_BATCH,
        )

    def law(self, dtype: torch.dtype, device: torch.device) -> Gamma:
        """One gamma variable."""
        return Gamma(shape=torch.tensor([self.shape], dtype=dtype, device=device))

    def cost(self, x: Tensor) -> Tensor:
        """The function itself, elementwise."""
        if self.function == "linear":
            return x
        return x.square() if self.function == "square" else torch.exp(-x)

    def _gradient(self, law: Gamma) -> Tensor:
        # E x = a, E x^2 = a (a + 1), E exp(-x) = 2^-a.
        if self.function == "linear":
            slope = 1.0
        elif self.function == "square":
            slope = 2 * self.shape + 1
        else:
            slope = -math.log(2) * 2**-self.shape
        return law.shape.new_tensor([slope])
