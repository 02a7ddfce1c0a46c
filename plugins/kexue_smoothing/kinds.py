"""Base classes of the operators: one signature of `apply` per kind, and the code that operators of a kind share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from kexue_bench.lab.precision import finite, precise, within

from .contract import Bound, checked_k, checked_softness
from .rows import Rows, finite_ends, last, placed, rows

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


class Operator(ABC):
    """Base of every operator of this package.

    Attributes:
        kind: the hard function that it smooths.
        stochastic: whether `apply` takes `noise`.
    """

    kind: str
    stochastic: ClassVar[bool] = False

    @abstractmethod
    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound | None:
        """See `Smoothing.bound`."""


class MaxOperator(Operator):
    """A soft maximum."""

    kind: str = "max"

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor, dim: int = -1, mask: Tensor | None = None) -> Tensor:
        """The soft maximum along `dim`; minus infinity for a row without entries."""
        softness = checked_softness(softness, x.dtype)
        row = rows(x, dim=dim, mask=mask)
        return row.value(self.above(row, softness))

    @abstractmethod
    def above(self, row: Rows, softness: float | Tensor) -> Tensor:
        """The soft maximum minus the hard one, [*batch]."""


class WeightOperator(Operator):
    """An operator that is built from weights on the entries of a row."""

    def weigh(self, x: Tensor, softness: float | Tensor, dim: int, mask: Tensor | None) -> Tensor:
        """The weights with `dim` last, zero for excluded entries, [*batch, n]."""
        softness = checked_softness(softness, x.dtype)
        row = rows(x, dim=dim, mask=mask)
        return row.indicator(self.weights(row.below / softness))

    @abstractmethod
    def weights(self, u: Tensor) -> Tensor:
        """Weights of scores `u` with largest entry 0, [*batch, n]."""


class OneHotOperator(WeightOperator):
    """A soft indicator of the largest entry."""

    kind: str = "one-hot"

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor, dim: int = -1, mask: Tensor | None = None) -> Tensor:
        """Non-negative weights along `dim` that sum to 1, or to 0 in a row without entries; shape of x."""
        return placed(self.weigh(x, softness, dim, mask), dim)


class ArgmaxOperator(WeightOperator):
    """A soft index of the largest entry."""

    kind: str = "argmax"

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor, dim: int = -1, mask: Tensor | None = None) -> Tensor:
        """The mean index, from 0, along `dim`; 0 in a row without entries; [*batch]."""
        weights = self.weigh(x, softness, dim, mask)
        return weights @ torch.arange(weights.shape[-1], dtype=weights.dtype, device=weights.device)


class CumaxOperator(WeightOperator):
    """A soft step from 0 to 1 at the largest entry."""

    kind: str = "cumax"

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor, dim: int = -1, mask: Tensor | None = None) -> Tensor:
        """Running sums of the weights along `dim`, from 0 up to 1; shape of x."""
        return placed(self.weigh(x, softness, dim, mask).cumsum(-1), dim)


class TopKOperator(Operator):
    """A soft indicator of the k largest entries."""

    kind: str = "top-k"

    @precise
    def apply(
        self, x: Tensor, *, softness: float | Tensor, k: int, dim: int = -1, mask: Tensor | None = None
    ) -> Tensor:
        """Weights along `dim`; all entries of a row with at most k of them have weight 1; shape of x.

        Raises:
            ValueError: k is not between 1 and the number of entries.
        """
        softness = checked_softness(softness, x.dtype)
        entries = last(x, dim)
        checked_k(k, entries.shape[-1])
        least = -torch.finfo(x.dtype).max / 8
        if k < entries.shape[-1] and mask is None and finite(entries):
            row = rows(entries, dim=-1, mask=None)
            return placed(self.choose((row.below / softness).clamp(min=least), k, softness), dim)
        keep = ~entries.isneginf() if mask is None else ~entries.isneginf() & mask.movedim(dim, -1)
        row = rows(finite_ends(entries, softness), dim=-1, mask=keep)
        few = row.count().unsqueeze(-1) <= k
        # Rows that need no choice get dummy scores, because a solver would search for a threshold that does not exist.
        scores = (row.below / softness).clamp(min=least)
        safe = torch.where(few, torch.zeros_like(scores), scores)
        chosen = torch.where(few, torch.ones_like(safe), self.choose(safe, k, softness) if k < safe.shape[-1] else safe)
        return placed(row.indicator(chosen), dim)

    @abstractmethod
    def choose(self, u: Tensor, k: int, softness: float | Tensor) -> Tensor:
        """Weights of scores `u` = x / softness with largest entry 0, 1 <= k < n, [*batch, n]."""


class SortOperator(Operator):
    """A soft order of the entries."""

    kind: str = "sort"

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor, dim: int = -1, descending: bool = False) -> Tensor:
        """Soft order statistics along `dim`, ascending by default; shape of x."""
        softness = checked_softness(softness, x.dtype)
        entries = last(x, dim)
        if finite(entries):
            ordered = self.order(entries, softness)
        else:
            ordered = self.order(self.ends(entries, softness), softness)
            hard = entries.sort(-1).values
            # Not a number is sorted last, where its row is not a number anyway.
            ordered = torch.where(hard.isinf() & ~ordered.isnan(), hard, ordered)
        return placed(ordered.flip(-1) if descending else ordered, dim)

    def ends(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """The entries as `order` takes them: infinite ones at a finite distance, unless it can do without."""
        return finite_ends(x, softness)

    @abstractmethod
    def order(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """Ascending soft order statistics of `x` as `ends` leaves it, [*batch, n]."""


class MatrixSortOperator(SortOperator):
    """A soft order given by a soft permutation matrix times the entries."""

    @precise
    def matrix(self, x: Tensor, *, softness: float | Tensor, dim: int = -1, descending: bool = False) -> Tensor:
        """Row i holds the weights of the entries for the i-th place; [*batch, n, n], entries last."""
        softness = checked_softness(softness, x.dtype)
        p = self.permutation(finite_ends(last(x, dim), softness), softness)
        return p.flip(-2) if descending else p

    @abstractmethod
    def permutation(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """Ascending soft permutation matrix of finite `x`, [*batch, n, n]."""

    def order(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `SortOperator.order`."""
        return (self.permutation(x, softness) @ x.unsqueeze(-1)).squeeze(-1)


