"""REINFORCE, the score-function estimator, with the classical baselines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from kexue_bench import Claimed, method
from kexue_gradients.contract import GradSample, Law, Objective

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

_BASELINES = ("none", "constant", "ema", "optimal")


class _Average(NamedTuple):
    """Moving sums whose ratio is the baseline, `[*batch[:-1], 1, ...]`: one for all parameters, or one for each."""

    total: Tensor
    weight: Tensor


# `torch.load` takes such a state with its default, `weights_only=True`.
torch.serialization.add_safe_globals([_Average])


@method(
    "reinforce",
    "score function with no baseline, or a constant, moving-average or optimal one",
    needs="expectation",
    claims=("unbiased", Claimed(name="finite-variance", when="'discrete' in offers")),
    cost="1",
    variants=("reinforce", "reinforce[baseline=ema]"),
    aliases=("score",),
    references=("Williams, Machine Learning 8, 1992", "arXiv:1906.10652"),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class Reinforce:
    """`(f(x) - c) grad log p(x)` for one draw x.

    The score is x - E x for the logits of bits and classes; other distributions have their own. Unbiased for any
    baseline c that does not depend on x, which may differ between parameters. The best one is `E[f s^2] / E[s^2]` for
    the score s of that parameter; for one bit it is `(1-p) f(1) + p f(0)`, not E f.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        baseline: `none` (c = 0), `constant` (c = value), `ema` (moving average of f over earlier draws only) or
            `optimal` (ratio of the moving averages of f s^2 and s^2 over earlier draws, for each parameter).
        value: the constant baseline, in units of f; used only by `constant`.
        decay: weight that the moving averages keep at each draw, in [0, 1).
        warmup: draws that the moving averages see before they are frozen for a measurement.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
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

    def init(self, distribution: Law, noise: Noise) -> _Average | None:
        """Empty averages; None if the baseline is not learned."""
        if self.baseline not in ("ema", "optimal"):
            return None
        each = torch.zeros_like(distribution.parameters)
        if self.baseline == "ema":
            each = distribution.expand(each.new_zeros(distribution.batch))
        zeros = _over_minibatch(distribution, each)
        return _Average(total=zeros, weight=zeros)

    def adapt(
        self, distribution: Law, objective: Objective, noise: Noise, repeats: int, state: _Average | None
    ) -> tuple[GradSample, _Average | None]:
        """Fold in f of the draw, averaged over the repeats and over the minibatch, after it has been used."""
        value, score = self._draw(distribution, objective, noise, repeats)
        sample = self._estimated(distribution, value, score, state)
        if state is None:
            return sample, None
        f = distribution.expand(value.detach())
        weight = score.square() if self.baseline == "optimal" else torch.ones_like(f)
        # The weights decay with the values, so the ratio is a mean over actual draws from the first one on.
        return sample, _Average(
            total=torch.lerp(_over_minibatch(distribution, (f * weight).mean(0)), state.total, self.decay),
            weight=torch.lerp(_over_minibatch(distribution, weight.mean(0)), state.weight, self.decay),
        )

    def estimate(
        self, distribution: Law, objective: Objective, noise: Noise, repeats: int, state: _Average | None = None
    ) -> GradSample:
        """One draw and one evaluation per repeat; the baseline is read before the draw updates it."""
        return self._estimated(distribution, *self._draw(distribution, objective, noise, repeats), state)

    def _draw(self, distribution: Law, objective: Objective, noise: Noise, repeats: int) -> tuple[Tensor, Tensor]:
        """The value of f at one draw per repeat, and its score."""
        x = distribution.sample(noise, repeats)
        return objective.value(x), distribution.score(x)

    def _estimated(self, distribution: Law, value: Tensor, score: Tensor, state: _Average | None) -> GradSample:
        centred = distribution.expand(value.detach()) - self._centre(state)
        return GradSample(gradient=centred * score, value=value)

    def _centre(self, state: _Average | None) -> float | Tensor:
        if state is None:
            return self.value
        return torch.where(state.weight > 0, state.total / state.weight.clamp_min(1e-30), 0.0)


def _over_minibatch(distribution: Law, value: Tensor) -> Tensor:
    """The mean over the last batch dimension of `[*batch, ...]`, kept with size 1."""
    return value.mean(len(distribution.batch) - 1, keepdim=True) if distribution.batch else value
