"""Soft F1 linearized at the counts of all training data: its gradient has the right mean at any batch size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import Knob, method
from kexue_f1.counts import as_float, stacked, unstacked

State = tuple[Tensor, Tensor]
"""Soft F1 and `mean(p + y)` of each label on all training data, both `[R, 1, C]`."""


def linearised(z: Tensor, y: Tensor, score: Tensor, size: Tensor) -> Tensor:
    """Mean over items and labels of `p (score - 2 y) / size`, whose gradient is that of one minus soft F1; `[R]`."""
    return (torch.sigmoid(z) * (score - 2 * y) / size).mean((1, 2))


def means(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Means over items of `p y` and `p + y`, detached, both `[R, 1, C]`."""
    p = torch.sigmoid(z.detach())
    return (p * y).mean(1, keepdim=True), (p + y).mean(1, keepdim=True)


def as_state(true_positives: Tensor, size: Tensor) -> State:
    """Soft F1 and its denominator from the two means."""
    size = size.clamp_min(torch.finfo(size.dtype).tiny)
    return 2 * true_positives / size, size


@method(
    "global-soft-f1",
    "soft F1 linearized at the counts of all training data",
    claims=("gradient-matches-value", "batch-size-invariant", "gradient-of(soft-f1)"),
    knobs=(Knob(field="every", grid=(1, 10, 50)),),
    references=("derived in its docstring from the gradient of soft F1",),
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class GlobalSoftF1:
    """Linearized soft F1: the mean of `p (F - 2 y) / D`, with F and D = mean(p + y) computed on all training data.

    The derivative of 1 - F with respect to p is `(F - 2 y) / (N D)`, so the gradient of this mean over a batch of any
    size has the full-data gradient of soft F1 as its expectation, at the weights at which F and D were computed. They
    are recomputed in a second pass over all training data every `every` steps. It is cost-sensitive with a linear loss.

    Args:
        every: steps from one pass over all training data to the next, >= 1; 1 leaves no bias, more leaves little.

    Raises:
        ValueError: every is below 1; in `loss`: the state is missing.

    Examples:
        >>> import torch
        >>> from kexue_f1 import GlobalSoftF1
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> method = GlobalSoftF1()
        >>> state = method.refresh(logits, targets, None)  # logits and targets of all training data, periodically
        >>> loss, _ = method.loss(logits, targets, state)
        >>> loss.backward()
    """

    every: int = 10

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}")

    def init(self, targets: Tensor) -> State:
        """The state at logits of 0."""
        return self.refresh(torch.zeros_like(as_float(targets)), targets, None)

    def refresh(self, logits: Tensor, targets: Tensor, state: State | None) -> State:  # recomputed from scratch
        """Soft F1 and its denominator at the logits of all training data."""
        return as_state(*means(*stacked(logits, targets)))

    def loss(self, logits: Tensor, targets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The linearized loss of a batch, and the state unchanged."""
        if state is None:
            raise ValueError("the counts of all training data are missing: pass the state from init or refresh")
        z, y = stacked(logits, targets)
        score, size = (part.to(z) for part in state)
        return unstacked(linearised(z, y, score, size), logits), state

    def probability(self, logits: Tensor) -> Tensor:
        """`sigmoid(logits)`."""
        return torch.sigmoid(logits)


@method(
    "ema-soft-f1",
    "soft F1 linearized at running means of the batch counts",
    knobs=(Knob(field="decay", grid=(0.9, 0.97, 0.99, 0.997), scale="linear"),),
    references=("derived in its docstring from the gradient of soft F1",),
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class EmaSoftF1:
    """`global-soft-f1` with running means of the batch counts instead of a second pass.

    The means of `p y` and `p + y` follow the batches with weight 1 - decay and include the current batch. They lag
    behind the weights and are noisy if a batch holds few positives, so the gradient is only approximately unbiased.

    Args:
        decay: decay of the running means, in [0, 1); 0 is soft F1 of the batch itself.

    Raises:
        ValueError: the decay is outside [0, 1); in `loss`: the state is missing.

    Examples:
        >>> import torch
        >>> from kexue_f1 import EmaSoftF1
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> method = EmaSoftF1()
        >>> state = method.init(targets)  # targets of all training data
        >>> loss, state = method.loss(logits, targets, state)
        >>> loss.backward()
    """

    decay: float = 0.99

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in [0, 1), got {self.decay}")

    @property
    def warmup(self) -> int:
        """Batches until the initial state has about e^-5 of the weight."""
        return round(5 / (1 - self.decay))

    def init(self, targets: Tensor) -> State:
        """Means of `p y` and `p + y` at logits of 0, both `[R, 1, C]`."""
        return means(*stacked(torch.zeros_like(as_float(targets)), targets))

    def loss(self, logits: Tensor, targets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """The linearized loss of a batch, and the running means after it."""
        if state is None:
            raise ValueError("the running means are missing: pass the state from init(targets)")
        z, y = stacked(logits, targets)
        new = tuple(
            self.decay * old.to(z) + (1 - self.decay) * now for old, now in zip(state, means(z, y), strict=True)
        )
        return unstacked(linearised(z, y, *as_state(*new)), logits), (new[0], new[1])

    def probability(self, logits: Tensor) -> Tensor:
        """`sigmoid(logits)`."""
        return torch.sigmoid(logits)