class RankOperator(Operator):
    """Soft ranks of the entries."""

    kind: str = "rank"

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor, dim: int = -1, descending: bool = False) -> Tensor:
        """Soft ranks along `dim` between 1 and n, rank 1 for the smallest entry by default; shape of x."""
        softness = checked_softness(softness, x.dtype)
        entries = finite_ends(last(x, dim), softness)
        return placed(self.ranks(-entries if descending else entries, softness), dim)

    @abstractmethod
    def ranks(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """Ascending soft ranks of finite `x`, [*batch, n]."""


class ScalarOperator(Operator):
    """A soft function of each entry separately.

    Attributes:
        reach: |x| in softnesses beyond which it equals the hard function in float64.
    """

    reach: ClassVar[float] = 60.0

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor) -> Tensor:
        """The soft function of each entry, shape of x."""
        softness = checked_softness(softness, x.dtype)
        t = x / softness
        if within(t, self.reach):
            return self.near(t, softness)
        far = t.abs() >= self.reach
        near = torch.where(far, 0, t)
        return torch.where(far, self.far(x), self.near(near, softness))

    @abstractmethod
    def near(self, t: Tensor, softness: float | Tensor) -> Tensor:
        """The soft function at x = t * softness, for |t| below the reach."""

    @abstractmethod
    def far(self, x: Tensor) -> Tensor:
        """The hard function."""


class SampleOperator(WeightOperator):
    """A soft indicator of the largest entry of perturbed scores: the hard function is random as well."""

    kind: str = "sample"
    stochastic: ClassVar[bool] = True

    @abstractmethod
    def perturbed(self, x: Tensor, noise: Noise) -> Tensor:
        """The scores whose largest entry is indicated, shape of x."""

    @precise
    def apply(
        self,
        x: Tensor,
        *,
        softness: float | Tensor,
        noise: Noise,
        dim: int = -1,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Non-negative weights along `dim` that sum to 1, or to 0 in a row without entries; shape of x."""
        return placed(self.weigh(self.perturbed(x, noise), softness, dim, mask), dim)
