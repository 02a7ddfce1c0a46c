"""The user's own matrix or operator: which estimator, and how many products?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from kexue_bench import CodePath, FilePath, task
from kexue_bench.lab.noise import Noise
from kexue_bench.lab.own import function_of, kept, once

from ..contract import UNBOUNDED, Bounds, Kind, Operator, Target
from ..matrices import SYMMETRY, Matrix, read
from ..words import RESIDUAL_COLUMNS
from .sampling import sampling

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

TRACKS = ("known", "none")
TARGETS = ("logdet", "trace", "inverse")
LARGEST = 4096
"""Most rows of an operator: its true value takes as many products, and a dense factorization."""
UNLIMITED = 10**9
_PROBES, _STEPS = 4, 30
ALLOWED = "1000000000 if budget == 0 else budget"
BUDGETS = {"quick": 256, "standard": 1024, "full": 8192}


@task(
    "own-matrix",
    "your symmetric positive definite matrix from a file, truth by Cholesky or a sparse factorization",
    version=1,
    offers=("spd", "bounded", "bounds", "trace", "target"),
    facts={"wanted": "target", "bounds": "'known' if low > 0 else 'none'", "allowed": ALLOWED},
    budgets=BUDGETS,
    dtype="float64",
    baseline="slq",
    fixed={"kind": "spd"},
    order=300,
)
@task(
    "own-residual",
    "your matrix J from a file, log |det(I + J)|, truth by an LU factorization",
    version=1,
    offers={"residual", "bounded"},
    facts={"wanted": "'logdet'", "allowed": ALLOWED},
    budgets=BUDGETS,
    dtype="float64",
    headline=RESIDUAL_COLUMNS,
    fixed={"kind": "residual", "target": "logdet", "low": 0.0},
    order=310,
)
@dataclass(frozen=True, kw_only=True)
class OwnMatrix:
    """A from a file: `.npy`, `.npz` (one array, or `scipy.sparse.save_npz`), `.mtx` or `.pt` (one tensor).

    A dense matrix has at most 16,384 rows, a sparse one 2^20. The true value is that of a factorization in float64:
    Cholesky, or SuperLU if the matrix is sparse (dense for the trace of an inverse). `exact` factors the matrix as it
    is, so that its time is what an exact value costs here; the others see products alone.

    Args:
        path: the file.
        kind: `spd`, for log det A, tr A or tr A^-1; or `residual`, for log |det(I + J)|, ||J||_2 < 1.
        target: `logdet`, `trace` or `inverse` (its trace).
        low: a lower bound of the eigenvalues that you know, such as the noise variance of a kernel; 0 for none, and
            estimators that need bounds then estimate them.
        budget: products that a repeat may spend; 0 for no limit.
    """

    path: FilePath
    kind: str
    target: str = "logdet"
    low: float = 0.0
    budget: int = 0

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {self.target!r}")
        if not (self.low >= 0 and math.isfinite(self.low)):
            raise ValueError(f"low must be a finite bound >= 0 (0: none), got {self.low}")
        _refuse_negative(self.budget)
        matrix = self.matrix()
        if self.kind == "spd" and matrix.asymmetry > SYMMETRY:
            raise ValueError(
                f"{matrix.name} must be symmetric, got entries that differ from their mirror image by "
                f"{matrix.asymmetry:.2g} of the largest; symmetrize it, or take own-residual for log |det(I + J)|"
            )
        norm = math.sqrt(math.prod(matrix.sums))
        if self.kind == "residual" and norm >= 1 and (found := _norm(matrix)) >= 1:
            raise ValueError(
                f"{matrix.name}: ||J||_2 must be < 1, got at least {found:.4g}; give J of I + J, not I + J itself"
            )
        if self.low > 0 and self.low > matrix.sums[0]:
            raise ValueError(
                f"low must be a lower bound of the eigenvalues, got {self.low} above the largest row sum "
                f"{matrix.sums[0]:.4g} of {matrix.name}"
            )
        self.truth()

    def matrix(self) -> Matrix:
        """The matrix, read once."""
        return once(read, self.path)

    def truth(self) -> float:
        """The true value; the matrix is factored once for all processes.

        Raises:
            ValueError: the matrix is not positive definite, or I + J is singular.
        """
        kind, target = cast("Kind", self.kind), cast("Target", self.target)
        return kept(lambda: self.matrix().value(kind, target), self.path, f"{kind}-{target}")

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The operator, with the matrix itself for methods that factor it."""
        matrix, device = self.matrix(), torch.device(device)
        rows, columns = matrix.sums
        bounds = UNBOUNDED
        if self.kind == "spd" and self.low > 0:
            bounds = Bounds(low=self.low, high=rows, provenance="proven", origin="low as given, largest row sum")
        elif self.kind == "residual" and rows * columns < 1:
            bounds = Bounds(norm=math.sqrt(rows * columns), provenance="proven", origin="row and column sums")
        dense = matrix.dense is not None or self.target == "inverse"
        return Operator(
            kind=cast("Kind", self.kind),
            n=matrix.n,
            product=matrix.product(dtype, device),
            transposed=matrix.transposed(dtype, device),
            dtype=dtype,
            device=device,
            bounds=bounds,
            target=cast("Target", self.target),
            entries=None if dense else lambda: matrix.sparse,  # pyright: ignore[reportArgumentType]  # sparse if not dense
            matrix=(lambda: matrix.whole.to(device)) if dense else None,
        )

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        op = self.operator(dtype=ctx.dtype, device=ctx.device)
        return sampling(op, self.truth(), method, ctx, budget=self.budget or UNLIMITED)


