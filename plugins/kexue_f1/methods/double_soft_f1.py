"""Double soft F1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import Counts, check_average, check_not_negative, ratio


@method(
    "double-soft-f1",
    "one minus the mean soft F1 of the positives and the negatives",
    references=("Maiza, 2019", "stats.stackexchange.com/questions/554907"),
    claims=("gradient-matches-value",),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class DoubleSoftF1(BatchLoss):
    """Double soft F1: one minus the mean of the soft F1 of the positives and that of the negatives.

    `1 - (2 TP / (2 TP + FN + FP) + 2 TN / (2 TN + FN + FP)) / 2` with soft counts. The second term keeps a gradient in
    batches without positives; the optimum is that of the mean of the two, not that of F1 (Maiza, 2019; the worked
    example in stats.stackexchange.com question 554907 gives 0.4511).

    Args:
        eps: smoothing of every numerator and denominator, >= 0.
        average: over labels: `macro`, `micro` or `samples`.

    Raises:
        ValueError: eps is below 0, or the average is unknown.

    Examples:
        >>> import torch
        >>> from kexue_f1 import DoubleSoftF1
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = DoubleSoftF1().loss(logits, targets)
        >>> loss.backward()
    """

    eps: float = 0.0
    average: str = "macro"

    def __post_init__(self) -> None:
        check_not_negative(eps=self.eps)
        check_average(self.average)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels or items, `[R]`."""
        c = Counts.of(torch.sigmoid(z), y, self.average)
        wrong = c.fn + c.fp
        positives = ratio(2 * c.tp, 2 * c.tp + wrong, self.eps)
        negatives = ratio(2 * c.tn, 2 * c.tn + wrong, self.eps)
        return (1 - (positives + negatives) / 2).mean(1)
