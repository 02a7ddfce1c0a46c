"""REINFORCE, the score-function estimator, with the classical baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from kexue_gradients.contract import GradSample, Law, Objective

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Noise

_BASELINES = ("none", "constant", "ema")


class _Average(NamedTuple):
    """Exponential moving sum of f and of the weights, each `[*batch[:-1], 1]`; their ratio is the baseline."""

    total: Tensor
    weight: Tensor


@dataclass(frozen=True, kw_only=True)
class Reinforce:
    """REINFORCE: `(f(x) - c) grad log p(x)` for one draw x (Williams, Machine Learning 8, 1992).

    The score is x - E x for the logits of bits and classes; other laws have their own, under which the method is known
    as the score-function estimator (arXiv:1906.10652). Unbiased for any baseline c that does not depend on x. For one
    bit the best constant is `(1-p) f(1) + p f(0)`, not E f.

    Args:
        baseline: `none` (c = 0), `constant` (c = value) or `ema` (moving average of f over earlier draws only).
        value: the constant baseline, in units of f; used by `constant` alone.
        decay: weight that the moving average keeps at each draw, in [0, 1).
        warmup: draws that the moving average sees before it is frozen for a measurement.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab.context import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = Reinforce().estimate(bits, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    baseline: str = "none"
    value: float = 0.0
    decay: float = 0.95
    warmup: int = 100

    def __post_init__(self) -> None:
        if self.baseline not in _BASELINES:
            raise ValueError(f"baseline must be one of {', '.join(_BASELINES)}, got {self.baseline!r}")
        if self.value and self.baseline != "constant":
            raise ValueError(f"value {self.value} has no effect with baseline={self.baseline}; set baseline=constant")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {self.decay}")
        if self.warmup < 0:
            raise ValueError(f"warmup must be >= 0, got {self.warmup}")

    def init(self, distribution: Law, noise: Noise) -> _Average | None:  # noqa: ARG002  # nothing random in zeros
        """An average of nothing; None where the baseline is not learned."""
        if self.baseline != "ema":
            return None
        shape = (*distribution.batch[:-1], 1) if distribution.batch else ()
        zeros = distribution.parameters.new_zeros(shape)
        return _Average(total=zeros, weight=zeros)

    def adapt(
        self, distribution: Law, objective: Objective, noise: Noise, repeats: int, state: _Average | None
    ) -> tuple[GradSample, _Average | None]:
        """Fold in f of the draw, averaged over the repeats and over the minibatch, after it has been used."""
        sample = self.estimate(distribution, objective, noise, repeats, state)
        if state is None:
            return sample, None
        mean = sample.value.detach().mean(0)
        if mean.dim():
            mean = mean.mean(-1, keepdim=True)
        # The weights decay with the values, so the ratio is a mean of real draws from the first one on.
        return sample, _Average(
            total=self.decay * state.total + (1 - self.decay) * mean,
            weight=self.decay * state.weight + (1 - self.decay),
        )

    def estimate(
        self,
        distribution: Law,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: _Average | None = None,
    ) -> GradSample:
        """One draw and one evaluation a repeat; the baseline is read before the draw can reach it."""
        x = distribution.sample(noise, repeats)
        value = objective.value(x)
        centred = value.detach() - self._centre(state)
        return GradSample(gradient=distribution.expand(centred) * distribution.score(x), value=value)

    def _centre(self, state: _Average | None) -> float | Tensor:
        if self.baseline == "ema" and state is not None:
            return torch.where(state.weight > 0, state.total / state.weight.clamp_min(1e-30), 0.0)
        return self.value
