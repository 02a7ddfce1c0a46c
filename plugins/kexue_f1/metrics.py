"""Hard metrics of stacked scores: what scikit-learn computes of one problem, for R problems with C labels at once."""

from __future__ import annotations

import torch
from torch import Tensor

from kexue_f1.counts import Counts, f_score

BINS = 15
"""Equally full bins of the calibration error."""


def f1(called: Tensor, y: Tensor, average: str = "macro") -> Tensor:
    """F1 of decisions, both `[R, N, C]`: `[R]`; a ratio 0 / 0 counts as 0, in every average.

    Args:
        called: bool, what is called positive.
        y: targets, 0 or 1.
        average: `macro`, `micro` or `samples`, as in scikit-learn.
    """
    p, y = called.to(torch.float64), y.to(torch.float64)
    return f_score(Counts.of(p, y, average)).mean(1)


def best_threshold(scores: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The threshold of the largest F1 of each problem and label, and that F1.

    Calling positive what is at or above a threshold, every threshold that makes a difference is tried; the one found
    lies in the middle between two scores, or below the smallest score. Of equals the highest stands.

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
    # Equal scores are called together: only the last of them ends a set that a threshold can make.
    values = values.masked_fill(below == ordered, -1.0)
    best, index = values.max(1, keepdim=True)
    threshold = (ordered.gather(1, index) + below.gather(1, index)) / 2
    # Rounding may put the middle of two neighbours on the lower one.
    lower = below.gather(1, index)
    threshold = torch.where(threshold <= lower, ordered.gather(1, index), threshold)
    return threshold.squeeze(1), best.squeeze(1)


def average_precision(scores: Tensor, y: Tensor) -> Tensor:
    """Average precision of each problem, the mean over labels that have a positive: `[R]`; ties count as one step.

    Args:
        scores: `[R, N, C]`.
        y: targets, 0 or 1.
    """
    ordered, order = scores.sort(dim=1, descending=True)
    y = y.gather(1, order).to(torch.float64)
    hits = y.cumsum(1)
    precision = hits / torch.arange(1, scores.shape[1] + 1, device=scores.device).view(1, -1, 1)
    # Each item takes the precision at the end of its group of equal scores.
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
    """Expected calibration error over equally full bins of p, the mean over labels: `[R]`.

    The items in order of p, cut into bins whose sizes differ by one at most; in each the distance of the means of p and
    y, weighted by its size.

    Args:
        p: probabilities, `[R, N, C]`.
        y: targets, 0 or 1.
        bins: number of bins; no more than there are items are used.
    """
    ordered, order = p.to(torch.float64).sort(dim=1)
    gaps = ordered - y.gather(1, order).to(torch.float64)
    n = p.shape[1]
    bins = min(bins, n)
    index = (torch.arange(n, device=p.device) * bins).div(n, rounding_mode="floor")
    sums = gaps.new_zeros(len(p), bins, p.shape[2]).index_add_(1, index, gaps)
    return (sums.abs().sum(1) / n).mean(1)


def called(scores: Tensor, threshold: Tensor) -> Tensor:
    """What is at or above the threshold `[R, C]` of its problem and label: bool `[R, N, C]`."""
    return scores >= threshold.unsqueeze(1)
