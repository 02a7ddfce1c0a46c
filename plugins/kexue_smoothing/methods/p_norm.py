"""A soft maximum from a norm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method
from kexue_bench.lab.precision import precise, seen

from ..contract import Bound, checked_softness
from ..kinds import Operator
from ..rows import rows
from ..words import BOUNDED


@method(
    "p-norm",
    "norm of order 1 / s of entries >= 0, an upper bound",
    needs={"max", "nonnegative"},
    claims=(*BOUNDED, "upper-bound", "monotone", "symmetric"),
    references=("Hardy, Littlewood and Polya, Inequalities, 1934",),
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class PNorm(Operator):
    """`(sum_i x_i^p)^(1 / p)` with `p = 1 / s`.

    Homogeneous in x, so the softness s is dimensionless: s = 1 is the sum, and s < 1 a norm. Its error lies between 0
    and (n^s - 1) max, attained at ties, so `bound` needs x. Computed relative to the maximum, so that no power
    overflows, and capped at the square root of the largest float; the gradient of a row of zeros is zero.

    Examples:
        >>> import torch
        >>> round(PNorm().apply(torch.tensor([3.0, 4.0]), softness=0.5).item(), 4)
        5.0
    """

    kind = "max"
    nonnegative = True

    @precise
    def apply(self, x: Tensor, *, softness: float | Tensor, dim: int = -1, mask: Tensor | None = None) -> Tensor:
        """The norm along `dim`, [*batch].

        Raises:
            ValueError: an entry that is not masked is negative.
        """
        softness = checked_softness(softness, x.dtype)
        row = rows(x, dim=dim, mask=mask)
        entries = row.indicator(row.below + row.peak)
        if seen((entries < 0).any(), otherwise=False):
            raise ValueError(f"p-norm needs entries >= 0, got {entries.min().item():g}")
        # Zeros have no logarithm; a tiny number has zero weight as well.
        tiny = torch.finfo(x.dtype).tiny
        peak = torch.where(row.peak > 0, row.peak, 1)
        logs = (entries / peak).clamp(min=tiny).log().masked_fill(entries == 0, -torch.inf)
        some = (entries > 0).any(-1, keepdim=True)
        logarithm = softness * torch.logsumexp(torch.where(some, logs, 0) / softness, -1)
        norm = torch.exp(logarithm.clamp(max=math.log(torch.finfo(x.dtype).max) / 2))
        above = torch.where(some.squeeze(-1), peak.squeeze(-1) * norm - row.peak.squeeze(-1), 0)
        return row.value(above)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`.

        Raises:
            ValueError: x is missing.
        """
        if x is None:
            raise ValueError("the error of p-norm is proportional to the largest entry, got no x; pass x")
        largest = float(x.max())
        nearest = 1 - gap / largest if largest > gap else 0.0
        return Bound(0.0, largest * ((1 + (n - 1) * nearest ** (1 / softness)) ** softness - 1))
