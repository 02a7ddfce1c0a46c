"""The hinge bound on F1."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kexue_bench import method
from kexue_f1.base import BatchLoss


@method(
    "eban-bound",
    "upper bound on one minus F1 from hinge losses",
    references=("Eban et al., arXiv:1608.04802",),
    claims=("gradient-matches-value", "upper-bound(f1)", "neutral-when-empty"),
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class EbanBound(BatchLoss):
    """Eban's bound: `1 - 2 tp / (n + tp + fp)`, with hinge bounds on TP from below and on FP from above.

    `tp = sum y (1 - h)`, `fp = sum (1 - y) h`, h = max(0, 1 - (2 y - 1) z), n the number of positives in the batch. It
    is at least 1 - F1 wherever its denominator is positive. The denominator is clamped at n / 2 from below, which keeps
    the loss above 1 and its gradient pointing the right way; the paper (section 4) does not cover that region. A batch
    without positives has a loss of 1 and no gradient. With several labels: the mean over labels. Targets are 0 or 1.

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
        """None: a margin defines no probability."""
        del logits
