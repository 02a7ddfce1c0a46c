"""Soft sorting and ranking by projection onto the permutahedron."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method
from kexue_bench.lab.precision import finite

from ..contract import Bound
from ..kinds import RankOperator, SortOperator
from ..pooling import isotonic, project
from ..words import BOUNDED


def _descending(n: int, like: Tensor) -> Tensor:
    return torch.arange(n, 0, -1, dtype=like.dtype, device=like.device).expand_as(like)


@method(
    "fast-soft-sort",
    "projection onto the permutahedron of x",
    needs="sort",
    claims=("error-bound", "hard-limit", "gradient-matches-value", "symmetric", "vertex-exact"),
    references=("Blondel et al. 2020, arXiv:2002.08871",),
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class FastSoftSort(SortOperator):
    """`argmin_y |y - (n, ..., 1) / s|^2` over the convex hull of all permutations of x, by isotonic regression.

    Quadratic regularization, in O(n log n); the softness s is epsilon of the paper, in the inverse unit of x. Piecewise
    linear; exactly the sorted entries while no gap between adjacent entries exceeds 1 / s, otherwise shrunk towards
    their mean: the error has no uniform bound and is at most max x - min x.

    Examples:
        >>> import torch
        >>> FastSoftSort().apply(torch.tensor([5.0, 1.0, 2.0]), softness=1.0)
        tensor([1.6667, 2.6667, 3.6667])
    """

    def ends(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `SortOperator.ends`; no distance is far enough, because the projection mixes entries over any."""
        return x

    def order(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `SortOperator.order`."""
        w = x.sort(-1, descending=True).values
        if not finite(w) and bool(w.isinf().any()):
            return self._apart(w, softness).flip(-1)
        # Scaling by s keeps the minimizer and allows tiny s; centering avoids cancellation.
        centre = w.detach().mean(-1, keepdim=True)
        z = _descending(x.shape[-1], x) / softness
        z = z - z.mean(-1, keepdim=True)
        return (project(z, w - centre) + centre).flip(-1)

    def _apart(self, w: Tensor, softness: float | Tensor) -> Tensor:
        """The projection of the finite entries of each row among themselves, in descending order, [*batch, n]."""
        infinite = w.isinf()
        count = (~infinite).sum(-1, keepdim=True).clamp(min=1)
        known = w.masked_fill(infinite, 0)
        centre = known.detach().sum(-1, keepdim=True) / count
        z = _descending(w.shape[-1], w) / softness
        z = z - z.masked_fill(infinite, 0).sum(-1, keepdim=True) / count
        v = known - centre - z
        # What is larger than all others stands below all differences, and what is smaller above: they are never pooled.
        with torch.no_grad():
            reach = v.masked_fill(infinite, 0).abs().amax(-1, keepdim=True)
            places = torch.arange(1, w.shape[-1] + 1, dtype=w.dtype, device=w.device)
            far = (2 * reach + 1) * (places - w.shape[-1] * (w > 0).to(w.dtype) - (w > 0).to(w.dtype))
        return z + isotonic(torch.where(infinite, far, v)) + centre

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`.

        Raises:
            ValueError: x is missing.
        """
        if x is None:
            raise ValueError("the error of fast-soft-sort depends on the spread of x, got no x; pass x")
        ordered = x.sort().values
        widest = float(ordered.diff().max()) if n > 1 else 0.0
        return Bound(0.0, float(ordered[-1] - ordered[0]) if widest * softness > 1 else 0.0)


@method(
    "fast-soft-rank",
    "projection onto the permutahedron of the ranks",
    needs="rank",
    claims=(*BOUNDED, "symmetric", "vertex-exact"),
    references=("Blondel et al. 2020, arXiv:2002.08871",),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class FastSoftRank(RankOperator):
    """`argmin_y |y - x / s|^2` over the convex hull of all permutations of (n, ..., 1), by isotonic regression.

    Quadratic regularization, in O(n log n); the softness s is epsilon of the paper. Ranks sum to n (n + 1) / 2. Exactly
    the hard ranks, with zero gradient, once the closest two entries are s apart; if all entries are tied, each has the
    mean rank, which is (n - 1) / 2 away from the extreme ranks.

    Examples:
        >>> import torch
        >>> FastSoftRank().apply(torch.tensor([5.0, 1.0, 2.0]), softness=2.0)
        tensor([3.0000, 1.2500, 1.7500])
    """

    def ranks(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `RankOperator.ranks`."""
        centred = x - x.detach().mean(-1, keepdim=True)
        # Gaps above n softnesses do not change the result, and huge numbers would cost digits of the ranks.
        z, order = centred.sort(-1)
        steps = (z.diff(dim=-1) / softness).clamp(max=float(x.shape[-1]))
        z = torch.cat([torch.zeros_like(z[..., :1]), steps.cumsum(-1)], -1)
        ranks = project(z, _descending(x.shape[-1], x))
        return torch.empty_like(ranks).scatter(-1, order, ranks)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, 0.0 if gap >= softness else (n - 1) / 2)
