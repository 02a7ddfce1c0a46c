"""The contract of the family: operators behind counted block products, and the methods that estimate from them.

Two kinds of operator: `spd`, for log det A, and `residual`, for log |det(I + J)|, whose products
are with J (||J||_2 < 1 for the blocks of an invertible residual network). One *product* is the base operator
times one vector; a block product with m columns is m products, whatever function of the operator it serves. The target
of an `spd` operator may also be its trace or that of its inverse (`target`). Products for preparation (bounds, a
preconditioner) or for a gradient are counted like all others, and also listed separately.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from kexue_bench.lab.precision import working

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.noise import Noise

Kind = Literal["spd", "residual"]
Target = Literal["logdet", "trace", "inverse"]
Purpose = Literal["setup", "bounds", "backward"]
Product = Callable[[Tensor], Tensor]

CEILING = 64
"""How many budgets a call may spend if its budget is an expectation, so that a runaway stopping rule still ends."""


class BudgetError(ValueError):
    """More products were requested than the budget of the call allows."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds of a spectrum that are known before any product, and their origin.

    Args:
        low: lower bound of the eigenvalues (`spd`).
        high: upper bound of the eigenvalues (`spd`).
        norm: upper bound of ||J||_2 (`residual`).
        provenance: `exact` (the value itself), `proven` (a bound that holds), `estimated` (may be violated); empty
            if nothing is known.
        origin: where it comes from, in words (`closed form`, `Gershgorin`, `power iteration, 12 products`).
    """

    low: float | None = None
    high: float | None = None
    norm: float | None = None
    provenance: Literal["", "exact", "proven", "estimated"] = ""
    origin: str = ""


UNBOUNDED = Bounds()

_ROUNDS = "in half precision each of them rounds the vector: cast the operator to float32"
_REMEDIES = {
    torch.bfloat16: _ROUNDS,
    torch.float16: _ROUNDS,
    torch.complex64: "for a Hermitian matrix H give the real [[Re H, -Im H], [Im H, Re H]] and halve the result",
    torch.complex128: "for a Hermitian matrix H give the real [[Re H, -Im H], [Im H, Re H]] and halve the result",
}


class Operator:
    """A linear operator, or a batch of them, that is accessed through products only; every product is counted.

    Args:
        kind: `spd` or `residual`.
        n: number of rows.
        product: `V [*batch_shape, n, m]` -> A V (J V for `residual`), same shape; must not write to V.
        transposed: the same for the transpose; None if it is not available. An `spd` operator does not need it.
        dtype: dtype of the products, float32 or float64.
        device: where they are computed.
        batch_shape: leading shape of a batch of operators; a block product counts its columns once per batch.
        bounds: known bounds of the spectrum.
        target: what to estimate for an `spd` operator: its log-determinant, its trace, or the trace of its inverse.
        entries: returns the sparse matrix itself; None if only products are available.
        params: leaf tensors that the products depend on. If there are any, their gradient is estimated: under
            `torch.enable_grad()` a product carries their graph.
        matrix: returns the dense matrix itself `[n, n]`, if its owner has it: only `exact` takes it.
    """

    def __init__(
        self,
        *,
        kind: Kind,
        n: int,
        product: Product,
        transposed: Product | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
        batch_shape: tuple[int, ...] = (),
        bounds: Bounds = UNBOUNDED,
        target: Target = "logdet",
        entries: Callable[[], csc_array] | None = None,
        params: tuple[Tensor, ...] = (),
        matrix: Callable[[], Tensor] | None = None,
    ) -> None:
        if kind not in ("spd", "residual"):
            raise ValueError(f"kind must be 'spd' or 'residual', got {kind!r}")
        if target not in ("logdet", "trace", "inverse") or (kind == "residual" and target != "logdet"):
            known = "'logdet', or 'trace' or 'inverse' of an SPD operator"
            raise ValueError(f"target must be {known}, got {target!r} of a {kind} one")
        if n < 1:
            raise ValueError(f"n must be >= 1, got {n}")
        if 0 in batch_shape:
            raise ValueError(f"a batch must hold at least one operator, got batch_shape {tuple(batch_shape)}")
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"products must be in float32 or float64, got {dtype}; {_REMEDIES.get(dtype, 'cast the operator')}"
            )
        self.kind: Kind = kind
        self.n, self.dtype, self.device = n, dtype, torch.device(device)
        self.batch_shape, self.bounds = tuple(batch_shape), bounds
        self.target: Target = target
        self.params = tuple(params)
        self._product = product
        self._transposed = product if kind == "spd" else transposed
        self._entries, self._matrix = entries, matrix
        self._counter: Counter | None = None
        self._allowed: int | None = None
        self._purpose: Purpose | None = None
        self.spent = 0

    @classmethod
    def of(cls, matrix: Tensor, kind: Kind, *, bounds: Bounds = UNBOUNDED, target: Target = "logdet") -> Operator:
        """The operator of a dense matrix `[*batch_shape, n, n]` (A for `spd`, J for `residual`).

        A matrix in half precision is held in float32.
        """
        if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
            raise ValueError(f"matrix must be [*batch, n, n], got {list(matrix.shape)}")
        matrix = matrix.to(working(matrix.dtype))
        return cls(
            kind=kind,
            n=matrix.shape[-1],
            product=lambda v: matrix @ v,
            transposed=lambda v: matrix.mT @ v,
            dtype=matrix.dtype,
            device=matrix.device,
            batch_shape=tuple(matrix.shape[:-2]),
            bounds=bounds,
            target=target,
        )

    def within(
        self, *, budget: int, repeats: int, counter: Counter | None = None, in_expectation: bool = False
    ) -> Operator:
        """This operator for one call: nothing spent yet, at most `budget` products for each of `repeats` repeats.

        Args:
            budget: products a repeat may spend, >= 1.
            repeats: repeats of the call; they share its block products, so the limit applies to their sum.
            counter: counts the products, in the unit `products`; those for a purpose also under its name.
            in_expectation: the budget is a mean, for methods whose cost is random; `CEILING` times it is enforced.
        """
        if budget < 1 or repeats < 1:
            raise ValueError(f"budget and repeats must be >= 1, got {budget} and {repeats}")
        metered = copy.copy(self)
        allowed = budget * repeats * (CEILING if in_expectation else 1)
        vars(metered).update(_allowed=allowed, _counter=counter, _purpose=None, spent=0)
        return metered

    @contextmanager
    def billing(self, purpose: Purpose) -> Iterator[None]:
        """Products inside also count as `setup`, `bounds` or `backward`."""
        before, self._purpose = self._purpose, purpose
        try:
            yield
        finally:
            self._purpose = before

    def mv(self, v: Tensor) -> Tensor:
        """A V (J V for `residual`): `[*batch_shape, n, m]` -> the same shape; counts m products.

        Raises:
            BudgetError: the call would exceed its budget; nothing was computed.
        """
        self._bill(v)
        return self._product(v)

    def rmv(self, v: Tensor) -> Tensor:
        """A^T V (J^T V for `residual`), counted like `mv`.

        Raises:
            BudgetError: as in `mv`.
            ValueError: the operator has no transpose.
        """
        if self._transposed is None:
            raise ValueError("this operator has no transposed product; use mv, or set `transposed`")
        self._bill(v)
        return self._transposed(v)

    def dense(self) -> Tensor:
        """The matrix itself, `[*batch_shape, n, n]`, by n products with the columns of the identity."""
        eye = torch.eye(self.n, dtype=self.dtype, device=self.device)
        return self.mv(eye.expand(*self.batch_shape, self.n, self.n))

    @property
    def has_transpose(self) -> bool:
        """Whether `rmv` is available."""
        return self._transposed is not None

    @property
    def has_matrix(self) -> bool:
        """Whether `matrix` is available."""
        return self._matrix is not None

    def matrix(self) -> Tensor:
        """The dense matrix `[n, n]`, without products; counts its numbers in the unit `entries`.

        Raises:
            ValueError: the operator is available through products only.
        """
        if self._matrix is None:
            raise ValueError("this operator is available through products only; use mv, or set `matrix`")
        matrix = self._matrix()
        if self._counter is not None:
            self._counter.add(entries=matrix.numel())
        return matrix

    @property
    def has_entries(self) -> bool:
        """Whether `entries` is available."""
        return self._entries is not None

    def entries(self) -> csc_array:
        """The sparse matrix; counts its nonzeros in the unit `entries`, which cannot be converted to products.

        Raises:
            ValueError: the operator is available through products only.
        """
        if self._entries is None:
            raise ValueError("this operator is available through products only; use mv, or set `entries`")
        matrix = self._entries()
        if self._counter is not None:
            self._counter.add(entries=int(matrix.nnz))
        return matrix

    def _bill(self, v: Tensor) -> None:
        rows = (*self.batch_shape, self.n)
        if tuple(v.shape[:-1]) != rows:
            raise ValueError(f"a block must be [{', '.join(map(str, rows))}, m], got {list(v.shape)}")
        columns = v.shape[-1]
        if self._allowed is not None and self.spent + columns > self._allowed:
            raise BudgetError(
                f"this call may spend {self._allowed} products, got {self.spent} spent and {columns} more requested; "
                "make the method cheaper or raise the task's budget"
            )
        self.spent += columns
        if self._counter is not None:
            self._counter.add(products=columns, **({self._purpose: columns} if self._purpose else {}))


@dataclass(frozen=True, kw_only=True)
class LogdetSample:
    """Independent estimates from one call.

    Args:
        value: the estimates `[R, *batch_shape]`, float64, detached.
        stderr: the method's standard error of each value, same shape: that of its probes and, if it truncates a series
            or a Krylov space, that of the truncation, as the root of the sum of squares; inf where the truncation
            is unknown, None if the method has none.
        surrogate: one scalar per repeat, `[R, *batch_shape]`, whose backward pass is that repeat's gradient estimate in
            `op.params`; None if the method has none or `op.params` is empty. It need not equal `value`.
        bracket: lower and upper end for each value's error other than that of its probes, each of the shape of
            `value`; None if the method has none.
        products: products of each repeat `[R]`, int64, if the cost is random; None if all repeats cost the same.
        spread: the standard error of the probes alone, same shape; None if there is no other.
        truncation: an estimate of the truncation error, same shape, that covers it as a standard error; inf where it is
            unknown, None if nothing is truncated.
        note: says that a truncation has not converged, and what to do; empty otherwise.
    """

    value: Tensor
    stderr: Tensor | None = None
    surrogate: Tensor | None = None
    bracket: tuple[Tensor, Tensor] | None = None
    products: Tensor | None = None
    spread: Tensor | None = None
    truncation: Tensor | None = None
    note: str = ""


@runtime_checkable
class LogdetMethod(Protocol):
    """The interface of a method of this family: a frozen dataclass of hyper-parameters with one function.

    A method with a random cost has the class attribute `random_cost = True`: its budget is then an expectation,
    and its samples carry `products`.
    """

    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """Estimate log det A, tr A or tr A^-1 (`spd`, by its `target`) or log |det(I + J)| (`residual`).

        Args:
            op: the operator, the only source of information on it. Whatever the caller's grad mode, only the surrogate
                keeps a graph.
            budget: products that each repeat may spend; `op` refuses more.
            noise: the only source of randomness.
            repeats: number R of independent repeats, all computed in this call (folded into columns). They share no
                work: a repeat costs what a call with R = 1 costs, or the cost of one draw would depend on R.

        Raises:
            BudgetError: the hyper-parameters require more products than the budget.
            ValueError: the method does not fit this operator.
        """
        ...


def afford(products: int, budget: int) -> None:
    """Raise before any work if the plan of a repeat exceeds its budget.

    Raises:
        BudgetError: `products` exceed `budget`.
    """
    if products > budget:
        raise BudgetError(
            f"a repeat may spend {budget} products, got a plan of {products}; "
            "lower the method's parameters or raise the task's budget"
        )
