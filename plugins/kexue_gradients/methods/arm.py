"""ARM: two antithetic evaluations merged into one gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import below

from .pairs import AntitheticPairs

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "arm",
    "antithetic pair of evaluations with one uniform per bit",
    needs="bernoulli",
    claims=("unbiased",),
    cost="2 * pairs",
    references=("arXiv:1807.11143",),
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class Arm(AntitheticPairs):
    """`(f(1[u > 1 - p]) - f(1[u < p])) (u - 1/2)`, u the same in both evaluations.

    Unbiased, bits only. With independent uniforms in the two evaluations the formula does not hold: the terms cancel
    only within the pair. DisARM is its conditional expectation given the pair.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> sample = Arm().estimate(Distribution(kind="bernoulli", logits=logits), f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """Take `pairs` pairs and twice as many evaluations per repeat; `value` is their mean.

        Raises:
            ValueError: the distribution is not over bits.
        """
        if distribution.kind != "bernoulli":
            raise ValueError(f"arm couples bits, got {distribution.kind} variables; use disarm-tree")
        p = distribution.mean
        u = noise.uniform(repeats * self.pairs, *distribution.logits.shape)
        pair = torch.stack([below(1 - u, p), below(u, p)])
        value = objective.value(pair.flatten(0, 1)).unflatten(0, (2, len(u)))
        f, f_antithetic = value.detach()
        gradient = distribution.expand(f - f_antithetic) * (u - 0.5)
        return self._averaged(gradient, value.mean(0), repeats)
