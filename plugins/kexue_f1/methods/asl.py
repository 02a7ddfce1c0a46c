"""Asymmetric loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench import Claimed, method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import check_not_negative, power


@method(
    "asl",
    "focal loss with an exponent for each class and a margin for easy negatives",
    references=("Ridnik et al., arXiv:2009.14119",),
    claims=(Claimed(name="gradient-matches-value", when="weight_gradient"), "batch-size-invariant"),
    order=190,
)
@dataclass(frozen=True, kw_only=True)
class AsymmetricLoss(BatchLoss):
    """Asymmetric loss: the mean of `-y (1 - p)^g+ log p - (1 - y) p_m^g- log(1 - p_m)`, p_m = max(p - margin, 0).

    Focal loss with an exponent for each class, and easy negatives (p below the margin) dropped altogether. The official
    code does not differentiate the focusing weights, so its gradient is not that of its value; `weight_gradient` gives
    the true one. The official code sums over all entries; this is the mean (equation 7).

    Args:
        gamma_negative: g-, >= 0.
        gamma_positive: g+, >= 0.
        margin: shift of the probability of negatives, in [0, 1).
        weight_gradient: whether the focusing weights are differentiated too.

    Raises:
        ValueError: an exponent is below 0, or the margin is outside [0, 1).

    Examples:
        >>> import torch
        >>> from kexue_f1 import AsymmetricLoss
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = AsymmetricLoss().loss(logits, targets)
        >>> loss.backward()
    """

    gamma_negative: float = 4.0
    gamma_positive: float = 1.0
    margin: float = 0.05
    weight_gradient: bool = False

    def __post_init__(self) -> None:
        check_not_negative(gamma_negative=self.gamma_negative, gamma_positive=self.gamma_positive)
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin must lie in [0, 1), got {self.margin}")

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over items and labels, `[R]`."""
        p, q = torch.sigmoid(z), torch.sigmoid(-z)
        shifted = (p - self.margin).relu()
        weights = y * power(q, self.gamma_positive) + (1 - y) * power(shifted, self.gamma_negative)
        if not self.weight_gradient:
            weights = weights.detach()
        # log(1 - p_m): without a margin 1 - p may round to 0.
        negative = -torch.log1p(-shifted) if self.margin else functional.softplus(z)
        return (weights * (y * functional.softplus(-z) + (1 - y) * negative)).mean((1, 2))
