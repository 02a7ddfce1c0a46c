"""Matrices from files of the user's: read without running anything, checked, and factored for the true value."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from kexue_bench.lab.own import RefusedError, content

from .contract import Kind, Target

if TYPE_CHECKING:
    from scipy.sparse import csc_array

DENSE, SPARSE = 2**14, 2**20
"""Most rows of a dense matrix, 2 GiB of float64, and of a sparse one."""
SYMMETRY = 1e-6
"""Largest |a_ij - a_ji| over the largest entry: files often hold what was computed in float32."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """A square matrix of finite float64 numbers, dense or sparse.

    Args:
        name: the file's name, for messages.
        dense: `[n, n]`; None if it is sparse.
        sparse: `[n, n]`; None if it is dense.
    """

    name: str
    dense: Tensor | None
    sparse: csc_array | None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.dense) if self.dense is not None else cast("tuple[int, int]", self._sparse.shape)[0]

    @property
    def _sparse(self) -> csc_array:
        assert self.sparse is not None
        return self.sparse

    @cached_property
    def whole(self) -> Tensor:
        """The dense matrix, whatever the file holds.

        Raises:
            ValueError: it is sparse and too large.
        """
        if self.dense is not None:
            return self.dense
        if self.n > DENSE:
            raise ValueError(
                f"{self.name} must have at most {DENSE} rows for a value that needs the dense matrix, got {self.n}"
            )
        return torch.from_numpy(self._sparse.toarray())

    @property
    def sums(self) -> tuple[float, float]:
        """Largest sums of |a_ij| over a row and over a column; the first bounds every |eigenvalue| (Gershgorin)."""
        if self.dense is not None:
            sizes = self.dense.abs()
            return float(sizes.sum(1).max()), float(sizes.sum(0).max())
        sizes = abs(self._sparse)
        return float(sizes.sum(axis=1).max()), float(sizes.sum(axis=0).max())

    @cached_property
    def asymmetry(self) -> float:
        """Largest |a_ij - a_ji| as a share of the largest |a_ij|."""
        if self.dense is not None:
            largest = float(self.dense.abs().max())
            return float((self.dense - self.dense.mT).abs().max()) / largest if largest else 0.0
        largest = float(abs(self._sparse).max())
        return float(abs(self._sparse - self._sparse.T).max()) / largest if largest else 0.0

    def product(self, dtype: torch.dtype, device: torch.device) -> Callable[[Tensor], Tensor]:
        """V `[n, m]` -> A V."""
        matrix = self._tensor().to(device, dtype)
        return lambda v: matrix @ v

    def transposed(self, dtype: torch.dtype, device: torch.device) -> Callable[[Tensor], Tensor]:
        """V `[n, m]` -> A^T V."""
        other = Matrix(
            name=self.name,
            dense=None if self.dense is None else self.dense.mT,
            sparse=None if self.sparse is None else self.sparse.T.tocsc(),
        )
        return other.product(dtype, device)

    def _tensor(self) -> Tensor:
        if self.dense is not None:
            return self.dense
        rows = self._sparse.tocsr()
        with warnings.catch_warnings():
            # Products of compressed rows are stable; torch still announces the layout as beta.
            warnings.simplefilter("ignore", UserWarning)
            return torch.sparse_csr_tensor(
                torch.from_numpy(rows.indptr.astype(np.int64)),
                torch.from_numpy(rows.indices.astype(np.int64)),
                torch.from_numpy(rows.data),
                rows.shape,
            )

    def value(self, kind: Kind, target: Target) -> float:
        """The log-determinant, trace or trace of the inverse of A (`spd`), or log |det(I + J)| (`residual`).

        Raises:
            ValueError: A is not positive definite, or I + J is singular.
        """
        if target == "trace":
            return float(self.dense.diagonal().sum() if self.dense is not None else self._sparse.diagonal().sum())
        if kind == "residual":
            return self._of_residual
        if target == "inverse":
            inverse = torch.cholesky_inverse(self._factor(self.whole))
            return float(inverse.diagonal().sum())
        return self._logdet

    @cached_property
    def _logdet(self) -> float:
        if self.dense is not None:
            return float(2 * self._factor(self.dense).diagonal().log().sum())
        pivots = self._pivots(self._sparse)
        if pivots is None or not bool((pivots > 0).all()):
            raise ValueError(self._indefinite("a pivot of its sparse factorization is not positive"))
        return float(np.log(pivots).sum())

    @cached_property
    def _of_residual(self) -> float:
        from scipy import sparse

        if self.dense is not None:
            value = float(torch.linalg.slogdet(torch.eye(self.n, dtype=torch.float64) + self.dense).logabsdet)
        else:
            pivots = self._pivots(sparse.csc_array(sparse.eye_array(self.n) + self._sparse), symmetric=False)
            value = -np.inf if pivots is None else float(np.log(np.abs(pivots)).sum())
        if not np.isfinite(value):
            raise ValueError(f"{self.name}: I + J must be regular, got a determinant of 0")
        return value

    def _factor(self, matrix: Tensor) -> Tensor:
        factor, info = torch.linalg.cholesky_ex(matrix)
        if int(info):
            raise ValueError(self._indefinite(f"the leading {int(info)} x {int(info)} block is not"))
        return factor

    def _indefinite(self, why: str) -> str:
        return (
            f"{self.name} must be positive definite, and {why}; add a multiple of the identity, or take a part of the "
            "matrix without repeated rows"
        )

    @staticmethod
    def _pivots(matrix: csc_array, *, symmetric: bool = True) -> np.ndarray | None:
        """The diagonal of U of a sparse LU factorization; None if the matrix is singular."""
        from scipy.sparse.linalg import splu

        how: dict[str, Any] = (
            # Without pivoting off the diagonal, U has the pivots of the symmetric factorization, with their signs.
            {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
            if symmetric
            else {}
        )
        try:
            return splu(matrix, **how).U.diagonal()
        except RuntimeError:
            return None


# -- files ------------------------------------------------------------------------------------------------------------


def read(place: str) -> Matrix:
    """The matrix of a file: `.npy`, `.npz` (one array, or `scipy.sparse.save_npz`), `.mtx` (Matrix Market), or `.pt`
    (one tensor, read weights-only).

    Raises:
        ValueError: the file holds no such matrix: of another kind, damaged, a pickle, not square, too large, complex,
            or with numbers that are not finite.
    """
    readers = {".npy": _npy, ".npz": _npz, ".mtx": _mtx, ".pt": _pt}
    return content(place, {suffix: _checked_after(reader) for suffix, reader in readers.items()}, what="a matrix")


def _checked_after(reader: Callable[[Path], object]) -> Callable[[Path], Matrix]:
    return lambda path: _checked(reader(path), path.name)


def _npy(path: Path) -> object:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        array.close()
        raise RefusedError(f"must hold one array, got {type(array).__name__}; an archive ends in .npz")
    _limit(array.shape, DENSE)
    return array


def _npz(path: Path) -> object:
    from scipy import sparse

    with zipfile.ZipFile(path) as archive:
        unpacked = sum(item.file_size for item in archive.infolist())
        if unpacked > 8 * DENSE * DENSE + (1 << 20):
            raise RefusedError(f"must unpack to at most {8 * DENSE * DENSE >> 20} MiB, got {unpacked >> 20} MiB")
    with np.load(path, allow_pickle=False) as arrays:
        if "format" in arrays.files and "shape" in arrays.files:
            _limit(tuple(map(int, arrays["shape"])), SPARSE)
            return sparse.load_npz(path)
        if len(arrays.files) != 1:
            got = ", ".join(arrays.files[:8]) or "none"
            raise RefusedError(f"must hold one array, or what scipy.sparse.save_npz writes, got {got}")
        return arrays[arrays.files[0]]


def _mtx(path: Path) -> object:
    from scipy import io

    rows, columns, _, layout, *_ = io.mminfo(path)
    _limit((rows, columns), DENSE if layout == "array" else SPARSE)
    return io.mmread(path)


def _pt(path: Path) -> object:
    found = torch.load(path, weights_only=True, map_location="cpu")
    if isinstance(found, dict) and len(found) == 1:
        (found,) = found.values()
    if not isinstance(found, Tensor):
        raise RefusedError(f"must hold one tensor, got {type(found).__name__}")
    _limit(tuple(found.shape), SPARSE if found.layout != torch.strided else DENSE)
    found = found.detach()
    if found.layout == torch.strided:
        return found.resolve_conj().to(torch.complex128 if found.is_complex() else torch.float64).numpy()
    from scipy import sparse

    entries = found.to_sparse_coo().coalesce()
    return sparse.coo_array((entries.values().to(torch.float64).numpy(), entries.indices().numpy()), found.shape)


def _limit(shape: tuple[int, ...], most: int) -> None:
    if len(shape) != 2 or shape[0] != shape[1] or not shape[0]:
        raise RefusedError(f"must hold a square matrix [n, n], got the shape {list(shape)}")
    if shape[0] > most:
        raise RefusedError(f"must have at most {most} rows, got {shape[0]}; give a function (own-operator)")


def _checked(found: Any, name: str) -> Matrix:
    from scipy import sparse

    is_sparse = sparse.issparse(found)
    array: Any = found if is_sparse else np.asarray(found)
    if array.dtype.kind == "c":
        raise RefusedError(
            "must be real, got complex numbers; for a Hermitian matrix H give the real [[Re H, -Im H], [Im H, Re H]] "
            "and halve the result"
        )
    if array.dtype.kind not in "fiub":
        raise RefusedError(f"must hold numbers, got {array.dtype}")
    _limit(tuple(map(int, array.shape)), SPARSE if is_sparse else DENSE)
    values = array.tocsc().data if is_sparse else array
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise RefusedError(f"must hold finite numbers, got {bad} that are nan or infinite")
    if is_sparse:
        return Matrix(name=name, dense=None, sparse=sparse.csc_array(array, dtype=np.float64))
    return Matrix(name=name, dense=torch.from_numpy(array.astype(np.float64)), sparse=None)
