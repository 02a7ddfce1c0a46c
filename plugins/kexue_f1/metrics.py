"""Hard metrics of stacked scores: what scikit-learn computes for one problem, for R problems with C labels at once."""

from __future__ import annotations

import torch
from torch import Tensor

from kexue_f1.counts import Counts, f_score

BINS = 15
"""Number of equal-count bins of the calibration error."""


def f1(called: Tensor, y: Tensor, average: str = "macro") -> Tensor:
    """F1 of decisions, both `[R, N, C]`: `[R]`; a ratio 0 / 0 counts as 0, in every average.

    Args:
        called: bool, True where an item is predicted positive.
        y: targets, 0 or 1.
        average: `macro`, `micro` or `samples`, as in scikit-learn.
    """
    p, y = called.to(torch.float64), y.to(torch.float64)
    return f_score(Counts.of(p, y, average)).mean(1)


def best_threshold(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The threshold with the largest F1 for each problem and label, and that F1.

    Scores at or above the threshold are predicted positive, and every threshold that makes a difference is tried. The
    result lies halfway between two scores, or below the smallest score. Among equals the highest is returned.

    Args:
        scores: `[R, N, C]`.
        y: targets, 0 or 1.

    Returns:
        Thresholds `[R, C]` in the dtype of the scores, and F1 `[R, C]` in float64.
    """
    ordered, order = scores.sort(dim=1, descending=True)
    hits = y.gather(1, order).to(torch.float64).cumsum(1)
    called = torch.arange(1, scores.shape[1] + 1, device=scores.device).view(1, -1, 1)
    values = 2 * hits / (called + hits[:, -1:])
    last = ordered[:, -1:] - 1
    below = torch.cat([ordered[:, 1:], last], dim=1)
    # A threshold cannot separate equal scores: only the last of a group of ties is a valid cut.
    values = values.masked_fill(below == ordered, -1.0)
    best, index = values.max(1, keepdim=True)
    threshold = (ordered.gather(1, index) + below.gather(1, index)) / 2
    # Rounding may put the midpoint of two adjacent scores on the lower one.
    lower = below.gather(1, index)
    threshold = torch.where(threshold <= lower, ordered.gather(1, index), threshold)
    return threshold.squeeze(1), best.squeeze(1)


def average_precision(scores: Tensor, y: Tensor) -> Tensor:
    """Average precision of each problem, the mean over labels with a positive: `[R]`; ties count as one step.

    Args:
        scores: `[R, N, C]`.
        y: targets, 0 or 1.
    """
    ordered, order = scores.sort(dim=1, descending=True)
    y = y.gather(1, order).to(torch.float64)
    hits = y.cumsum(1)
    precision = hits / torch.arange(1, scores.shape[1] + 1, device=scores.device).view(1, -1, 1)
    # Each item gets the precision at the end of its group of equal scores.
    ends = torch.ones_like(ordered, dtype=torch.bool)
    ends[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    n = scores.shape[1]
    place = torch.where(ends, torch.arange(n, device=scores.device).view(1, -1, 1), n)
    group_end = place.flip(1).cummin(1).values.flip(1)
    total = hits[:, -1]
    values = (y * precision.gather(1, group_end)).sum(1) / total.clamp_min(1.0)
    present = (total > 0).to(torch.float64)
    return (values * present).sum(1) / present.sum(1).clamp_min(1.0)


def calibration_error(p: Tensor, y: Tensor, bins: int = BINS) -> Tensor:
    """Expected calibration error over equal-count bins of p, the mean over labels: `[R]`.

    The items are sorted by p and cut into bins whose sizes differ by at most one; the error is the mean of
    `|mean(p) - mean(y)|` over the bins, weighted by bin size.

    Args:
        p: probabilities, `[R, N, C]`.
        y: targets, 0 or 1.
        bins: number of bins, at most the number of items.
    """
    ordered, order = p.to(torch.float64).sort(dim=1)
    gaps = ordered - y.gather(1, order).to(torch.float64)
    n = p.shape[1]
    bins = min(bins, n)
    index = (torch.arange(n, device=p.device) * bins).div(n, rounding_mode="floor")
    sums = gaps.new_zeros(len(p), bins, p.shape[2]).index_add_(1, index, gaps)
    return (sums.abs().sum(1) / n).mean(1)


def called(scores: Tensor, threshold: Tensor) -> Tensor:
    """Whether each score is at or above the threshold `[R, C]` of its problem and label: bool `[R, N, C]`."""
    return scores >= threshold.unsqueeze(1)
