"""Eigenvectors as optima over matrices with orthonormal columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..words import DESCENT_RATES, DESCENTS
from .cosine_bases import dct2
from .descent import check_run
from .stiefel_problem import StiefelProblem

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

_DECAY = 0.9


@task(
    "eigenvectors",
    "principal components and Brockett's function over orthonormal columns, optima in closed form",
    version=1,
    kind="trained",
    offers={"inputs"},
    knobs=(DESCENT_RATES,),
    suites={
        "standard": ("eigenvectors[kind=[brockett,pca]]",),
        "full": ("eigenvectors[kind=[brockett,pca]]", "eigenvectors[kind=[brockett,pca],n=100,k=20,steps=2000]"),
    },
    methods={"standard": DESCENTS},
    timed={"full"},
    replicates={"standard": 10, "full": 20},
    stack=10,
    dtype="float64",
    primary="optimum-gap",
    headline=("optimum-gap", "singular-error", "flops"),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class Eigenvectors(StiefelProblem):
    """Minimize tr(W^T C W N) over n x k matrices with orthonormal columns, C with eigenvalues 0.9^i, i = 0 .. n - 1.

    `brockett`: N = diag(1 .. k), and the optimum pairs the smallest eigenvalues with the largest weights: the columns
    become eigenvectors, one by one. `pca`: N = -I, and the columns span the first k eigenvectors; the optimum is minus
    the sum of the first k eigenvalues (3.439 for k = 4). The eigenvectors are those of the orthonormal DCT-II.

    Args:
        n: rows.
        k: columns, 1 .. n - 1.
        kind: `brockett` or `pca`.
        steps: optimization steps.
        rate: learning rate of the loop.

    Raises:
        ValueError: a field is out of range.
    """

    n: int = 16
    k: int = 4
    kind: str = "brockett"
    steps: int = 500
    rate: float = 0.5

    def __post_init__(self) -> None:
        check_run(steps=self.steps, rate=self.rate)
        if not 1 <= self.k < self.n:
            raise ValueError(f"k must be in 1 .. n - 1 = {self.n - 1}, got {self.k}")
        if self.kind not in {"brockett", "pca"}:
            raise ValueError(f"kind must be brockett or pca, got {self.kind!r}")

    def size(self) -> tuple[int, int]:
        """See `StiefelProblem.size`."""
        return self.n, self.k

    def objective(self, ctx: Context) -> tuple[Callable[[Tensor], Tensor], float]:
        """See `StiefelProblem.objective`."""
        basis = dct2(self.n)
        matrix = (basis * self._eigenvalues()) @ basis.mT
        matrix = matrix.to(device=ctx.device, dtype=ctx.dtype)
        weights = self._weights().to(matrix)
        return lambda w: ((matrix @ w) * w * weights).sum((-2, -1)), 2 * float(weights.abs().max())

    def optima(self, ctx: Context) -> tuple[float, float]:
        """See `StiefelProblem.optima`; W is not square, so that there is one component."""
        # Rearrangement: the sum of products is smallest in opposite orders.
        values, weights = self._eigenvalues(), self._weights().sort(descending=True).values
        kept = values[: self.k].flip(0) if self.kind == "pca" else values.flip(0)[: self.k]
        least = float((kept * weights).sum())
        return least, least

    def _eigenvalues(self) -> Tensor:
        return _DECAY ** torch.arange(self.n, dtype=torch.float64)

    def _weights(self) -> Tensor:
        if self.kind == "pca":
            return -torch.ones(self.k, dtype=torch.float64)
        return torch.arange(1, self.k + 1, dtype=torch.float64)
