"""The mistakes. Results are plain tuples with the names that the harness reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Sample(NamedTuple):
    """What a method gives back."""

    gradient: Tensor
    value: Tensor


@dataclass(frozen=True, kw_only=True)
class RebarWithoutSlope:
    """REBAR for bits that differentiates c(z') as if z' did not move with the logits beyond its shift."""

    temperature: float = 0.5

    def estimate(self, distribution, objective, noise, repeats, state=None):
        """One pair, three evaluations."""
        logits, p = distribution.logits, distribution.mean
        z = logits + noise.logistic(repeats, *logits.shape)
        x = (z > 0).to(logits.dtype)
        sign = 2 * x - 1
        given = sign * functional.softplus(noise.logistic(*x.shape) + functional.softplus(sign * logits))
        value = objective.value(x)
        gradients, values = [], []
        for point in (z, given):
            y = torch.sigmoid(point / self.temperature)
            c, slope = objective.value_and_gradient(y)
            gradients.append(y * (1 - y) * slope / self.temperature)
            values.append(c.detach())
        score = (value.detach() - values[1]).unsqueeze(-1) * (x - p)
        return Sample(gradient=score + gradients[0] - gradients[1], value=value)


@dataclass(frozen=True, kw_only=True)
class ArmIndependent:
    """ARM whose second evaluation has uniforms of its own."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        """Two evaluations."""
        p = distribution.mean
        u, other = noise.uniform(2, repeats, *p.shape)
        a, b = objective.value((1 - u < p).to(p.dtype)), objective.value((other < p).to(p.dtype))
        return Sample(gradient=(a - b).detach().unsqueeze(-1) * (u - 0.5), value=a)


@dataclass(frozen=True, kw_only=True)
class RlooOwnSample:
    """Two draws, each with the mean of both as baseline, averaged."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        """Two evaluations."""
        x, f, value = _pair(distribution, objective, noise, repeats)
        centred = (f - f.mean(1, keepdim=True)).unsqueeze(-1)
        return Sample(gradient=(centred * (x - distribution.mean)).mean(1), value=value)


@dataclass(frozen=True, kw_only=True)
class RlooHonest:
    """Two draws, each with the other as baseline, averaged."""

    def estimate(self, distribution, objective, noise, repeats, state=None):
        """Two evaluations."""
        x, f, value = _pair(distribution, objective, noise, repeats)
        centred = (f - f.flip(1)).unsqueeze(-1)
        return Sample(gradient=(centred * (x - distribution.mean)).mean(1), value=value)


def _pair(distribution, objective, noise, repeats):
    x = distribution.sample(noise, repeats, 2)
    value = objective.value(x.flatten(0, 1)).unflatten(0, (repeats, 2))
    return x, value.detach(), value.mean(1)
