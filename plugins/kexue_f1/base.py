"""What the losses of this package share: shapes, no state, and a logistic link."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from kexue_f1.counts import stacked, unstacked


class BatchLoss(ABC):
    """A loss of the batch alone, without state; a subclass implements `value`."""

    @abstractmethod
    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """The loss of logits z and targets y, both `[R, B, C]`: `[R]`."""

    def init(self, targets: Tensor) -> None:
        """No state."""
        return

    def loss(self, logits: Tensor, targets: Tensor, state: object = None) -> tuple[Tensor, object]:
        """The loss of `[B]`, `[R, B]` or `[R, B, C]` as `[]` or `[R]`, and the state unchanged.

        Raises:
            ValueError: the shapes do not match.
        """
        z, y = stacked(logits, targets)
        return unstacked(self.value(z, y), logits), state

    def probability(self, logits: Tensor) -> Tensor | None:
        """`sigmoid(logits)`."""
        return torch.sigmoid(logits)
