"""sigmoidF1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kexue_bench import Claimed, Knob, method
from kexue_bench.lab.precision import precise
from kexue_f1.base import BatchLoss
from kexue_f1.counts import Counts, check_average, check_not_negative, check_positive, f_score


@method(
    "sigmoid-f1",
    "soft F1 of a steep sigmoid of the logits",
    references=("Bénédict et al., arXiv:2108.10566",),
    claims=(
        "gradient-matches-value",
        Claimed(name="vertex-exact(f1)", when="eps == 0"),
        "consistent",
        Claimed(name="neutral-when-empty", when="eps == 0"),
    ),
    knobs=(Knob(field="beta", grid=(1.0, 3.0, 10.0, 30.0)),),
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class SigmoidF1(BatchLoss):
    """sigmoidF1: soft F1 with `p = sigmoid(beta (z + eta))` of the raw output z of the last layer.

    As beta goes to infinity this becomes hard F1, without a gradient. This is the formula on logits (section 4); the
    published code applies a sigmoid before this one, which is a different loss with hardly any gradient.

    Args:
        beta: steepness, > 0.
        eta: offset of the logits.
        eps: smoothing of soft F1, >= 0.
        average: over labels: `macro`, `micro` or `samples`.

    Raises:
        ValueError: beta is not above 0, eps is below 0, or the average is unknown.

    Examples:
        >>> import torch
        >>> from kexue_f1 import SigmoidF1
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = SigmoidF1(beta=10.0).loss(logits, targets)
        >>> loss.backward()
    """

    vertex: ClassVar[str] = "f1"
    beta: float = 10.0
    eta: float = 0.0
    eps: float = 0.0
    average: str = "macro"

    def __post_init__(self) -> None:
        check_positive(beta=self.beta)
        check_not_negative(eps=self.eps)
        check_average(self.average)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels or items, `[R]`."""
        u = self.beta * (z + self.eta)
        return 1 - f_score(Counts.of(torch.sigmoid(u), y, self.average), eps=self.eps).mean(1)

    @precise
    def probability(self, logits: Tensor) -> Tensor:
        """The steep sigmoid."""
        return torch.sigmoid(self.beta * (logits + self.eta))
