"""Structured prediction on handwritten digits: the lower half from the upper half, through bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kexue_gradients.tasks.digits_model import PIXELS, Shape, TrainedDigits


@dataclass(frozen=True, kw_only=True)
class DigitsCompletion(TrainedDigits):
    """Train one layer of eight bits to predict the lower 32 pixels of a digit from the upper 32.

    A stochastic network `upper half -> logits -> b -> lower half`, linear on both sides, trained on
    `E_b[-log p(lower|b)]`, the bound on the likelihood of one sample; the score is this bound, summed over all 256
    states, in nats an image. Data, splits, initialisation and optimiser are those of `digits-vae`. There is no prior to
    keep b random, so the best network is nearly deterministic: what is ranked is how fast an estimator gets there.

    Args:
        steps: optimisation steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: steps is below 1, or the learning rate is not positive.
    """

    shape: ClassVar[Shape] = Shape(seen=PIXELS // 2, predicted=PIXELS // 2, prior=False)
    steps: int = 2000
    lr: float = 3e-3

    @property
    def settings(self) -> tuple[int, float]:
        """Steps and learning rate."""
        return self.steps, self.lr
