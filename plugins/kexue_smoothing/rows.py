"""Safe rows of numbers: masks, infinities, ties and any softness, always with finite gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench.lab.precision import finite

FAR = 800.0
"""Multiples of the softness beyond which an exponential weight is zero in float64."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Entries relative to the maximum of their row.

    Args:
        below: entry minus the maximum of its row, <= 0; minus infinity for excluded entries, [*batch, n].
        peak: the maximum, 0 if there is none or it is infinite, [*batch, 1]; detached.
        keep: whether an entry takes part, [*batch, n]; None if all are known to.
        limit: the maximum if it is not finite, else NaN, [*batch]; None if all are known to be finite.
    """

    below: Tensor
    peak: Tensor
    keep: Tensor | None = None
    limit: Tensor | None = None

    def value(self, relative: Tensor) -> Tensor:
        """`peak + relative`, or the infinite maximum of a row that has one; [*batch]."""
        total = self.peak.squeeze(-1) + relative
        return total if self.limit is None else torch.where(self.limit.isnan(), total, self.limit)

    def indicator(self, weights: Tensor) -> Tensor:
        """The weights, zero for excluded entries; [*batch, n]."""
        return weights if self.keep is None else weights.masked_fill(~self.keep, 0)

    def count(self) -> Tensor:
        """The number of entries that take part, in the dtype of the entries; [*batch], or [] if all do."""
        count = self.below.new_tensor(self.below.shape[-1]) if self.keep is None else self.keep.sum(-1)
        return count.to(self.below.dtype)


def rows(x: Tensor, *, dim: int, mask: Tensor | None) -> Rows:
    """Entries along `dim`, moved last.

    If a row contains plus infinity, only such entries count, and they are tied. A row with NaN is NaN, unless it is
    masked.

    Args:
        x: floating point.
        mask: True for entries that take part, in the shape of `x`.

    Raises:
        ValueError: x is not floating point, has no entries along `dim`, or the mask has another shape or dtype.
    """
    entries = last(x, dim)
    if mask is None and finite(entries):
        peak = entries.detach().amax(-1, keepdim=True)
        return Rows(below=entries - peak, peak=peak)
    keep = ~(entries == -torch.inf)
    if mask is not None:
        if mask.shape != x.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"mask must be bool of shape {tuple(x.shape)}, got {mask.dtype} of {tuple(mask.shape)}; "
                "True marks an entry that takes part"
            )
        keep = keep & mask.movedim(dim, -1)
    top = keep & (entries == torch.inf)
    # A row with an entry that is not a number is not a number, whatever else it holds.
    infinite = entries.masked_fill(~keep, 0).amax(-1, keepdim=True) == torch.inf
    keep = torch.where(infinite, top, keep)
    empty = ~keep.any(-1, keepdim=True)
    known = entries.masked_fill(~keep | top, 0)
    peak = known.detach().masked_fill(~keep & ~empty, -torch.inf).amax(-1, keepdim=True)
    below = (known - peak).masked_fill(~keep & ~empty, -torch.inf)
    limit = torch.full_like(peak, torch.nan).masked_fill(infinite, torch.inf).masked_fill(empty, -torch.inf)
    return Rows(below=below, peak=peak, keep=keep, limit=limit.squeeze(-1))


def last(x: Tensor, dim: int) -> Tensor:
    """`x` with `dim` moved last.

    Raises:
        ValueError: x is not floating point, or has no entries along `dim`.
    """
    if not x.is_floating_point():
        raise ValueError(f"x must be floating point, got {x.dtype}; write x.float()")
    if x.ndim == 0 or not x.shape[dim]:
        raise ValueError(f"x needs at least one entry along dim {dim}, got shape {tuple(x.shape)}")
    return x if dim in {-1, x.ndim - 1} else x.movedim(dim, -1)


def placed(rows: Tensor, dim: int) -> Tensor:
    """Rows [*batch, n] with their entries along `dim` again."""
    return rows if dim in {-1, rows.ndim - 1} else rows.movedim(-1, dim)


def finite_ends(x: Tensor, softness: float | Tensor) -> Tensor:
    """Infinite entries replaced by finite ones too far away to mix with the others; [*batch, n]."""
    if finite(x):
        return x
    infinite = x.isinf()
    known = x.detach().masked_fill(infinite, torch.nan)
    high = torch.where(known.isnan(), -torch.inf, known).amax(-1, keepdim=True)
    low = torch.where(known.isnan(), torch.inf, known).amin(-1, keepdim=True)
    alone = high < low
    high, low = high.masked_fill(alone, 0), low.masked_fill(alone, 0)
    # The spread is included because a method may compare distances with it.
    reach = FAR * torch.as_tensor(softness, dtype=x.dtype, device=x.device) + FAR * (high - low) + 1
    reach = reach.clamp(max=torch.finfo(x.dtype).max / 8)
    moved = torch.where(x > 0, high + reach, low - reach)
    return torch.where(infinite, moved, x)
