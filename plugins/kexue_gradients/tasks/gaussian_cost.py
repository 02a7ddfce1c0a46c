"""Costs of one normal variable with closed forms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_gradients.contract import Gaussian
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import frozen_problem
from kexue_gradients.words import TOY_BUDGETS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 4096  # part of the task's version: the stream of a batch depends on it
_FUNCTIONS = ("quadratic", "exp", "cos")
_PARAMETERS = {"both": slice(None), "mu": slice(0, 1), "sigma": slice(1, 2)}
# Figures 2 and 3 of arXiv:1906.10652, and the best constant baseline as estimated there.
_PUBLISHED = (
    "gaussian-cost[function=quadratic,k=[-3.0,0.0,1.0,3.0],mu=1.0,parameter=[mu,sigma]]",
    "gaussian-cost[function=exp,k=[0.1,1.0,10.0],mu=1.0,parameter=mu]",
)
_METHODS = ("fitting", "reinforce[baseline=optimal,decay=0.9998,warmup=5000]")


@task(
    "gaussian-cost",
    "f = (x - k)^2, exp(-k x^2) or cos(k x) of one normal variable, gradient for mu and sigma in closed form",
    version=1,
    offers={"expectation", "gaussian", "differentiable"},
    suites={
        "quick": ("gaussian-cost", "gaussian-cost[function=cos,k=2.0,mu=1.0,sigma=1.5]"),
        "standard": (
            "gaussian-cost",
            *_PUBLISHED,
            "gaussian-cost[function=cos,k=[0.5,2.0],mu=1.0,sigma=1.5]",
        ),
        "full": (
            "gaussian-cost",
            *_PUBLISHED,
            "gaussian-cost[function=exp,k=[0.1,1.0,10.0],mu=1.0]",
            "gaussian-cost[function=cos,k=[0.5,2.0,5.0],mu=1.0,sigma=1.5]",
        ),
        "verify": (
            "gaussian-cost[k=0.9,mu=0.6,sigma=0.7]",
            "gaussian-cost[function=cos,k=0.9,mu=0.7,sigma=1.4]",
        ),
    },
    methods={"standard": _METHODS, "full": _METHODS},
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class GaussianCost:
    """Gradient of E f(x) with respect to mu and sigma, x normal: the costs of Mohamed et al. (arXiv:1906.10652).

    f is `(x - k)^2`, `exp(-k x^2)` or `cos(k x)`. Pathwise gradients do not always have the least variance: for cos
    with k = 2, mu = 1, sigma = 1.5 their variance is nine times that of the score function.

    Args:
        function: `quadratic`, `exp` or `cos`.
        k: the parameter of f; not negative for `exp`.
        mu: mean.
        sigma: standard deviation, > 0.
        parameter: which gradient is measured, `mu`, `sigma` or `both`; figures are published for one of them.

    Raises:
        ValueError: an argument is out of range.
    """

    function: str = "quadratic"
    k: float = 0.45
    mu: float = 0.0
    sigma: float = 1.0
    parameter: str = "both"

    def __post_init__(self) -> None:
        if self.function not in _FUNCTIONS:
            raise ValueError(f"function must be one of {', '.join(_FUNCTIONS)}, got {self.function!r}")
        if self.function == "exp" and not self.k >= 0:
            raise ValueError(f"k must be >= 0 for exp, got {self.k}; for negative k the expectation may not exist")
        if not self.sigma > 0:
            raise ValueError(f"sigma must be > 0, got {self.sigma}")
        if self.parameter not in _PARAMETERS:
            raise ValueError(f"parameter must be one of {', '.join(_PARAMETERS)}, got {self.parameter!r}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed distribution; the truth, `[1, 2]` or `[1, 1]`, is float64."""
        kept = _PARAMETERS[self.parameter]
        return frozen_problem(
            method,
            ctx,
            law=self.law(ctx.dtype, ctx.device),
            double=self.law(torch.float64, ctx.device),
            objective=FunctionObjective(lambda x: self.cost(x).squeeze(-1), counter=ctx.counter),
            gradient=self._gradient,
            batch=_BATCH,
            contract=lambda gradient: gradient[..., kept],
        )

    def law(self, dtype: torch.dtype, device: torch.device) -> Gaussian:
        """One normal variable."""
        mu, sigma = torch.tensor([[self.mu], [self.sigma]], dtype=dtype, device=device)
        return Gaussian(mu=mu, sigma=sigma)

    def cost(self, x: Tensor) -> Tensor:
        """The function itself, elementwise."""
        if self.function == "quadratic":
            return (x - self.k).square()
        return torch.exp(-self.k * x.square()) if self.function == "exp" else torch.cos(self.k * x)

    def _gradient(self, law: Gaussian) -> Tensor:
        k, mu, sigma = self.k, self.mu, self.sigma
        if self.function == "quadratic":
            pair = (2 * (mu - k), 2 * sigma)
        elif self.function == "exp":
            width = 1 + 2 * k * sigma**2
            mean = math.exp(-k * mu**2 / width) / math.sqrt(width)
            pair = (-2 * k * mu / width * mean, 2 * k * sigma / width * (2 * k * mu**2 / width - 1) * mean)
        else:
            damping = math.exp(-((k * sigma) ** 2) / 2)
            pair = (-k * math.sin(k * mu) * damping, -(k**2) * sigma * math.cos(k * mu) * damping)
        return law.mu.new_tensor([pair])
