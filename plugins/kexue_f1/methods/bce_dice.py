"""Cross-entropy plus soft F1."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench import Knob, method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import Counts, check_average, check_not_negative, f_score


@method(
    "bce-dice",
    "binary cross-entropy plus soft F1 loss",
    claims=("gradient-matches-value",),
    knobs=(Knob(field="weight", grid=(0.1, 0.3, 1.0, 3.0, 10.0)),),
    references=("Isensee et al., Nature Methods 18, 2021",),
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class BceDice(BatchLoss):
    """Binary cross-entropy plus `weight` times the soft F1 loss, the usual compound loss in segmentation.

    The first term keeps the ranking and a gradient in every batch; the second moves the boundary towards that of F1.

    Args:
        weight: weight of the soft F1 loss, >= 0.
        eps: smoothing of soft F1, >= 0.
        average: average of soft F1 over labels: `macro`, `micro` or `samples`.

    Raises:
        ValueError: weight or eps is below 0, or the average is unknown.

    Examples:
        >>> import torch
        >>> from kexue_f1 import BceDice
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = BceDice().loss(logits, targets)
        >>> loss.backward()
    """

    weight: float = 1.0
    eps: float = 0.0
    average: str = "macro"

    def __post_init__(self) -> None:
        check_not_negative(weight=self.weight, eps=self.eps)
        check_average(self.average)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Sum of the two terms, `[R]`."""
        entropy = functional.binary_cross_entropy_with_logits(z, y, reduction="none").mean((1, 2))
        counts = Counts.of(torch.sigmoid(z), y, self.average)
        return entropy + self.weight * (1 - f_score(counts, eps=self.eps).mean(1))
