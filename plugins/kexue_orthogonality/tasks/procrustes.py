"""The orthogonal Procrustes problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..words import DESCENT_RATES, DESCENTS
from .descent import check_run
from .stiefel_problem import StiefelProblem

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context


@task(
    "procrustes",
    "min |AW - B| over orthogonal W, whose optimum is known for either sign of the determinant",
    version=1,
    kind="trained",
    offers={"inputs"},
    knobs=(DESCENT_RATES,),
    suites={"standard": ("procrustes",), "full": ("procrustes[n=[5,20]]", "procrustes[n=100,steps=2000]")},
    methods={"standard": DESCENTS},
    timed={"full"},
    replicates={"standard": 10, "full": 20},
    stack=10,
    dtype="float64",
    primary="component-gap",
    headline=("component-gap", "optimum-gap", "determinant", "singular-error", "flops"),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class Procrustes(StiefelProblem):
    """Minimize |A W - B|_F^2 over orthogonal W, A_ij = sin(i (j + 1)) and B_ij = cos(0.7 i j), (n + 3) x n, i, j >= 1.

    The optimum is |A|^2 + |B|^2 - 2 (s_1 + ... + s_n), s the singular values of A^T B, and with the other sign of the
    determinant - 2 (s_1 + ... + s_(n-1) - s_n): a method that keeps the sign reaches the optimum of its start's
    component only (`component-gap`), as shown by `determinant`. n = 5: 18.5555730325 with determinant -1, 18.9794810762
    with 1.

    Args:
        n: size of W.
        steps: optimization steps.
        rate: learning rate of the loop.

    Raises:
        ValueError: n or steps is below 1, or the rate is not positive.
    """

    n: int = 5
    steps: int = 500
    rate: float = 0.5

    def __post_init__(self) -> None:
        check_run(steps=self.steps, rate=self.rate)
        if self.n < 1:
            raise ValueError(f"n must be >= 1, got {self.n}")

    def size(self) -> tuple[int, int]:
        """See `StiefelProblem.size`."""
        return self.n, self.n

    def objective(self, ctx: Context) -> tuple[Callable[[Tensor], Tensor], float]:
        """See `StiefelProblem.objective`."""
        a, b = self._pair(ctx)
        lipschitz = 2 * float(torch.linalg.matrix_norm(a, ord=2)) ** 2
        return lambda w: (a @ w - b).square().sum((-2, -1)), lipschitz

    def optima(self, ctx: Context) -> tuple[float, float]:
        """See `StiefelProblem.optima`."""
        a, b = self._pair(ctx)
        product = a.mT @ b
        values = torch.linalg.svdvals(product)
        free = float(a.square().sum() + b.square().sum() - 2 * values.sum())
        bound = free + 4 * float(values[-1])
        return (free, bound) if float(torch.linalg.det(product)) > 0 else (bound, free)

    def _pair(self, ctx: Context) -> tuple[Tensor, Tensor]:
        i = torch.arange(1, self.n + 4, dtype=torch.float64)[:, None]
        j = torch.arange(1, self.n + 1, dtype=torch.float64)
        a, b = torch.sin(i * (j + 1)), torch.cos(0.7 * i * j)
        return a.to(device=ctx.device, dtype=ctx.dtype), b.to(device=ctx.device, dtype=ctx.dtype)
