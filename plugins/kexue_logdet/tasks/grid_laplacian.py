"""A two-dimensional grid: the 5-point Laplacian plus a multiple of the identity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..contract import Bounds, Operator
from .sampling import sampling

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.protocols import Sampling


@dataclass(frozen=True, kw_only=True)
class GridLaplacian:
    """A = tau I + L on N x N points: L is 4 on the diagonal and -1 for each neighbour inside the grid (Dirichlet).

    Never formed. With a_i = pi i / (N + 1) the eigenvalues are tau + 4 - 2 cos a_i - 2 cos a_j, i, j = 1..N; the truth
    sums the closed determinant of the tridiagonal Toeplitz matrix of each i.

    Args:
        side: number N of points on a side, >= 1; n = N^2.
        tau: what is added to the diagonal, >= 0.
        budget: products a repeat may spend; 0 means n.
    """

    side: int = 32
    tau: float = 1.0
    budget: int = 0

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"side must be >= 1, got {self.side}")
        if not (self.tau >= 0 and math.isfinite(self.tau)):
            raise ValueError(f"tau must be >= 0 and finite, got {self.tau}")

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The operator with its extreme eigenvalues."""
        side, centre = self.side, 4.0 + self.tau

        def product(v: Tensor) -> Tensor:
            grid = v.unflatten(0, (side, side))
            out = grid * centre
            out[1:] -= grid[:-1]
            out[:-1] -= grid[1:]
            out[:, 1:] -= grid[:, :-1]
            out[:, :-1] -= grid[:, 1:]
            return out.flatten(0, 1)

        edge = math.pi / (2 * (side + 1))
        bounds = Bounds(
            low=self.tau + 8 * math.sin(edge) ** 2, high=self.tau + 8 * math.cos(edge) ** 2, provenance="exact"
        )
        return Operator(kind="spd", n=side * side, product=product, dtype=dtype, device=device, bounds=bounds)

    def truth(self) -> float:
        """The log-determinant, in O(N).

        det tridiag(-1, 2 + s, -1) = (r^(N+1) - r^-(N+1)) / (r - 1/r) with log r = 2 asinh(sqrt(s) / 2).
        """
        i = torch.arange(1, self.side + 1, dtype=torch.float64)
        s = self.tau + 4 * torch.sin(math.pi * i / (2 * (self.side + 1))).square()
        log_r = 2 * torch.asinh(s.sqrt() / 2)
        ends = torch.log(-torch.expm1(-2 * (self.side + 1) * log_r)) - torch.log(-torch.expm1(-2 * log_r))
        return float((self.side * log_r + ends).sum())

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        return sampling(
            self.operator(dtype=ctx.dtype, device=ctx.device), self.truth(), method, ctx, budget=self.budget
        )