@task(
    "own-operator",
    "your symmetric positive definite operator from a Python function, truth by as many products as rows",
    version=1,
    offers=("spd", "bounded", "bounds"),
    facts={"wanted": "'logdet'", "allowed": ALLOWED},
    budgets=BUDGETS,
    dtype="float64",
    baseline="slq",
    fixed={"kind": "spd"},
    order=320,
)
@task(
    "own-residual-operator",
    "your operator J from a Python function, log |det(I + J)|, truth by as many products as rows",
    version=1,
    offers=("residual", "bounded", "bounds"),
    facts={"wanted": "'logdet'", "allowed": ALLOWED},
    budgets=BUDGETS,
    dtype="float64",
    headline=RESIDUAL_COLUMNS,
    fixed={"kind": "residual"},
    order=330,
)
@dataclass(frozen=True, kw_only=True)
class OwnOperator:
    """What a function without arguments returns: a `kexue_logdet.Operator` of at most 4,096 rows.

    Running the function is running your code; it happens in workers only. The true value is that of the dense matrix of
    n products. The operator's parameters, if it has any, are held fixed. It must be in the dtype of the run, float64.

    Args:
        path: `file.py:function`.
        kind: `spd` or `residual`, as the operator says.
        bounds: `known` uses the operator's bounds (of its eigenvalues, or of ||J||_2); with `none` a method must
            estimate bounds at a cost.
        budget: products that a repeat may spend; 0 for no limit.
    """

    path: CodePath
    kind: str
    bounds: str = "none"
    budget: int = 0

    def __post_init__(self) -> None:
        if self.bounds not in TRACKS:
            raise ValueError(f"bounds must be one of {', '.join(TRACKS)}, got {self.bounds!r}")
        _refuse_negative(self.budget)
        op, _ = once(_made, self.path)
        if op.kind != self.kind:
            other = "own-residual-operator" if op.kind == "residual" else "own-operator"
            raise ValueError(f"{Path(self.path).name} must return a {self.kind} operator, got {op.kind}; use {other}")
        known = op.bounds.norm is not None or None not in (op.bounds.low, op.bounds.high)
        if self.bounds == "known" and not known:
            raise ValueError(f"{Path(self.path).name} returns an operator without bounds; set them, or bounds=none")
        self.truth()

    def truth(self) -> float:
        """The true value.

        Raises:
            TypeError: the function returns no `Operator`.
            ValueError: the operator is too large, a batch, or not what it says.
        """
        return once(_made, self.path)[1].value(cast("Kind", self.kind), "logdet")

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        op, _ = once(_made, self.path)
        if op.dtype != ctx.dtype:
            raise ValueError(f"{Path(self.path).name} must return an operator in {ctx.dtype}, got {op.dtype}")
        return sampling(
            _fixed(op, bounded=self.bounds == "known"), self.truth(), method, ctx, budget=self.budget or UNLIMITED
        )


