"""The gradient of a residual block's log-determinant in its Lipschitz constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_bench.lab.problems import Sampling

from ..contract import Bounds, Operator
from ..iresnet import differentiable
from ..words import RESIDUAL_BUDGETS
from .residual_block import ResidualBlock
from .sampling import BATCH, allowance, fitting

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise


@task(
    "residual-gradient",
    "derivative of a residual block's log-determinant in its Lipschitz constant, exact by a solve",
    version=1,
    offers={"residual", "bounded", "gradient"},
    facts={"allowed": "budget", "norm": "c"},
    suites={
        "quick": ("residual-gradient[d=16]",),
        "standard": ("residual-gradient[c=[0.5,0.7,0.9,0.98]]",),
        "full": ("residual-gradient[c=[0.5,0.7,0.9,0.98],d=[64,256]]",),
    },
    methods={"quick": ("exact", "power-series", "neumann-roulette", "golub-kahan-slq")},
    timed={"full"},
    budgets=RESIDUAL_BUDGETS,
    dtype="float64",
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class ResidualGradient:
    """d/dc log |det(I + c J_1)| for the block of `residual-block`, tr((I + J)^-1 J_1), as in training a flow.

    A method's estimate is the backward pass of its surrogate, or of its value if it has none. J_1 is a stored matrix,
    so that any number of columns costs one multiplication.

    Args:
        c: Lipschitz constant, in (0, 1).
        d: number of features, >= 1; n = d.
        budget: products that a repeat may spend, those for the gradient included.
    """

    c: float = 0.9
    d: int = 64
    budget: int = 80

    def __post_init__(self) -> None:
        ResidualBlock(c=self.c, d=self.d)

    def unit(self) -> Tensor:
        """J_1 `[d, d]`, float64: the Jacobian over c."""
        return ResidualBlock(c=self.c, d=self.d).jacobian() / self.c

    def truth(self) -> float:
        """tr((I + c J_1)^-1 J_1) by a float64 solve."""
        unit = self.unit()
        return float(torch.linalg.solve(torch.eye(self.d, dtype=unit.dtype) + self.c * unit, unit).trace())

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        fits, unit = fitting(method), self.unit().to(ctx.device, ctx.dtype)
        random_cost = bool(getattr(method, "random_cost", False))

        def gradients(noise: Noise, n: int) -> Tensor:
            c = torch.tensor(self.c, dtype=ctx.dtype, device=ctx.device, requires_grad=True)
            op = self._operator(c, unit)
            metered = op.within(
                budget=allowance(op, self.budget), repeats=n, counter=ctx.counter, in_expectation=random_cost
            )
            with torch.enable_grad():
                repeats = differentiable(fits.estimate(metered, allowance(op, self.budget), noise, n))
            # Every repeat needs its own gradient, and they share the graph: one batched backward pass.
            each = torch.eye(n, dtype=repeats.dtype, device=repeats.device)
            return torch.autograd.grad(repeats, c, each, is_grads_batched=True)[0].double()

        truth = self.truth()
        return Sampling(
            draw=gradients,
            truth=torch.tensor(truth, dtype=torch.float64, device=ctx.device),
            batch=1 if ctx.deterministic else BATCH * max(1, 64 // self.d),
            metrics=("estimate", "bias", "variance", "mse"),
            losses={"error": lambda x: (x - truth).abs() / self.d},
        )

    def _operator(self, c: Tensor, unit: Tensor) -> Operator:
        return Operator(
            kind="residual",
            n=self.d,
            product=lambda v: c * (unit @ v),
            transposed=lambda v: c * (unit.mT @ v),
            dtype=unit.dtype,
            device=unit.device,
            bounds=Bounds(norm=self.c, provenance="proven", origin="orthogonal weights"),
            params=(c,),
        )
