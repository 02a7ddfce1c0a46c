"""What a loss of the family is given and gives back, and what a reading of a trained score is.

Shapes, the same for logits and targets everywhere: `[B]` for one binary problem, `[R, B]` for R of them side by side
(stacked replicates), `[R, B, C]` for R problems with C labels each. Nothing mixes along R. A loss is one number for
each problem: `[]` for `[B]`, else `[R]`. Logits go in, never probabilities; targets are 0 or 1, and numbers between
them where a method says so.

State is what a loss learns outside of the model: class counts, running means. It is None, a tensor with R in front, or
a tuple of such; made from the targets of all training data, handed in and handed back, never written to, without a
graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from torch import Tensor

Probability = Callable[[Tensor], Tensor | None]
"""Logits -> pseudo-probabilities of the same shape; None where a loss makes no statement about probabilities."""


class F1Loss(Protocol):
    """A frozen dataclass whose fields are its hyper-parameters; nothing of ours need be imported to write one."""

    def init(self, targets: Tensor) -> Any:
        """State before the first step, from the targets of all training data; None for a loss that learns nothing."""
        ...

    def loss(self, logits: Tensor, targets: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """The loss of a batch, to be made small, and the next state.

        Raises:
            ValueError: shapes that do not fit, or a state that is needed and missing.
        """
        ...

    def probability(self, logits: Tensor) -> Tensor | None:
        """What the loss takes a logit to mean: a probability, calibrated or not, or None."""
        ...


class RefreshingLoss(F1Loss, Protocol):
    """A loss whose state is renewed from all training data at the current weights: a second pass."""

    every: int
    """Steps from one pass to the next; the first comes before the first step."""

    def refresh(self, logits: Tensor, targets: Tensor, state: Any) -> Any:
        """The state at the logits and targets of all training data, shaped as in `loss` with N for B."""
        ...


class AdaptiveLoss(F1Loss, Protocol):
    """A loss whose state follows the batches; this many of them prepare it before it is measured at frozen weights."""

    warmup: int


class VertexLoss(F1Loss, Protocol):
    """A loss that is one minus F1 where every decision is certain: `vertex` is `f1`.

    Smoothing constants move it; how far is what `minibatch-f1` measures.
    """

    vertex: ClassVar[str]


class ThresholdReading(Protocol):
    """A threshold rule: what is called positive is a score at or above it."""

    def threshold(self, scores: Tensor, targets: Tensor, probability: Probability) -> Tensor | None:
        """The threshold of each problem and label, on the scale of the scores.

        Args:
            scores: logits of the validation data, `[R, N, C]` (C is 1 for binary problems).
            targets: `[R, N, C]`, 0 or 1.
            probability: of the loss that made the scores.

        Returns:
            `[R, C]`, or None where the rule does not apply (it needs probabilities and there are none).
        """
        ...


class SetReading(Protocol):
    """A decision rule on sets of labels, which is no threshold: it looks at all labels of an item at once."""

    def decide(self, probability: Tensor) -> Tensor:
        """Which labels of which item are called positive: bool `[R, N, C]` from probabilities `[R, N, C]`."""
        ...
