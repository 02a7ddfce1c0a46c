"""The min-max margin loss of AUC."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import check_not_negative


@method(
    "aucm",
    "AUC margin loss in closed form",
    references=("Yuan et al., arXiv:2012.03173",),
    claims=("gradient-matches-value",),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class Aucm(BatchLoss):
    """AUC margin loss: `Var+ + Var- + max(0, margin + m- - m+)^2` of p = sigmoid(z).

    m and Var are the mean and variance of p over each class in the batch. This is the closed form of the paper's
    min-max problem in its inner variables a, b and alpha, so no special optimizer is needed (equation 6). It is a
    surrogate of AUC, included for comparison because it only ranks. If a class is absent from the batch, its variance
    and the margin term are 0. With several labels: the mean over labels. Targets are 0 or 1.

    Args:
        margin: required gap between the class means, >= 0.
        version: `v2`, or `v1`: `v2` times the shares of positives and of negatives.

    Raises:
        ValueError: the margin is negative, or the version is unknown.

    Examples:
        >>> import torch
        >>> from kexue_f1 import Aucm
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = Aucm().loss(logits, targets)
        >>> loss.backward()
    """

    margin: float = 1.0
    version: str = "v2"

    def __post_init__(self) -> None:
        check_not_negative(margin=self.margin)
        if self.version not in {"v1", "v2"}:
            raise ValueError(f"version must be v1 or v2, got {self.version!r}")

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels, `[R]`."""
        p = torch.sigmoid(z)
        means, spread = [], torch.zeros_like(p[:, 0])
        for member in (y, 1 - y):
            count = member.sum(1).clamp_min(1.0)
            mean = (member * p).sum(1) / count
            spread = spread + (member * (p - mean.unsqueeze(1)).square()).sum(1) / count
            means.append(mean)
        share = y.mean(1)
        both = ((share > 0) & (share < 1)).to(z.dtype)
        values = spread + both * (self.margin + means[1] - means[0]).relu().square()
        return (values if self.version == "v2" else share * (1 - share) * values).mean(1)
