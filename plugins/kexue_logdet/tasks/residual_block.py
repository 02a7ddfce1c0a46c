"""The Jacobian of one residual block, by automatic differentiation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import jacrev, vjp, vmap

from kexue_bench import task

from ..contract import UNBOUNDED, Bounds, Operator
from ..words import RESIDUAL_BUDGETS, RESIDUAL_COLUMNS
from .grid_laplacian import TRACKS
from .residual_variances import residual_sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling


@task(
    "residual-block",
    "I + J of a residual block c S^T tanh(F x), J far from symmetric, products by autodiff",
    version=2,
    offers={"residual", "bounded", "bounds", "variance"},
    facts={"rows": "d", "allowed": "rows if budget == 0 else budget", "norm": "c"},
    suites={
        "quick": ("residual-block[c=0.9]",),
        "standard": ("residual-block[c=[0.5,0.7,0.9,0.98]]", "residual-block[bounds=none]"),
        "full": ("residual-block[c=[0.5,0.7,0.9,0.98],d=[64,256]]", "residual-block[c=[0.5,0.7,0.9],bounds=none]"),
    },
    timed={"full"},
    budgets=RESIDUAL_BUDGETS,
    dtype="float64",
    headline=RESIDUAL_COLUMNS,
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class ResidualBlock:
    """g(x) = c S^T tanh(F x) at x_i = sin i: F the orthonormal DCT-II, S = F with rows and columns reversed.

    The weights are orthogonal, so ||dg/dx||_2 <= c, and the Jacobian is far from symmetric. Products are by automatic
    differentiation of g; the truth is slogdet of the whole Jacobian.

    Args:
        c: Lipschitz constant, in (0, 1).
        d: number of features, >= 1; n = d.
        budget: products that a repeat may spend; 0 means d.
        bounds: `known` provides c; with `none` the method must estimate a bound at a cost.
    """

    c: float = 0.9
    d: int = 64
    budget: int = 0
    bounds: str = "known"

    def __post_init__(self) -> None:
        if self.bounds not in TRACKS:
            raise ValueError(f"bounds must be one of {', '.join(TRACKS)}, got {self.bounds!r}")
        if not 0 < self.c < 1:
            raise ValueError(f"c must be in (0, 1), got {self.c}; else x + g(x) need not be invertible")
        if self.d < 1:
            raise ValueError(f"d must be >= 1, got {self.d}")

    def block(self, *, dtype: torch.dtype, device: torch.device | str) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """The function g and the point x `[d]`."""
        i = torch.arange(self.d, dtype=torch.float64, device=device)
        dct = torch.cos(math.pi / self.d * i.unsqueeze(1) * (i + 0.5)) * math.sqrt(2 / self.d)
        dct[0] /= math.sqrt(2)
        inner, outer = dct.to(dtype), (self.c * dct.flip(0, 1).T).to(dtype)
        return lambda x: outer @ torch.tanh(inner @ x), torch.sin(i + 1).to(dtype)

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """J = dg/dx at x: `rmv` is a vjp of g, `mv` the vjp of that linear map in its cotangent."""
        g, x = self.block(dtype=dtype, device=device)
        known = self.bounds == "known"
        # Forward mode would suffice for `mv`, but its first use loads torch's scripting code, seconds in every process.
        pull = vjp(g, x)[1]
        push = vjp(lambda u: vjp(g, x)[1](u)[0], torch.zeros_like(x))[1]
        return Operator(
            kind="residual",
            n=self.d,
            product=vmap(lambda v: push(v)[0], in_dims=1, out_dims=1),
            transposed=vmap(lambda v: pull(v)[0], in_dims=1, out_dims=1),
            dtype=dtype,
            device=device,
            bounds=Bounds(norm=self.c, provenance="proven", origin="orthogonal weights") if known else UNBOUNDED,
        )

    def jacobian(self) -> Tensor:
        """J `[d, d]`, float64, by automatic differentiation."""
        g, x = self.block(dtype=torch.float64, device="cpu")
        return jacrev(g)(x)

    def truth(self) -> float:
        """The log-determinant of I + J from the whole float64 Jacobian."""
        return float(torch.linalg.slogdet(torch.eye(self.d, dtype=torch.float64) + self.jacobian()).logabsdet)

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        op = self.operator(dtype=ctx.dtype, device=ctx.device)
        return residual_sampling(op, self.truth(), method, ctx, budget=self.budget, symbol=self.jacobian)
