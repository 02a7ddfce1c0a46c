"""Cost-sensitive cross-entropy: F1 as a weighting of errors, with a fixed level or by Dinkelbach's iteration."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench import Knob, method
from kexue_f1.base import BatchLoss
from kexue_f1.counts import Counts, as_float, check_positive, f_score, stacked, unstacked


def weighted(z: Tensor, y: Tensor, level: Tensor | float, beta: float) -> Tensor:
    """Mean over items and labels of `(1 + beta^2 - level) y l(z) + level (1 - y) l(-z)`, `[R]`."""
    positive, negative = functional.softplus(-z), functional.softplus(z)
    return ((1 + beta**2 - level) * y * positive + level * (1 - y) * negative).mean((1, 2))


@method(
    "cost-sensitive",
    "cross-entropy with the error costs that are optimal for F1, at a fixed level",
    references=("Parambath et al., NeurIPS 2014",),
    claims=("gradient-matches-value", "batch-size-invariant"),
    knobs=(Knob(field="level", grid=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8), scale="linear"),),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class CostSensitive(BatchLoss):
    """Cost-sensitive cross-entropy: the mean of `(1 + beta^2 - level) y l(z) + level (1 - y) l(-z)`, l = log(1 + e^-z).

    The classifier that is best for F_beta is the one that is best for these costs if the level is the best attainable
    F_beta; its boundary z = 0 is the posterior `level / (1 + beta^2)`. It is a mean over items, so it has no minibatch
    bias. The level must be tuned: try a grid, or let `dinkelbach` find it.

    Args:
        level: the expected F_beta, in (0, 1).
        beta: beta of F_beta, > 0.

    Raises:
        ValueError: the level is outside (0, 1), or beta is not above 0.

    Examples:
        >>> import torch
        >>> from kexue_f1 import CostSensitive
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = CostSensitive(level=0.6).loss(logits, targets)
        >>> loss.backward()
    """

    level: float = 0.5
    beta: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level must lie in (0, 1) like F_beta, got {self.level}")
        check_positive(beta=self.beta)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over items and labels, `[R]`."""
        return weighted(z, y, self.level, self.beta)


@method(
    "dinkelbach",
    "cost-sensitive cross-entropy with the level updated from all training data",
    references=("Parambath et al., NeurIPS 2014", "Dinkelbach, Management Science 1967"),
    claims=("gradient-matches-value", "batch-size-invariant"),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class Dinkelbach:
    """`cost-sensitive` whose level is the classifier's F_beta on all training data, updated periodically.

    Dinkelbach's iteration for a ratio, `level <- F_beta(z > 0)`, with a few descent steps between two updates. The
    level starts at the F_beta of the classifier that predicts everything positive, a lower bound for any good one.

    Args:
        every: steps from one pass over all training data to the next, >= 1.
        beta: beta of F_beta, > 0.

    Raises:
        ValueError: every is below 1, or beta is not above 0; in `loss`: the state is missing.

    Examples:
        >>> import torch
        >>> from kexue_f1 import Dinkelbach
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> method = Dinkelbach()
        >>> level = method.refresh(logits.detach(), targets, method.init(targets))  # all training data, periodically
        >>> loss, _ = method.loss(logits, targets, level)
        >>> loss.backward()
    """

    every: int = 20
    beta: float = 1.0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}")
        check_positive(beta=self.beta)

    def init(self, targets: Tensor) -> Tensor:
        """F_beta if everything is predicted positive, `[R, 1, C]`."""
        return self.refresh(torch.ones_like(as_float(targets)), targets, None)

    def refresh(self, logits: Tensor, targets: Tensor, state: Tensor | None) -> Tensor:
        """F_beta if positive logits are predicted positive, `[R, 1, C]`; the old level where that is 0."""
        z, y = stacked(logits, targets)
        called = (z > 0).to(z.dtype)
        level = f_score(Counts.of(called, y), beta=self.beta).unsqueeze(1)
        return level if state is None else torch.where(level > 0, level, state.to(level))

    def loss(self, logits: Tensor, targets: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean over items and labels, and the level unchanged."""
        if state is None:
            raise ValueError(
                "the level is missing: pass the state from init(targets) or refresh(logits, targets, state)"
            )
        z, y = stacked(logits, targets)
        return unstacked(weighted(z, y, state.to(z), self.beta), logits), state

    def probability(self, logits: Tensor) -> Tensor:
        """`sigmoid(logits)`, which is above 1/2 where the posterior is above half the level."""
        return torch.sigmoid(logits)
