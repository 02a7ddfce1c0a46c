"""The hinge bound of F1."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kexue_bench import method
from kexue_f1.base import BatchLoss


@method(
    "eban-bound",
    "upper bound of one minus F1 from hinges",
    references=("Eban et al., arXiv:1608.04802",),
    claims=("gradient-matches-value", "upper-bound(f1)", "neutral-when-empty"),
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class EbanBound(BatchLoss):
    """Eban's bound: `1 - 2 tp / (n + tp + fp)`, with a hinge bound of TP from below and of FP from above.

    `tp = sum y (1 - h)`, `fp = sum (1 - y) h`, h = max(0, 1 - (2 y - 1) z), n the positives of the batch. It is at
    least 1 - F1 wherever its denominator is positive. Below half of n the denominator is held there, which keeps the
    loss above 1 and its gradient pointing the right way; the paper (section 4) says nothing about that region. A batch
    without positives has a loss of 1 and no gradient. Several labels: the mean of theirs. Targets are 0 or 1.

    Examples:
        >>> import torch
        >>> from kexue_f1 import EbanBound
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = EbanBound().loss(logits, targets)
        >>> loss.backward()
        >>> round(loss.item(), 4)
        0.1667
    """

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels, `[R]`."""
        hinge = (1 - (2 * y - 1) * z).relu()
        positives = y.sum(1)
        tp, fp = (y * (1 - hinge)).sum(1), ((1 - y) * hinge).sum(1)
        least = (positives / 2).clamp_min(0.5)
        return (1 - 2 * tp / (positives + tp + fp).maximum(least)).mean(1)

    def probability(self, logits: Tensor) -> None:
        """A margin says nothing about probabilities."""
        del logits
