"""AnyLoss for F1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from kexue_bench import Claimed, Knob, method
from kexue_bench.lab.precision import precise
from kexue_f1.base import BatchLoss
from kexue_f1.counts import Counts, check_average, check_positive, f_score


@method(
    "anyloss-f1",
    "soft F1 of amplified probabilities",
    references=("Han et al., arXiv:2405.14745",),
    claims=(
        "gradient-matches-value",
        Claimed(name="vertex-exact(f1)", when="steepness >= 40"),
        Claimed(name="consistent", when="steepness >= 40"),
        "neutral-when-empty",
    ),
    knobs=(Knob(field="steepness", grid=(5.0, 10.0, 30.0, 75.0)),),
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class AnyLossF1(BatchLoss):
    """AnyLoss with F1: soft F1 of `A(p) = sigmoid(steepness (p - 1/2))`, p = sigmoid(z).

    A amplifies p towards 0 and 1, but only to `sigmoid(-steepness / 2)`: at 10 it never falls below 0.0067, which keeps
    the score away from F1; at 75 gradients vanish if no item is near 1/2.

    Args:
        steepness: L in the paper, > 0.
        average: over labels: `macro`, `micro` or `samples`.

    Raises:
        ValueError: the steepness is not above 0, or the average is unknown.

    Examples:
        >>> import torch
        >>> from kexue_f1 import AnyLossF1
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = AnyLossF1(steepness=10.0).loss(logits, targets)
        >>> loss.backward()
    """

    vertex: ClassVar[str] = "f1"
    steepness: float = 75.0
    average: str = "macro"

    def __post_init__(self) -> None:
        check_positive(steepness=self.steepness)
        check_average(self.average)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels or items, `[R]`."""
        u = self.steepness * (torch.sigmoid(z) - 0.5)
        return 1 - f_score(Counts.of(torch.sigmoid(u), y, self.average)).mean(1)

    @precise
    def probability(self, logits: Tensor) -> Tensor:
        """The amplified probability."""
        return torch.sigmoid(self.steepness * (torch.sigmoid(logits) - 0.5))
