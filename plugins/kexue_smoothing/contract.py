"""The contract of a smooth operator: which hard function it smooths, how it is called, and how it bounds its error.

Operators smooth different functions, so `kind` names the hard function, and a table compares operators of one kind
only. Every kind has one signature of `apply`; the operator becomes hard as `softness` s > 0 goes to 0, and s is in the
unit of x unless stated otherwise (1/K for an inverse temperature K, epsilon of a regularization, 1/p of a norm).

    kind      hard function                     apply                                       returns
    max       largest entry                     (x, softness, dim, mask)                    [*batch]
    argmax    its index, from 0                 (x, softness, dim, mask)                    [*batch]
    one-hot   indicator of the largest entry    (x, softness, dim, mask)                    shape of x
    sample    one-hot of x plus Gumbel noise    (x, softness, noise, dim, mask)             shape of x
    cumax     running sum of one-hot            (x, softness, dim, mask)                    shape of x
    top-k     indicator of the k largest        (x, softness, k, dim, mask)                 shape of x
    sort      entries in ascending order        (x, softness, dim, descending)              shape of x
    rank      rank from 1 of every entry        (x, softness, dim, descending)              shape of x
    relu, abs, step, round, floor               (x, softness)                               shape of x

A mask is True for entries that take part; entries of minus infinity never do. A row without entries has the maximum
minus infinity and an indicator of zeros. Stochastic operators take `noise` in addition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from kexue_bench.lab.noise import Noise

SCALARS = frozenset({"relu", "abs", "step", "round", "floor"})
"""Kinds that act on each entry separately."""
KINDS = ("max", "argmax", "one-hot", "sample", "cumax", "top-k", "sort", "rank", *sorted(SCALARS))
VERTICES = frozenset({"one-hot", "top-k", "cumax", "sample"})
"""Kinds whose error is the sum of absolute differences; for the others it is the largest one."""


class Bound(NamedTuple):
    """The smallest and the largest possible error.

    For `max` the error is soft minus hard, with its sign; for the indicators (`VERTICES`) it is the sum of absolute
    differences over a row; for all others the largest absolute difference.
    """

    low: float
    high: float


@runtime_checkable
class Smoothing(Protocol):
    """A smooth operator.

    Attributes:
        kind: the hard function that it smooths, one of `KINDS`.
    """

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        ...

    @property
    def apply(self) -> Callable[..., Tensor]:
        """A method `(x, *, softness, ...)` that returns the soft value; for the keywords of each kind see the module.

        It does not modify x, and raises ValueError if the softness is not positive or x is invalid for the kind.
        """
        ...

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound | None:
        """Bounds on the error over all inputs with this gap, or for `x` if the operator depends on it.

        Args:
            n: entries of a row.
            gap: lower bound on the distance from the input to a jump or kink of the hard function, >= 0; 0 if unknown.
                Largest entry to the next (`max`, `argmax`, `one-hot`, `cumax`, and `sample` after its noise), k-th to
                the next (`top-k`), closest two entries (`rank`), |x| (`relu`, `abs`, `step`), x to the nearest
                half-integer (`round`) or integer (`floor`); unused for `sort`.
            softness: as in `apply`.
            x: one input `[n]`.
            k: number of chosen entries, for `top-k`.

        Returns:
            None if the operator declares no bound.
        """
        ...


class Surrogate(Protocol):
    """A method with an operator for several hard functions."""

    def of(self, kind: str) -> Smoothing:
        """The operator of a kind, one of `KINDS`.

        Raises:
            ValueError: it has none for this kind.
        """
        ...


Operator = Smoothing | Surrogate
"""What a method is: an operator of one kind, or one for each of several."""


def checked_softness(softness: float | Tensor, dtype: torch.dtype) -> float | Tensor:
    """The softness, validated; a tensor is not checked because reading it would synchronize with its device.

    Raises:
        ValueError: it is not positive, not finite or too small for the dtype, or the dtype is not floating point.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"x must be floating point, got {dtype}; write x.float()")
    if isinstance(softness, Tensor):
        return softness
    tiny = torch.finfo(dtype).tiny
    if not tiny <= softness < float("inf"):
        limit = "for the limit use the hard function" if softness == 0 else f"the minimum for {dtype} is {tiny:.2g}"
        raise ValueError(f"softness must be positive and finite, got {softness!r}; {limit}")
    return softness


def checked_k(k: int | None, n: int) -> int:
    """Raise ValueError unless 1 <= k <= n."""
    if k is None or not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and the {n} entries of a row, got {k}")
    return k


def arguments(
    operator: Smoothing, *, softness: float, k: int | None = None, noise: Noise | None = None
) -> dict[str, Any]:
    """Keywords of one call of `apply`: `k` only for `top-k`, `noise` only for stochastic operators."""
    keywords: dict[str, Any] = {"softness": softness}
    if operator.kind == "top-k":
        keywords["k"] = k
    if getattr(operator, "stochastic", False):
        keywords["noise"] = noise
    return keywords


def fitting(method: object, kind: str) -> Smoothing:
    """The operator of a method for a kind; a method of many kinds has `of(kind)`.

    Raises:
        TypeError: it is not a smooth operator.
        ValueError: it smooths another hard function.
    """
    operator = method.of(kind) if hasattr(method, "of") else method  # pyright: ignore[reportAttributeAccessIssue]  # hasattr
    if not isinstance(operator, Smoothing):
        raise TypeError(f"an operator must have `kind`, `apply` and `bound`, got {type(method).__name__}")
    if operator.kind != kind:
        raise ValueError(f"{type(method).__name__} smooths {operator.kind!r}, but the task needs {kind!r}")
    return operator
