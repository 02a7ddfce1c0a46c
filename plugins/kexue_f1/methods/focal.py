"""Focal loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench import Knob, method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import check_not_negative, power


@method(
    "focal",
    "cross-entropy that down-weights easy items",
    references=("Lin et al., arXiv:1708.02002",),
    claims=("gradient-matches-value", "batch-size-invariant"),
    knobs=(Knob(field="gamma", grid=(0.5, 1.0, 2.0, 5.0)),),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class Focal(BatchLoss):
    """Focal loss: the mean of `-a_t (1 - p_t)^gamma log p_t`, with p_t the probability of the item's own class.

    a_t is alpha for positives and 1 - alpha for negatives. Not strictly proper; at alpha = 0.25 positives weigh a third
    of negatives, so the boundary z = 0 is a posterior of 1 - alpha = 0.75 (equation 5).

    Args:
        alpha: weight of the positives, in (0, 1).
        gamma: focusing exponent, >= 0.

    Raises:
        ValueError: alpha is outside (0, 1), or gamma is below 0.

    Examples:
        >>> import torch
        >>> from kexue_f1 import Focal
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = Focal(gamma=2.0).loss(logits, targets)
        >>> loss.backward()
    """

    alpha: float = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie in (0, 1), got {self.alpha}; for equal class weights use 0.5")
        check_not_negative(gamma=self.gamma)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over items and labels, `[R]`; soft targets mix the losses of the two classes."""
        p, q = torch.sigmoid(z), torch.sigmoid(-z)
        positive = self.alpha * power(q, self.gamma) * functional.softplus(-z)
        negative = (1 - self.alpha) * power(p, self.gamma) * functional.softplus(z)
        return (y * positive + (1 - y) * negative).mean((1, 2))
