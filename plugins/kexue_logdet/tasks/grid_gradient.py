"""The gradient of a log-determinant in the parameters of its operator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import Bounds, Operator
from ..words import GRADIENT_COLUMNS
from .grid_laplacian import BOUNDARIES, GridLaplacian
from .sampling import gradient_sampling

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling


@task(
    "grid-gradient",
    "gradient of a grid's log-determinant in tau and in the scale of its Laplacian, exact by eigenvalues",
    version=1,
    offers={"spd", "bounded", "gradient"},
    facts={"wanted": "'gradient'", "rows": "side * side", "allowed": "rows if budget == 0 else budget"},
    suites={"standard": ("grid-gradient",), "full": ("grid-gradient[side=[16,64],tau=[1.0,0.01]]",)},
    timed=(),
    budgets={"standard": 1024, "full": 8192},
    dtype="float64",
    headline=GRADIENT_COLUMNS,
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class GridGradient:
    """d log det A / d (tau, s) at s = 1 for A = tau I + s L, L a 2-D grid Laplacian: tr A^-1 and tr A^-1 L.

    Args:
        side: number N of points on a side, >= 1, >= 3 if periodic; n = N^2.
        tau: multiple of the identity, > 0.
        boundary: `dirichlet`, `neumann` or `periodic`.
        budget: products that a repeat may spend, those of the gradient included; 0 means n.
    """

    side: int = 16
    tau: float = 1.0
    boundary: str = "dirichlet"
    budget: int = 0

    def __post_init__(self) -> None:
        if self.boundary not in BOUNDARIES:
            raise ValueError(f"boundary must be one of {', '.join(BOUNDARIES)}, got {self.boundary!r}")
        if not (self.tau > 0 and math.isfinite(self.tau)):
            raise ValueError(f"tau must be > 0 and finite, got {self.tau}")

    def grid(self) -> GridLaplacian:
        """The operator without parameters."""
        return GridLaplacian(side=self.side, tau=self.tau, boundary=self.boundary)

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The operator whose products depend on one leaf tensor (tau, s)."""
        theta = torch.tensor([self.tau, 1.0], dtype=dtype, device=device, requires_grad=True)
        plain = self.grid().operator(dtype=dtype, device=device)

        def product(v: Tensor) -> Tensor:
            laplacian = plain.mv(v.detach()) - self.tau * v
            return theta[0] * v + theta[1] * laplacian

        bounds = Bounds(low=plain.bounds.low, high=plain.bounds.high, provenance="exact", origin="closed form")
        return Operator(
            kind="spd", n=plain.n, product=product, dtype=dtype, device=device, bounds=bounds, params=(theta,)
        )

    def truth(self) -> Tensor:
        """(tr A^-1, tr A^-1 L), `[2]`, float64."""
        values = self.grid().eigenvalues()
        return torch.stack([(1 / values).sum(), ((values - self.tau) / values).sum()])

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        op = self.operator(dtype=ctx.dtype, device=ctx.device)
        return gradient_sampling(op, self.truth(), method, ctx, budget=self.budget)