def _refuse_negative(budget: int) -> None:
    if budget < 0:
        raise ValueError(f"budget must be >= 0 products (0: no limit), got {budget}")


def _made(place: str) -> tuple[Operator, Matrix]:
    """The operator of a function, and its dense matrix."""
    name = Path(place).name
    op = function_of(place)()
    if not isinstance(op, Operator):
        raise TypeError(f"{name} must return a kexue_logdet.Operator, got {type(op).__name__}")
    if op.batch_shape:
        raise ValueError(f"{name} must return one operator, got a batch {list(op.batch_shape)}")
    if op.target != "logdet":
        raise ValueError(f"{name} must return an operator whose target is 'logdet', got {op.target!r}")
    if op.n > LARGEST:
        raise ValueError(f"{name} must return an operator of at most {LARGEST} rows, got {op.n}; take a smaller one")
    fixed = _fixed(op)
    # In a resolution gradients are on, and the operator may have parameters.
    with torch.no_grad():
        dense = fixed.dense()
        _check(fixed, dense, name)
    return fixed, Matrix(name=name, dense=dense.to("cpu", torch.float64), sparse=None)


def _fixed(op: Operator, *, bounded: bool = True) -> Operator:
    """The operator without its parameters, and with its bounds only if they are known."""
    return Operator(
        kind=op.kind,
        n=op.n,
        product=op.mv,
        transposed=op.rmv if op.has_transpose else None,
        dtype=op.dtype,
        device=op.device,
        bounds=op.bounds if bounded else UNBOUNDED,
    )


def _check(op: Operator, dense: Tensor, name: str) -> None:
    """Refuse what is not a linear operator of its kind.

    Raises:
        ValueError: products have another shape or dtype, are not finite, not linear, or not symmetric.
    """
    if dense.shape != (op.n, op.n) or dense.dtype != op.dtype:
        raise ValueError(
            f"{name}: a product must have the shape and dtype of its block, {[op.n, op.n]} {op.dtype}, got "
            f"{list(dense.shape)} {dense.dtype}"
        )
    if not bool(dense.isfinite().all()):
        raise ValueError(f"{name}: products must be finite, got nan or infinite ones")
    block = Noise.seeded(0, dtype=op.dtype).normal(op.n, _PROBES).to(op.device)
    wanted, largest = dense @ block, float(dense.abs().max())
    gap = float((op.mv(block) - wanted).abs().max()) / max(float(wanted.abs().max()), torch.finfo(op.dtype).tiny)
    allowed = math.sqrt(torch.finfo(op.dtype).eps)
    if gap > allowed:
        raise ValueError(f"{name}: products must be linear in the block, got a relative gap of {gap:.2g}")
    if op.kind == "spd" and largest and float((dense - dense.mT).abs().max()) / largest > max(SYMMETRY, allowed):
        raise ValueError(f"{name}: an spd operator must be symmetric, got a matrix that is not")


def _norm(matrix: Matrix) -> float:
    """A lower bound of ||J||_2 by power iteration on J^T J, close to it."""
    ahead, back = (make(torch.float64, torch.device("cpu")) for make in (matrix.product, matrix.transposed))
    v = Noise.seeded(0, dtype=torch.float64).normal(matrix.n, 1)
    for _ in range(_STEPS):
        v = back(ahead(v / v.norm()))
    return float(ahead(v / v.norm()).norm())
