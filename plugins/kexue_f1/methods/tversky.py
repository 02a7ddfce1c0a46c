"""Tversky loss and focal Tversky loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import Claimed, Knob, method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import Counts, check_average, check_not_negative, check_positive, ratio


def tversky_index(z: Tensor, y: Tensor, *, alpha: float, beta: float, eps: float, average: str) -> Tensor:
    """`(TP + eps) / (TP + alpha FP + beta FN + eps)` with soft counts, `[R, K]`."""
    c = Counts.of(torch.sigmoid(z), y, average)
    return ratio(c.tp, c.tp + alpha * c.fp + beta * c.fn, eps)


@method(
    "tversky",
    "soft F1 with separate weights for false positives and false negatives",
    references=("Salehi et al., arXiv:1706.05721",),
    claims=(
        "gradient-matches-value",
        Claimed(name="consistent", when="alpha == beta"),
        Claimed(name="neutral-when-empty", when="eps == 0"),
    ),
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class Tversky(BatchLoss):
    """Tversky loss: `1 - (TP + eps) / (TP + alpha FP + beta FN + eps)` with soft counts of the batch.

    alpha = beta = 1/2 is soft F1, alpha = beta = 1 the soft Jaccard loss; the paper's values favor recall (equation 3).

    Args:
        alpha: weight of false positives, > 0.
        beta: weight of false negatives, > 0.
        eps: smoothing, >= 0.
        average: over labels: `macro`, `micro` or `samples`.

    Raises:
        ValueError: a weight is not above 0, eps is below 0, or the average is unknown.

    Examples:
        >>> import torch
        >>> from kexue_f1 import Tversky
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = Tversky(alpha=0.3, beta=0.7).loss(logits, targets)
        >>> loss.backward()
    """

    alpha: float = 0.3
    beta: float = 0.7
    eps: float = 0.0
    average: str = "macro"

    def __post_init__(self) -> None:
        check_positive(alpha=self.alpha, beta=self.beta)
        check_not_negative(eps=self.eps)
        check_average(self.average)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels or items, `[R]`."""
        index = tversky_index(z, y, alpha=self.alpha, beta=self.beta, eps=self.eps, average=self.average)
        return (1 - index).mean(1)


@method(
    "focal-tversky",
    "Tversky loss raised to a power",
    references=("Abraham and Khan, arXiv:1810.07842",),
    claims=("gradient-matches-value", Claimed(name="neutral-when-empty", when="eps == 0")),
    knobs=(Knob(field="gamma", grid=(0.5, 0.75, 1.0, 1.5, 2.0)),),
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class FocalTversky(BatchLoss):
    """Focal Tversky loss: the mean over labels of `(1 - TI)^gamma`, TI the Tversky index.

    gamma is the exponent itself; the paper writes 1 / gamma with gamma = 4/3, hence 0.75. The power is taken before the
    mean over labels: libraries that take it afterwards agree for one label only.

    Args:
        alpha: weight of false positives, > 0.
        beta: weight of false negatives, > 0.
        gamma: exponent, > 0.
        eps: smoothing, >= 0.
        average: over labels: `macro`, `micro` or `samples`.

    Raises:
        ValueError: a weight or the exponent is not above 0, eps is below 0, or the average is unknown.

    Examples:
        >>> import torch
        >>> from kexue_f1 import FocalTversky
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = FocalTversky(gamma=0.75).loss(logits, targets)
        >>> loss.backward()
    """

    alpha: float = 0.3
    beta: float = 0.7
    gamma: float = 0.75
    eps: float = 0.0
    average: str = "macro"

    def __post_init__(self) -> None:
        check_positive(alpha=self.alpha, beta=self.beta, gamma=self.gamma)
        check_not_negative(eps=self.eps)
        check_average(self.average)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels or items, `[R]`."""
        index = tversky_index(z, y, alpha=self.alpha, beta=self.beta, eps=self.eps, average=self.average)
        # The power may have an infinite slope at 0, where the index is exactly 1.
        return (1 - index).clamp_min(torch.finfo(z.dtype).eps).pow(self.gamma).mean(1)
