"""Zero-bounded log-sum-exp and pairwise rank-based loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import stacked, unstacked


@method(
    "zlpr",
    "ranking loss of a set of labels, with the threshold at 0",
    references=("Su et al., arXiv:2208.02955", "kexue.fm archives/7359"),
    claims=("gradient-matches-value",),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class Zlpr(BatchLoss):
    """ZLPR: `log(1 + sum over negatives e^z) + log(1 + sum over positives e^-z)` of a set of labels.

    It ranks every positive above 0 and above every negative; the threshold is logit 0 by construction and does not
    correspond to a probability. The set is the labels of an item, `[R, B, C]`, and the loss is the mean over items; for
    a binary problem, `[B]` or `[R, B]`, the batch itself is the set (equation 6). Targets are 0 or 1.

    Examples:
        >>> import torch
        >>> from kexue_f1 import Zlpr
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = Zlpr().loss(logits, targets)
        >>> loss.backward()
        >>> round(loss.item(), 4)
        0.8961
    """

    def loss(self, logits: Tensor, targets: Tensor, state: object = None) -> tuple[Tensor, object]:
        """Mean over items; a binary batch is one set."""
        z, y = stacked(logits, targets)
        if logits.ndim < 3:
            z, y = z.transpose(1, 2), y.transpose(1, 2)
        return unstacked(self.value(z, y), logits), state

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over items of the loss over their labels, `[R]`."""
        zero = torch.zeros_like(z[..., :1])
        negative = torch.cat([zero, z.masked_fill(y > 0.5, -torch.inf)], dim=2).logsumexp(2)
        positive = torch.cat([zero, (-z).masked_fill(y <= 0.5, -torch.inf)], dim=2).logsumexp(2)
        return (negative + positive).mean(1)

    def probability(self, logits: Tensor) -> None:
        """None: a ranking loss defines no probability."""
        del logits
