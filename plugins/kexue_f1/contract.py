"""The contracts of the family: what a loss takes and returns, and what a reading of a trained score is.

Logits and targets have the same shape everywhere: `[B]` for one binary problem, `[R, B]` for R of them (stacked
replicates), `[R, B, C]` for R problems with C labels each. The R problems are independent. A loss is one number for
each problem: `[]` for `[B]`, else `[R]`. The inputs are logits, never probabilities; targets are 0 or 1, or between
them if a method says so.

State is what a loss learns outside the model: class counts, running means. It is None, a tensor with R as its first
dimension, or a tuple of such tensors. It is built from the targets of all training data, passed in and returned, never
written to, and detached from the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from torch import Tensor

Probability = Callable[[Tensor], Tensor | None]
"""Logits -> pseudo-probabilities of the same shape; None if the loss defines no probability."""


class F1Loss(Protocol):
    """A frozen dataclass whose fields are its hyper-parameters; writing one requires no import from this package."""

    def init(self, targets: Tensor) -> Any:
        """State before the first step, from the targets of all training data; None for a loss that learns nothing."""
        ...

    def loss(self, logits: Tensor, targets: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """The loss of a batch (lower is better) and the next state.

        Raises:
            ValueError: the shapes do not match, or a required state is missing.
        """
        ...

    def probability(self, logits: Tensor) -> Tensor | None:
        """The probability, calibrated or not, that the loss assigns to a logit, or None."""
        ...


class RefreshingLoss(F1Loss, Protocol):
    """A loss whose state is recomputed from all training data at the current weights, in a second pass."""

    every: int
    """Steps from one pass to the next; the first pass precedes the first step."""

    def refresh(self, logits: Tensor, targets: Tensor, state: Any) -> Any:
        """The state at the logits and targets of all training data, shaped as in `loss` with N for B."""
        ...


class AdaptiveLoss(F1Loss, Protocol):
    """A loss whose state follows the batches; `warmup` batches prepare it before a measurement at frozen weights."""

    warmup: int


class VertexLoss(F1Loss, Protocol):
    """A loss that is one minus F1 if every decision is certain: `vertex` is `f1`.

    Smoothing constants shift it; `minibatch-f1` measures how far.
    """

    vertex: ClassVar[str]


class ThresholdReading(Protocol):
    """A threshold rule: scores at or above the threshold are predicted positive."""

    def threshold(self, scores: Tensor, targets: Tensor, probability: Probability) -> Tensor | None:
        """The threshold of each problem and label, on the scale of the scores.

        Args:
            scores: logits of the validation data, `[R, N, C]` (C is 1 for binary problems).
            targets: `[R, N, C]`, 0 or 1.
            probability: that of the loss that produced the scores.

        Returns:
            `[R, C]`, or None if the rule does not apply (it needs probabilities and the loss has none).
        """
        ...


class SetReading(Protocol):
    """A decision rule on sets of labels: it decides on all labels of an item jointly, not by a threshold."""

    def decide(self, probability: Tensor) -> Tensor:
        """The labels of each item that are predicted positive: bool `[R, N, C]` from probabilities `[R, N, C]`."""
        ...
