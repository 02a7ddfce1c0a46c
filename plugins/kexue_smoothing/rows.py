"""Rows of numbers made safe: masks, infinities, ties and any softness, without a gradient that is not finite."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FAR = 800.0
"""Multiples of the softness beyond which an exponential weight is zero in float64."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Entries below their row's maximum.

    Args:
        below: entry minus the maximum of its row, <= 0; minus infinity where an entry takes no part, [*batch, n].
        peak: that maximum, 0 where there is none or it is infinite, [*batch, 1]; without a gradient.
        keep: which entries take part, [*batch, n].
        limit: what the maximum is where it is not finite, NaN elsewhere, [*batch].
    """

    below: Tensor
    peak: Tensor
    keep: Tensor
    limit: Tensor

    def value(self, relative: Tensor) -> Tensor:
        """`peak + relative`, and the infinite maximum of a row that has one; [*batch]."""
        return torch.where(self.limit.isnan(), self.peak.squeeze(-1) + relative, self.limit)

    def indicator(self, weights: Tensor) -> Tensor:
        """The weights, zero on entries that take no part; [*batch, n]."""
        return weights.masked_fill(~self.keep, 0)


def rows(x: Tensor, *, dim: int, mask: Tensor | None) -> Rows:
    """Entries along `dim`, moved last.

    Where a row holds plus infinity only such entries count, and they are tied.

    Args:
        x: floating.
        mask: True where an entry takes part, of the shape of `x`.

    Raises:
        ValueError: x is not floating, has no entries along `dim`, or the mask has another shape.
    """
    entries = last(x, dim)
    keep = entries > -torch.inf
    if mask is not None:
        if mask.shape != x.shape or mask.dtype != torch.bool:
            raise ValueError(
                f"mask must be bool of shape {tuple(x.shape)}, got {mask.dtype} of {tuple(mask.shape)}; "
                "True is an entry that takes part"
            )
        keep = keep & mask.movedim(dim, -1)
    keep = keep | entries.isnan()
    top = keep & (entries == torch.inf)
    infinite = top.any(-1, keepdim=True)
    keep = torch.where(infinite, top, keep)
    empty = ~keep.any(-1, keepdim=True)
    finite = entries.masked_fill(~keep | top, 0)
    peak = finite.detach().masked_fill(~keep & ~empty, -torch.inf).amax(-1, keepdim=True)
    below = (finite - peak).masked_fill(~keep & ~empty, -torch.inf)
    limit = torch.full_like(peak, torch.nan).masked_fill(infinite, torch.inf).masked_fill(empty, -torch.inf)
    return Rows(below=below, peak=peak, keep=keep, limit=limit.squeeze(-1))


def last(x: Tensor, dim: int) -> Tensor:
    """`x` with `dim` moved last.

    Raises:
        ValueError: x is not floating, or has no entries along `dim`.
    """
    if not x.is_floating_point():
        raise ValueError(f"x must be floating, got {x.dtype}; write x.float()")
    if x.ndim == 0 or not x.shape[dim]:
        raise ValueError(f"x needs at least one entry along dim {dim}, got shape {tuple(x.shape)}")
    return x.movedim(dim, -1)


def finite_ends(x: Tensor, softness: float | Tensor) -> Tensor:
    """Infinite entries moved so far beyond the finite ones that nothing is mixed with them; [*batch, n]."""
    infinite = x.isinf()
    if not bool(infinite.any()):
        return x
    known = x.detach().masked_fill(infinite, torch.nan)
    high = torch.where(known.isnan(), -torch.inf, known).amax(-1, keepdim=True)
    low = torch.where(known.isnan(), torch.inf, known).amin(-1, keepdim=True)
    alone = high < low
    high, low = high.masked_fill(alone, 0), low.masked_fill(alone, 0)
    # The spread counts too: a method may weigh distances against it.
    reach = FAR * torch.as_tensor(softness, dtype=x.dtype, device=x.device) + FAR * (high - low) + 1
    moved = torch.where(x > 0, high + reach, low - reach)
    return torch.where(infinite, moved, x)
