"""The value itself: dense LU after n products with the identity, or sparse LU of the entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kexue_bench import Unless, method

from ..contract import LogdetSample, Operator, afford

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

WAYS = ("auto", "products")
LARGEST = 2**14
"""Rows of the largest dense matrix, 2 GiB of float64."""


@method(
    "exact",
    "dense LU after n products with the identity, or sparse LU of the entries",
    claims=("unbiased", "deterministic"),
    unless=(
        Unless(
            when="task.rows > 16384 and not (via == 'auto' and 'entries' in offers and not task.wanted == 'inverse')",
            because="a dense factorization takes at most 16384 rows; the task has {task.rows}",
        ),
        Unless(
            when="task.rows > task.allowed"
            " and not (via == 'auto' and 'entries' in offers and not task.wanted == 'inverse')",
            because="an estimate costs {task.rows} products; the task allows {task.allowed}",
        ),
        # The limit of a sweep is its last budget; it sets the size of all other methods.
        Unless(
            when="task.rows > task.last",
            because="an estimate costs {task.rows} products; the task allows {task.last}",
        ),
    ),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Exact:
    """log |det M| from LU factors of M = A (`spd`) or I + J (`residual`), tr A or tr A^-1; in float64 whatever the
    dtype of the products.

    Dense: n products and O(n^3) work per repeat; no products if the operator has the matrix itself, whose
    log-determinant is then that of a Cholesky factor (`spd`). If the operator has entries, SuperLU factors the sparse
    matrix without products (its fill-in is O(n log n) on a 2-D grid) and counts the nonzeros as `entries`. The trace of
    an inverse is always dense. For a gradient, the surrogate is the value with its graph, through n products counted as
    `backward`.

    Args:
        via: `auto` uses the matrix or the entries if the operator has them; `products` never does.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd")
        >>> sample = Exact().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    via: str = "auto"

    def __post_init__(self) -> None:
        if self.via not in WAYS:
            raise ValueError(f"via must be one of {', '.join(WAYS)}, got {self.via!r}")

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; draws nothing from `noise`."""
        del noise
        if self.via == "auto" and op.has_matrix and not op.params:
            return LogdetSample(value=torch.stack([_factored(op) for _ in range(repeats)]))
        if self.via == "auto" and op.has_entries and not op.params and op.target != "inverse":
            values = [_sparse(op) for _ in range(repeats)]
            return LogdetSample(value=torch.tensor(values, dtype=torch.float64, device=op.device))
        if op.n > LARGEST:
            raise ValueError(f"a dense factorization needs n <= {LARGEST}, got {op.n} and an operator without entries")
        afford(op.n, budget)
        if op.params:
            with torch.enable_grad(), op.billing("backward"):
                surrogate = torch.stack([_dense(op) for _ in range(repeats)])
            return LogdetSample(value=surrogate.detach(), surrogate=surrogate)
        return LogdetSample(value=torch.stack([_dense(op) for _ in range(repeats)]))


def _dense(op: Operator) -> Tensor:
    return _value(op.dense(), op)


def _factored(op: Operator) -> Tensor:
    matrix = op.matrix()
    if op.kind == "spd" and op.target == "logdet":
        return 2 * torch.linalg.cholesky(matrix.to(torch.float64)).diagonal().log().sum()
    return _value(matrix, op)


def _value(matrix: Tensor, op: Operator) -> Tensor:
    matrix = matrix.to(torch.float64)
    if op.target == "trace":
        return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)
    if op.target == "inverse":
        return torch.cholesky_inverse(torch.linalg.cholesky(matrix)).diagonal(dim1=-2, dim2=-1).sum(-1)
    if op.kind == "residual":
        matrix = matrix + torch.eye(op.n, dtype=matrix.dtype, device=matrix.device)
    return torch.linalg.slogdet(matrix).logabsdet


def _sparse(op: Operator) -> float:
    from scipy.sparse.linalg import splu

    matrix = op.entries().astype(np.float64)
    if op.target == "trace":
        return float(matrix.diagonal().sum())
    # A symmetric ordering without pivoting off the diagonal, suitable for a positive definite matrix.
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return float(np.log(np.abs(factors.U.diagonal())).sum())
