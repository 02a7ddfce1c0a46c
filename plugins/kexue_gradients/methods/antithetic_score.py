"""The score-function estimator on antithetic pairs of normal variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Gaussian, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "antithetic-score",
    "score function on a normal draw and its mirror image",
    needs="gaussian",
    claims=("unbiased",),
    cost="2",
    references=("arXiv:1906.10652",),
    order=300,
)
@dataclass(frozen=True, kw_only=True)
class AntitheticScore:
    """The mean of `f(x) grad log p(x)` over x = mu + sigma e and mu - sigma e.

    For mu this is `(f(x) - f(x')) e / (2 sigma)`, the antithetic step of evolution strategies: the even part of f about
    mu cancels. For sigma it is not a difference, and the mean of f remains.

    One estimate takes time O(B L) and memory O(B L), f apart.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import FunctionObjective, Gaussian
        >>> law = Gaussian(mu=torch.zeros(1), sigma=torch.ones(1))
        >>> even = FunctionObjective(lambda x: x.square().sum(-1))
        >>> AntitheticScore().estimate(law, even, Noise.seeded(0), 3).gradient[:, 0, 0].tolist()
        [0.0, 0.0, 0.0]
    """

    def estimate(
        self, distribution: Gaussian, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One pair and two evaluations per repeat; `value` is their mean."""
        x = distribution.sample(noise, repeats)
        mirrored = 2 * distribution.mu - x
        value, mirrored_value = objective.value(torch.cat([x, mirrored])).chunk(2)
        score = distribution.score(x) * distribution.expand(value.detach())
        score = score + distribution.score(mirrored) * distribution.expand(mirrored_value.detach())
        return GradSample(gradient=score / 2, value=(value + mirrored_value) / 2)
