"""What a smooth stand-in is: which hard function it stands for, how it is called, and what it says of its error.

Operators differ in what they stand for, so `kind` names the hard function, and only operators of one kind meet in a
table. Every kind has one signature of `apply`; `softness` s > 0 always means "towards 0 is hard", in the unit of x
unless an operator says otherwise (1/K of an inverse temperature K, epsilon of a regularisation, 1/p of a norm).

    kind      hard function                     apply                                       gives
    max       largest entry                     (x, softness, dim, mask)                    [*batch]
    argmax    its index, from 0                 (x, softness, dim, mask)                    [*batch]
    one-hot   indicator of the largest entry    (x, softness, dim, mask)                    shape of x
    sample    the same of x plus Gumbel noise   (x, softness, noise, dim, mask)             shape of x
    cumax     running sum of that indicator     (x, softness, dim, mask)                    shape of x
    top-k     indicator of the k largest        (x, softness, k, dim, mask)                 shape of x
    sort      entries in ascending order        (x, softness, dim, descending)              shape of x
    rank      rank from 1 of every entry        (x, softness, dim, descending)              shape of x
    relu, abs, step, round, floor               (x, softness)                               shape of x

A mask is True where an entry takes part; so does no entry of minus infinity. A row without entries has the maximum
minus infinity and an indicator of zeros. Stochastic operators take `noise` besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from kexue_bench.lab.noise import Noise

SCALARS = frozenset({"relu", "abs", "step", "round", "floor"})
"""Kinds that act on each entry alone."""
KINDS = ("max", "argmax", "one-hot", "sample", "cumax", "top-k", "sort", "rank", *sorted(SCALARS))
VERTICES = frozenset({"one-hot", "top-k", "cumax", "sample"})
"""Kinds whose error is the sum of absolute differences; that of the others is the largest one."""


class Bound(NamedTuple):
    """The smallest and the largest error that can occur.

    For `max` the error is soft minus hard, with its sign; for the indicators (`VERTICES`) the sum of absolute
    differences over a row; for all others the largest absolute difference.
    """

    low: float
    high: float


@runtime_checkable
class Smoothing(Protocol):
    """A smooth operator.

    Attributes:
        kind: the hard function it stands for, one of `KINDS`.
    """

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        ...

    @property
    def apply(self) -> Callable[..., Tensor]:
        """A method `(x, *, softness, ...)` giving the soft value; further keywords by kind, see the module.

        It leaves x as it is, and raises ValueError where the softness is not positive or x does not fit the kind.
        """
        ...

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound | None:
        """Bounds of the error over all inputs with that gap, or for `x` where the operator needs to see it.

        Args:
            n: entries of a row.
            gap: a distance that the input is known to keep from where the hard function jumps or bends, >= 0; 0 where
                nothing is known. Largest entry to the next (`max`, `argmax`, `one-hot`, `cumax`, and `sample` after its
                noise), k-th to the next (`top-k`), closest two entries (`rank`), |x| (`relu`, `abs`, `step`), x to the
                nearest half-integer (`round`) or integer (`floor`); `sort` uses none.
            softness: as in `apply`.
            x: one input `[n]`.
            k: of `top-k`.

        Returns:
            None where nothing is declared.
        """
        ...


def checked_softness(softness: float | Tensor, dtype: torch.dtype) -> float | Tensor:
    """The softness itself; a tensor is taken as it is, since looking at it would wait for its device.

    Raises:
        ValueError: it is not positive, not finite, or too small for the dtype, or that is not floating.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"x must be floating, got {dtype}; write x.float()")
    if isinstance(softness, Tensor):
        return softness
    tiny = torch.finfo(dtype).tiny
    if not tiny <= softness < float("inf"):
        limit = "for the limit use the hard function" if softness == 0 else f"the least of {dtype} is {tiny:.2g}"
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
    """Keywords of one call of `apply`: `k` for `top-k` alone, `noise` for stochastic operators alone."""
    keywords: dict[str, Any] = {"softness": softness}
    if operator.kind == "top-k":
        keywords["k"] = k
    if getattr(operator, "stochastic", False):
        keywords["noise"] = noise
    return keywords


def fitting(method: object, kind: str) -> Smoothing:
    """The operator of a method for a kind; a method of many kinds has `of(kind)`.

    Raises:
        TypeError: it is no smoothing.
        ValueError: it stands for another hard function.
    """
    operator = method.of(kind) if hasattr(method, "of") else method  # pyright: ignore[reportAttributeAccessIssue]  # just seen
    if not isinstance(operator, Smoothing):
        raise TypeError(f"a smoothing has `kind`, `apply` and `bound`, got {type(method).__name__}")
    if operator.kind != kind:
        raise ValueError(f"{type(method).__name__} stands for {operator.kind!r}, and the task wants {kind!r}")
    return operator
