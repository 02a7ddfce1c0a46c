"""Floating-point operations of one call, factorizations included.

Torch's own counter covers matrix products and convolutions, but not what orthogonality needs (QR, singular values,
eigenvalues, linear systems, exponentials). The table below adds these, with a multiplication and an addition as two
operations, from Golub and Van Loan, Matrix Computations (4th edition, sections 5.2, 5.4, 8.3, 8.6), without lower-order
terms. Elementwise work is not counted; forward and backward passes are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Shape = Sequence[int]
_ATEN: Any = torch.ops.aten  # operations appear on it when first accessed


def qr(rows: int, columns: int, *, mode: str = "reduced") -> float:
    """Householder QR of a tall matrix: 2 d k^2 - 2 k^3 / 3 for R, as much again for k columns of Q."""
    half = reflect(rows, columns)
    return half if mode == "r" else 2 * half


def reflect(rows: int, columns: int) -> float:
    """Finding k reflections of length d, or applying them to k columns: 2 d k^2 - 2 k^3 / 3."""
    d, k = max(rows, columns), min(rows, columns)
    return 2 * d * k**2 - 2 * k**3 / 3


def svd(rows: int, columns: int, *, vectors: bool = True) -> float:
    """The cheaper of Golub-Reinsch and the same after a QR factorization."""
    d, k = max(rows, columns), min(rows, columns)
    if vectors:
        return min(14 * d * k**2 + 8 * k**3, 6 * d * k**2 + 20 * k**3)
    return min(4 * d * k**2 - 4 * k**3 / 3, 2 * d * k**2 + 2 * k**3)


def eigh(size: int, *, vectors: bool = True) -> float:
    """Symmetric QR algorithm: 9 n^3 with vectors, 4 n^3 / 3 without."""
    return 9 * size**3 if vectors else 4 * size**3 / 3


def solve(size: int, columns: int) -> float:
    """LU and two triangular systems: 2 n^3 / 3 + 2 n^2 r."""
    return 2 * size**3 / 3 + 2 * size**2 * columns


def matrix_exp(size: int) -> float:
    """The five products of a Taylor polynomial of degree 18: 10 n^3; squarings, whose number depends on the norm, are
    not included (Bader, Blanes and Casas 2019, doi:10.3390/math7121174).
    """
    return 10 * size**3


def count(call: Callable[[], object]) -> int:
    """Floating-point operations of a call, rounded; deterministic.

    Args:
        call: the work, backward passes included. It is run once.
    """
    values = _Values()
    table = _TABLE | {operation: values.less(formula) for operation, formula in _SPECTRAL.items()}
    with _Operations(table) as seen, values:
        call()
    return seen.total


class _Operations(TorchDispatchMode):
    """Adds up a table's count of every operation that is executed.

    Torch's own mode follows modules by gradient hooks, which fail if a parametrization is computed without grad.
    """

    def __init__(self, table: Mapping[Any, Callable[..., int]]) -> None:
        super().__init__()
        self.total = 0
        self._table = table

    def __torch_dispatch__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in self._table:
            shapes = [arg.shape if isinstance(arg, Tensor) else arg for arg in args]
            self.total += self._table[packet](*shapes, **(kwargs or {}))
        elif packet in flop_registry:
            self.total += flop_registry[packet](*args, **(kwargs or {}), out_val=out)
        return out


class _Values(TorchFunctionMode):
    """Detects when only singular values or eigenvalues are needed, without gradient: then torch computes no vectors.

    At the level below, where operations are counted, torch requests vectors whenever a mode is active.
    """

    def __init__(self) -> None:
        super().__init__()
        self._alone = False

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = self._alone
        if func in _VALUES:
            self._alone = not (torch.is_grad_enabled() and args[0].requires_grad)
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self._alone = before

    def less(self, formula: Callable[..., float]) -> Callable[..., int]:
        """The formula of an operation, without vectors if none are needed."""
        return lambda a, *_, **__: _batched(formula, a, *a[-2:], vectors=not self._alone)


def _batched(formula: Callable[..., float], shape: Shape, *arguments: int, **options: Any) -> int:
    return math.prod(shape[:-2]) * round(formula(*arguments, **options))


def _qr(a: Shape, mode: str = "reduced", *_: Any, **__: Any) -> int:
    return _batched(qr, a, *a[-2:], mode=mode)


def _reflect(a: Shape, *_: Any, **__: Any) -> int:
    return _batched(reflect, a, *a[-2:])


def _solve(a: Shape, b: Shape, *_: Any, **__: Any) -> int:
    # A right-hand side with one dimension fewer than the matrix is a vector.
    return _batched(solve, a, a[-1], b[-1] if len(b) == len(a) else 1)


def _triangular(a: Shape, b: Shape, *_: Any, left: bool = True, **__: Any) -> int:
    return math.prod(a[:-2]) * a[-1] ** 2 * (b[-1] if left else b[-2])


def _cholesky(a: Shape, *_: Any, **__: Any) -> int:
    return math.prod(a[:-2]) * round(a[-1] ** 3 / 3)


def _inverse(a: Shape, *_: Any, **__: Any) -> int:
    return math.prod(a[:-2]) * 2 * a[-1] ** 3


def _factor(a: Shape, *_: Any, **__: Any) -> int:
    return math.prod(a[:-2]) * round(2 * a[-1] ** 3 / 3)


def _lu_solve(lu: Shape, pivots: Shape, b: Shape, *_: Any, **__: Any) -> int:
    return math.prod(b[:-2]) * 2 * lu[-1] ** 2 * b[-1]


def _exponential(a: Shape, *_: Any, **__: Any) -> int:
    return _batched(matrix_exp, a, a[-1])


def _convolution_backward(grad: Shape, x: Shape, w: Shape, *rest: Any, **__: Any) -> int:
    """Each gradient costs as much as the convolution; torch's own formula counts that of a grouped kernel too often."""
    transposed, mask = rest[4], rest[7]
    positions = math.prod((x if transposed else grad)[2:])
    return 2 * grad[0] * positions * math.prod(w) * sum(mask[:2])


def _vector(a: Shape, *_: Any, **__: Any) -> int:
    return 2 * math.prod(a)


_TABLE: dict[Any, Callable[..., int]] = {
    _ATEN.linalg_qr: _qr,
    _ATEN.geqrf: _reflect,
    _ATEN.linalg_householder_product: _reflect,
    _ATEN._linalg_solve_ex: _solve,  # noqa: SLF001  # what torch.linalg.solve dispatches to
    _ATEN.linalg_solve_triangular: _triangular,
    _ATEN.linalg_cholesky_ex: _cholesky,
    _ATEN.linalg_inv_ex: _inverse,
    _ATEN.linalg_lu_factor_ex: _factor,
    _ATEN.linalg_lu_solve: _lu_solve,
    _ATEN.linalg_matrix_exp: _exponential,
    _ATEN.convolution_backward: _convolution_backward,
    _ATEN.mv: _vector,
    _ATEN.dot: _vector,
}
_SPECTRAL: Mapping[Any, Callable[..., float]] = {
    _ATEN._linalg_svd: svd,  # noqa: SLF001  # what torch.linalg.svd dispatches to
    _ATEN._linalg_eigh: lambda rows, _, *, vectors: eigh(rows, vectors=vectors),  # noqa: SLF001  # of torch.linalg.eigh
}
_VALUES = frozenset(
    {torch.linalg.svdvals, torch.linalg.eigvalsh, torch.linalg.matrix_norm, torch.linalg.norm, torch.linalg.cond}
)
