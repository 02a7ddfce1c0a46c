"""Soft sorting and ranking by projection onto the permutahedron."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method

from ..contract import Bound
from ..kinds import RankOperator, SortOperator
from ..pooling import project
from ..words import BOUNDED


def _descending(n: int, like: Tensor) -> Tensor:
    return torch.arange(n, 0, -1, dtype=like.dtype, device=like.device).expand_as(like)


@method(
    "fast-soft-sort",
    "Projection onto the permutahedron of x.",
    needs="sort",
    claims=("error-bound", "hard-limit", "gradient-matches-value", "symmetric", "vertex-exact"),
    references=("Blondel et al. 2020, arXiv:2002.08871",),
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class FastSoftSort(SortOperator):
    """argmin over y in the hull of all orders of x of |y - (n, ..., 1) / s|^2, by isotonic regression in n log n.

    With quadratic regularisation; the softness s is epsilon of the paper, in the inverse unit of x. Piecewise linear;
    exactly the sorted entries while no gap between neighbours exceeds 1 / s, and the whole row less spread than it
    should be otherwise: its error has no uniform bound, and is at most max x - min x.

    Examples:
        >>> import torch
        >>> FastSoftSort().apply(torch.tensor([5.0, 1.0, 2.0]), softness=1.0)
        tensor([1.6667, 2.6667, 3.6667])
    """

    def order(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `SortOperator.order`."""
        w = x.sort(-1, descending=True).values
        # Scaled by s, which moves no minimum and lets s be tiny; shifted, lest the larger numbers eat the smaller.
        centre = w.detach().mean(-1, keepdim=True)
        z = _descending(x.shape[-1], x) / softness
        z = z - z.mean(-1, keepdim=True)
        return (project(z, w - centre) + centre).flip(-1)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`.

        Raises:
            ValueError: no x was given.
        """
        if x is None:
            raise ValueError("the error of fast-soft-sort grows with the spread of x, got no x")
        ordered = x.sort().values
        widest = float(ordered.diff().max()) if n > 1 else 0.0
        return Bound(0.0, float(ordered[-1] - ordered[0]) if widest * softness > 1 else 0.0)


@method(
    "fast-soft-rank",
    "Projection onto the permutahedron of the ranks.",
    needs="rank",
    claims=(*BOUNDED, "symmetric", "vertex-exact"),
    references=("Blondel et al. 2020, arXiv:2002.08871",),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class FastSoftRank(RankOperator):
    """argmin over y in the hull of all orders of (n, ..., 1) of |y - x / s|^2, by isotonic regression in n log n.

    With quadratic regularisation; the softness s is epsilon of the paper. Ranks sum to n (n + 1) / 2. Exactly the hard
    ranks, with gradient zero, once the closest two entries are s apart; at ties each has the mean rank, which is (n -
    1) / 2 away from the extreme ones.

    Examples:
        >>> import torch
        >>> FastSoftRank().apply(torch.tensor([5.0, 1.0, 2.0]), softness=2.0)
        tensor([3.0000, 1.2500, 1.7500])
    """

    def ranks(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `RankOperator.ranks`."""
        centred = x - x.detach().mean(-1, keepdim=True)
        # Gaps beyond n softnesses say nothing more, and huge numbers would eat the ranks.
        z, order = centred.sort(-1)
        steps = (z.diff(dim=-1) / softness).clamp(max=float(x.shape[-1]))
        z = torch.cat([torch.zeros_like(z[..., :1]), steps.cumsum(-1)], -1)
        ranks = project(z, _descending(x.shape[-1], x))
        return torch.empty_like(ranks).scatter(-1, order, ranks)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, 0.0 if gap >= softness else (n - 1) / 2)
