"""Gradient estimators that are each wrong in one way; the rest of each is plain REINFORCE."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import torch

from kexue_gradients import GradSample, Reinforce, Rloo, StraightThrough

_calls = itertools.count()


@dataclass(frozen=True, kw_only=True)
class _Plain:
    """REINFORCE, to be broken by what follows."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        return Reinforce().estimate(distribution, objective, noise, repeats)


@dataclass(frozen=True, kw_only=True)
class OwnBaseline(Reinforce):
    """REINFORCE whose moving average is updated with the draw's own f before it is subtracted."""

    baseline: str = "ema"
    value: float = 0.0
    decay: float = 0.9
    warmup: int = 100

    def estimate(self, distribution, objective, noise, repeats, state=None):
        sample = super().estimate(distribution, objective, noise, repeats, state)
        # f - (decay b + (1 - decay) f) = decay (f - b)
        return replace(sample, gradient=self.decay * sample.gradient)


@dataclass(frozen=True, kw_only=True)
class StUnbiased:
    """Straight-through, declared unbiased."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        return StraightThrough().estimate(distribution, objective, noise, repeats)


@dataclass(frozen=True, kw_only=True)
class DividesByDraw(_Plain):
    """Reweighted by a draw that may be 0."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        x = distribution.sample(noise, repeats)
        value = objective.value(x)
        return GradSample(gradient=distribution.expand(value) * distribution.mean / x, value=value)


@dataclass(frozen=True, kw_only=True)
class NeverTheSame(_Plain):
    """Counts its calls."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        sample = super().estimate(distribution, objective, noise, repeats)
        return replace(sample, gradient=sample.gradient * (1 + 1e-3 * (next(_calls) % 7)))


@dataclass(frozen=True, kw_only=True)
class SeedsGlobally(_Plain):
    """Seeds the global generator, for reproducibility."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        torch.manual_seed(0)
        return super().estimate(distribution, objective, noise, repeats)


@dataclass(frozen=True, kw_only=True)
class DrawsGlobally(_Plain):
    """Jitters by the global generator."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        sample = super().estimate(distribution, objective, noise, repeats)
        return replace(sample, gradient=sample.gradient + 1e-3 * torch.randn_like(sample.gradient))


@dataclass(frozen=True, kw_only=True)
class MutatesLogits(_Plain):
    """Centres the logits in place."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        sample = super().estimate(distribution, objective, noise, repeats)
        distribution.logits.mul_(0.99)
        return sample


@dataclass(frozen=True, kw_only=True)
class SetsDefaultDtype(_Plain):
    """Wants float64 everywhere."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        torch.set_default_dtype(torch.float64)
        return super().estimate(distribution, objective, noise, repeats)


@dataclass(frozen=True, kw_only=True)
class DoublesDtype(_Plain):
    """Answers in float64 whatever it is asked in."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        sample = super().estimate(distribution, objective, noise, repeats)
        return replace(sample, gradient=sample.gradient.double())


@dataclass(frozen=True, kw_only=True)
class SometimesNan(_Plain):
    """Not a number once in a thousand rows."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        sample = super().estimate(distribution, objective, noise, repeats)
        bad = distribution.expand(noise.uniform(repeats, *distribution.batch) < 1e-3)
        return replace(sample, gradient=sample.gradient.masked_fill(bad, float("nan")))


@dataclass(frozen=True, kw_only=True)
class SharedDraw(_Plain):
    """Each row is half of its own draw and half of one that all rows share."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        sample = super().estimate(distribution, objective, noise, repeats)
        shared = super().estimate(distribution, objective, noise, 1).gradient
        return replace(sample, gradient=(sample.gradient + shared) / 2)


@dataclass(frozen=True, kw_only=True)
class AntitheticRows(_Plain):
    """The second half of a batch mirrors the first: less noise in a mean than rows promise."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        sample = super().estimate(distribution, objective, noise, (repeats + 1) // 2)
        both = [torch.cat([part, -part])[:repeats] for part in (sample.gradient, sample.value)]
        return GradSample(gradient=both[0], value=both[1])


@dataclass(frozen=True, kw_only=True)
class KnowsItsRows(_Plain):
    """Subtracts the mean of f over the batch, so that what a row is depends on how many there are."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        x = distribution.sample(noise, repeats)
        value = objective.value(x)
        return GradSample(gradient=distribution.expand(value - value.mean(0)) * (x - distribution.mean), value=value)


@dataclass(frozen=True, kw_only=True)
class ConstantInName(_Plain):
    """Says that it is deterministic, and draws."""


@dataclass(frozen=True, kw_only=True)
class FreeSecondDraw:
    """Leave-one-out over two draws, declared as one evaluation."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        return Rloo(n=2).estimate(distribution, objective, noise, repeats)


@dataclass(frozen=True, kw_only=True)
class Raises:
    """Ends no check at all."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        raise KeyError("nothing here")
