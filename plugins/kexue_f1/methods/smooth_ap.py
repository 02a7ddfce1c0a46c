"""Smooth average precision."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import Knob, Unless, method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import check_positive


@method(
    "smooth-ap",
    "one minus average precision with smooth comparisons, the paper's 0.01 on raw logits",
    references=("Brown et al., arXiv:2007.12163",),
    claims=("gradient-matches-value", "neutral-when-empty"),
    knobs=(Knob(field="temperature", grid=(0.01, 0.1, 1.0)),),
    unless=(
        Unless(
            when="task.pairs > 1024", because="a step of smooth-ap on more than 1,024 items takes a fifth of a second"
        ),
    ),
    order=220,
)
@dataclass(frozen=True, kw_only=True)
class SmoothAp(BatchLoss):
    """Smooth-AP: one minus average precision with every comparison of two scores replaced by a sigmoid.

    The mean over positives i of `(1 + sum over positives s_ij) / (1 + sum over all others s_ij)`, with
    `s_ij = sigmoid((z_j - z_i) / temperature)`. As the temperature goes to 0 it becomes average precision; its value on
    a batch is not that on all data. Time and memory grow as positives times items. A batch without positives has a loss
    of 1 and no gradient. With several labels: the mean over labels (equation 8). Targets are 0 or 1.

    Args:
        temperature: softness of a comparison, > 0; 0.01 is the paper's, for cosine similarities in [-1, 1].

    Raises:
        ValueError: the temperature is not positive.

    Examples:
        >>> import torch
        >>> from kexue_f1 import SmoothAp
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = SmoothAp(temperature=1.0).loss(logits, targets)
        >>> loss.backward()
    """

    temperature: float = 0.01

    def __post_init__(self) -> None:
        check_positive(temperature=self.temperature)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels, `[R]`."""
        z, y = z.transpose(1, 2), (y > 0.5).to(z.dtype).transpose(1, 2)
        # Every problem of the stack is padded to the largest number of positives among them.
        most = max(1, int(y.sum(2).max()))
        is_positive, index = y.sort(dim=2, descending=True, stable=True)
        is_positive, index = is_positive[..., :most], index[..., :most]
        pairs = torch.sigmoid((z.unsqueeze(2) - z.gather(2, index).unsqueeze(3)) / self.temperature)
        # An item's comparison with itself contributes 1/2 to each sum; it must count 1, its own rank.
        rank = 0.5 + pairs.sum(3)
        rank_among_positives = 0.5 + (pairs * y.unsqueeze(2)).sum(3)
        precision = (is_positive * rank_among_positives / rank).sum(2) / is_positive.sum(2).clamp_min(1.0)
        return (1 - precision).mean(1)

    def probability(self, logits: Tensor) -> None:
        """None: a ranking loss defines no probability."""
        del logits
