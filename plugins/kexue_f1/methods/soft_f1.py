"""Soft F1, also known as Dice loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kexue_bench import Claimed, Knob, method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import Counts, check_average, check_not_negative, check_positive, f_score

LINKS = ("sigmoid", "softmax")


@method(
    "soft-f1",
    "one minus the F1 of soft counts (Dice loss)",
    references=("kexue.fm archives/6620", "Milletari et al., arXiv:1606.04797"),
    claims=(
        "gradient-matches-value",
        Claimed(name="vertex-exact(f1)", when="eps == 0 and beta == 1 and link == 'sigmoid'"),
        Claimed(name="consistent", when="beta == 1 and link == 'sigmoid'"),
        Claimed(name="neutral-when-empty", when="eps == 0 and link == 'sigmoid'"),
    ),
    knobs=(Knob(field="eps", grid=(0.0, 1e-05, 0.001, 0.1, 1.0)),),
    aliases=("dice",),
    variants=("soft-f1", "soft-f1[eps=1.0]"),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class SoftF1(BatchLoss):
    """Soft F1: `1 - ((1 + beta^2) TP + eps) / ((1 + beta^2) TP + beta^2 FN + FP + eps)` of soft counts of the batch.

    TP is the sum of p y and so on; for beta = 1 this is the Dice loss `1 - (2 TP + eps) / (sum p + sum y + eps)`. On
    all data its optimum is that of F1 itself. On a batch of B items it is a different function: the mean F1 of batches
    is largest at lower thresholds, and for a batch without positives the gradient is zero (eps = 0) or `-eps / (sum p +
    eps)^2` (eps > 0), which pushes all scores down: if positives are rare, eps = 1 ends with nothing predicted
    positive. Its score is neither calibrated nor finite at the optimum (V-Net squares p).

    Args:
        eps: smoothing of numerator and denominator, >= 0; 0 / 0 counts as an F of 0.
        average: average over labels: `macro` (mean of ratios), `micro` (pooled counts) or `samples` (mean over items).
        beta: beta of F_beta, > 0.
        link: `sigmoid`, or `softmax` over the labels if exactly one is true.

    Raises:
        ValueError: eps is below 0, beta is not above 0, or the average or link is unknown.

    Examples:
        >>> import torch
        >>> from kexue_f1 import SoftF1
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = SoftF1().loss(logits, targets)
        >>> loss.backward()
        >>> round(loss.item(), 4)
        0.2072
    """

    vertex: ClassVar[str] = "f1"
    eps: float = 0.0
    average: str = "macro"
    beta: float = 1.0
    link: str = "sigmoid"

    def __post_init__(self) -> None:
        check_not_negative(eps=self.eps)
        check_average(self.average)
        check_positive(beta=self.beta)
        if self.link not in LINKS:
            raise ValueError(f"link must be one of {', '.join(LINKS)}, got {self.link!r}")

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels or items of one minus the ratio, `[R]`."""
        return 1 - f_score(Counts.of(_linked(z, self.link), y, self.average), beta=self.beta, eps=self.eps).mean(1)

    def probability(self, logits: Tensor) -> Tensor:
        """The link applied to the logits."""
        return _linked(logits, self.link)


def _linked(z: Tensor, link: str) -> Tensor:
    return z.softmax(-1) if link == "softmax" else torch.sigmoid(z)
