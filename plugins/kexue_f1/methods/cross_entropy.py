"""Cross-entropy over classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method
from kexue_f1.base import BatchLoss


@method(
    "cross-entropy",
    "cross-entropy of the softmax over classes",
    needs="classes",
    references=("Bridle, in Neurocomputing, 1990",),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class CrossEntropy(BatchLoss):
    """Cross-entropy of the softmax over classes: the mean over items of `-sum over classes y log softmax(z)`.

    For C classes of which one is true, `[R, B, C]`; soft targets that sum to 1 are allowed.

    Raises:
        ValueError: in `loss`: there are fewer than two classes.

    Examples:
        >>> import torch
        >>> from kexue_f1 import CrossEntropy
        >>> logits = torch.zeros(1, 2, 3, requires_grad=True)
        >>> loss, _ = CrossEntropy().loss(logits, torch.eye(3)[None, :2])
        >>> loss.sum().backward()
        >>> round(loss.item(), 4)
        1.0986
    """

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over items, `[R]`."""
        if z.shape[2] < 2:
            raise ValueError(f"cross-entropy needs [R, B, C] with C >= 2 classes, got C = {z.shape[2]}; use bce")
        return -(y * z.log_softmax(2)).sum(2).mean(1)

    def probability(self, logits: Tensor) -> Tensor:
        """The softmax over classes."""
        return torch.softmax(logits, dim=-1)
