"""Readings: how a trained score is turned into decisions. They label the rows of a table and need no training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import reading
from kexue_f1.contract import Probability
from kexue_f1.metrics import best_threshold

_STEPS, _FAR = 60, 64.0


@reading("0.5", "the loss's own threshold: a probability of 1/2, or logit 0", order=10)
@dataclass(frozen=True, kw_only=True)
class Half:
    """The loss's own threshold: a probability of 1/2, or logit 0 if the loss defines no probability."""

    def threshold(self, scores: Tensor, targets: Tensor, probability: Probability) -> Tensor | None:
        """The score at a probability of 1/2; `[R, C]`."""
        like = scores[:, 0]
        at = score_at(torch.full_like(like, 0.5), probability)
        return torch.zeros_like(like) if at is None else at


@reading("tuned", "the threshold with the largest F1 on validation data", order=20)
@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The threshold with the largest F1 on the validation data, halfway between two scores."""

    def threshold(self, scores: Tensor, targets: Tensor, probability: Probability) -> Tensor | None:
        """The best of all thresholds; `[R, C]`."""
        return best_threshold(scores, targets)[0]


@reading("half-f", "half the largest F1 as the threshold of probability, optimal if calibrated", order=30)
@dataclass(frozen=True, kw_only=True)
class HalfF:
    """A probability of half the largest F1 on the validation data: the best threshold if probabilities are calibrated.

    Lipton, Elkan and Narayanaswamy, arXiv:1402.1892. It needs only the value of the largest F1, which is known far more
    precisely than its location; for an uncalibrated loss it is not optimal.
    """

    def threshold(self, scores: Tensor, targets: Tensor, probability: Probability) -> Tensor | None:
        """The score at that probability, `[R, C]`; None for a loss without probabilities."""
        return score_at(best_threshold(scores, targets)[1].to(scores.dtype) / 2, probability)


@reading("gfm", "the set of labels with the largest expected F1, for tasks with several labels", order=40)
@dataclass(frozen=True, kw_only=True)
class Gfm:
    """The set of labels with the largest expected F1, given probabilities of independent labels.

    For each size k the best set consists of the k labels with the largest `sum_s P(y_i = 1, s labels true) 2 / (s +
    k)`; the best over k is exact (Dembczynski, Waegeman, Cheng and Hüllermeier, NeurIPS 2011; Ye, Chai, Lee and Chieu,
    ICML 2012). It decides on sets, so it applies to tasks with several labels; an empty set has an F1 of 0, whatever
    is true.
    """

    def decide(self, probability: Tensor) -> Tensor:
        """Bool `[R, N, C]` from probabilities `[R, N, C]`; time and memory are O(R N C^3)."""
        labels = probability.shape[-1]
        p = probability.reshape(-1, labels).to(torch.float64)
        joint = torch.stack([p[:, i, None] * _number_true(_without(p, i)) for i in range(labels)], dim=1)
        sizes = torch.arange(1, labels + 1, device=p.device)
        gain = joint @ (2.0 / (sizes.view(-1, 1) + sizes.view(1, -1))).to(p)
        ordered, order = gain.sort(dim=1, descending=True)
        inside = (sizes.view(-1, 1) <= sizes.view(1, -1)).to(p)
        best = (ordered * inside).sum(1).argmax(1)
        chosen = order.gather(2, best.view(-1, 1, 1).expand(-1, labels, 1)).squeeze(2)
        ranks = torch.arange(labels, device=p.device).view(1, -1).expand_as(chosen)
        out = torch.zeros_like(p, dtype=torch.bool).scatter_(1, chosen, ranks <= best.unsqueeze(1))
        return out.view(probability.shape)


def _without(p: Tensor, i: int) -> Tensor:
    return torch.cat([p[:, :i], p[:, i + 1 :]], dim=1)


def _number_true(p: Tensor) -> Tensor:
    """The distribution of the number of true labels among independent ones `[M, L]`: `[M, L + 1]` for 0 .. L."""
    law = torch.zeros(len(p), p.shape[1] + 1, dtype=p.dtype, device=p.device)
    law[:, 0] = 1
    for column in p.T:
        law = law * (1 - column).unsqueeze(1) + torch.roll(law, 1, dims=1) * column.unsqueeze(1)
    return law


def score_at(level: Tensor, probability: Probability) -> Tensor | None:
    """The logit at which an increasing probability reaches a level, by bisection over -64 .. 64.

    Args:
        level: probabilities `[R, C]`.
        probability: that of a loss.

    Returns:
        `[R, C]`, or None if the loss has no probability.
    """
    if probability(level.unsqueeze(1)) is None:
        return None
    low, high = torch.full_like(level, -_FAR), torch.full_like(level, _FAR)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        found = probability(middle.unsqueeze(1))
        assert found is not None
        below = found.squeeze(1) < level
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high
