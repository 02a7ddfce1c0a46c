"""Soft ranks from soft comparisons of all pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..contract import Bound
from ..kinds import RankOperator


@dataclass(frozen=True, kw_only=True)
class PairwiseRank(RankOperator):
    """1/2 + sum_j sigmoid((x_i - x_j) / s), the sum over all j including i: one plus the soft count of smaller entries.

    Ranks sum to n (n + 1) / 2. If adjacent entries are at least `gap` apart, the error is at most sum_{m=1}^{n-1}
    sigmoid(-m gap / s), attained at the ends of equally spaced entries. It equals the expected rank of x + s g, g
    independent standard Gumbel. Time and memory O(n^2).

    Examples:
        >>> import torch
        >>> PairwiseRank().apply(torch.tensor([0.3, 1.2, -0.5, 0.9]), softness=0.1)
        tensor([2.0023, 3.9525, 1.0003, 3.0450])
    """

    def ranks(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `RankOperator.ranks`."""
        return 0.5 + torch.sigmoid((x.unsqueeze(-1) - x.unsqueeze(-2)) / softness).sum(-1)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        steps = (min(m * gap / softness, 700.0) for m in range(1, n))
        return Bound(0.0, math.fsum(1 / (1 + math.exp(step)) for step in steps))
