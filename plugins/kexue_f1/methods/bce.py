"""Binary cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from kexue_bench import method
from kexue_f1.base import BatchLoss


@method(
    "bce",
    "binary cross-entropy, the baseline",
    claims=("gradient-matches-value", "batch-size-invariant"),
    references=("Cox, Journal of the Royal Statistical Society B 20, 1958",),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(BatchLoss):
    """Binary cross-entropy: the mean of `log(1 + exp(-(2 y - 1) z))` over items and labels.

    Strictly proper: its minimizer over all functions is the posterior, and a mean over items has no minibatch bias.
    With a tuned threshold it is the baseline to beat; with logit 0 as the threshold it optimizes accuracy, not F1.
    Soft targets are allowed.

    Examples:
        >>> import torch
        >>> from kexue_f1 import BinaryCrossEntropy
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = BinaryCrossEntropy().loss(logits, targets)
        >>> loss.backward()
        >>> round(loss.item(), 4)
        0.3141
    """

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over items and labels, `[R]`."""
        return functional.binary_cross_entropy_with_logits(z, y, reduction="none").mean((1, 2))
