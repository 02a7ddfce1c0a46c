"""The base of the estimators on antithetic pairs of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_gradients.contract import GradSample

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class AntitheticPairs:
    """A mean over independent pairs of states, both states of a pair made from the same uniforms, one per bit.

    Args:
        pairs: independent pairs that one estimate averages, at 2 evaluations each, at least 1.

    Raises:
        ValueError: pairs is below 1.
    """

    pairs: int = 1

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise ValueError(f"pairs must be >= 1, got {self.pairs}")

    def _averaged(self, gradient: Tensor, value: Tensor, repeats: int) -> GradSample:
        """The mean over the pairs of each repeat, of estimates `[R * pairs, ...]` and values `[R * pairs, *batch]`."""
        gradient, value = (both.unflatten(0, (repeats, self.pairs)).mean(1) for both in (gradient, value))
        return GradSample(gradient=gradient, value=value)
