"""The covariance of a random walk."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import Bounds, Operator
from ..words import LOGDET_FACTS
from .sampling import KnownOperator


@task(
    "min-matrix",
    "matrix min(i, j) with log-determinant 0 and a condition number of order n^2",
    version=1,
    offers={"spd", "bounded"},
    facts=LOGDET_FACTS,
    suites={"standard": ("min-matrix",), "full": ("min-matrix[n=[100,1000]]",)},
    timed=(),
    budgets={"standard": 1024, "full": 8192},
    dtype="float64",
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class MinMatrix(KnownOperator):
    """A_ij = min(i, j), i, j = 1..n: log det A = 0 exactly, and a condition number of about 16 n^2 / pi^2.

    A = C C^T with C the lower triangle of ones: a product is two cumulative sums. The eigenvalues are
    1 / (4 sin^2((2 k - 1) pi / (2 (2 n + 1)))). Errors are given per row, because the truth is 0.

    Args:
        n: rows, >= 1.
        budget: products that a repeat may spend; 0 means n.
    """

    n: int = 100
    budget: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be >= 1, got {self.n}")

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The operator with its extreme eigenvalues."""

        def product(v: Tensor) -> Tensor:
            return v.flip(0).cumsum(0).flip(0).cumsum(0)

        angle = math.pi / (2 * (2 * self.n + 1))
        bounds = Bounds(
            low=1 / (4 * math.sin((2 * self.n - 1) * angle) ** 2),
            high=1 / (4 * math.sin(angle) ** 2),
            provenance="exact",
            origin="closed form",
        )
        return Operator(kind="spd", n=self.n, product=product, dtype=dtype, device=device, bounds=bounds)

    def truth(self) -> float:
        """The log-determinant."""
        return 0.0
