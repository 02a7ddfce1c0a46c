"""The base of the estimators on antithetic pairs of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import in_dtype

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


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

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """Take `pairs` pairs and twice as many evaluations per repeat; `value` is their mean.

        Raises:
            ValueError: the distribution is not over bits.
        """
        if distribution.kind != "bernoulli":
            raise ValueError(f"an antithetic pair couples bits, got {distribution.kind} variables; use disarm-tree")
        u = in_dtype(noise, distribution.logits.dtype).uniform(repeats * self.pairs, *distribution.logits.shape)
        pair = self._pair(u, distribution.mean)
        value = objective.value(pair.flatten(0, 1)).unflatten(0, (2, len(u)))
        first, second = value.detach()
        gradient = self._gradient(distribution, u, pair, first - second)
        gradient, value = (both.unflatten(0, (repeats, self.pairs)).mean(1) for both in (gradient, value.mean(0)))
        return GradSample(gradient=gradient, value=value)

    def _pair(self, u: Tensor, p: Tensor) -> Tensor:
        """The two states `[2, R * pairs, *logits.shape]` that uniforms give at probabilities p."""
        raise NotImplementedError

    def _gradient(self, distribution: Distribution, u: Tensor, pair: Tensor, difference: Tensor) -> Tensor:
        """The estimate of each pair, from f at its first state less f at its second, `[R * pairs, *batch]`."""
        raise NotImplementedError
