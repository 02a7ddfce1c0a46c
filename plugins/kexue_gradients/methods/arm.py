"""ARM: two antithetic evaluations merged into one gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_gradients.contract import Distribution, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.context import Noise


@dataclass(frozen=True, kw_only=True)
class Arm:
    """ARM: `(f(1[u > 1 - p]) - f(1[u < p])) (u - 1/2)`, one uniform u a bit, the same in both evaluations.

    Unbiased, bits only (arXiv:1807.11143). With independent uniforms in the two evaluations the formula would be
    another one: the pair is what cancels. DisARM is its conditional expectation given the pair.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab.context import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> sample = Arm().estimate(Distribution(kind="bernoulli", logits=logits), f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    def estimate(
        self,
        distribution: Distribution,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,  # noqa: ARG002  # the contract's argument; nothing is learned here
    ) -> GradSample:
        """One pair and two evaluations a repeat; `value` is their mean.

        Raises:
            ValueError: the distribution is not over bits.
        """
        if distribution.kind != "bernoulli":
            raise ValueError(f"arm couples bits, got {distribution.kind} variables; use disarm-tree")
        p = distribution.mean
        u = noise.uniform(repeats, *distribution.logits.shape)
        pair = torch.stack([1 - u < p, u < p]).to(p.dtype)
        value = objective.value(pair.flatten(0, 1)).unflatten(0, (2, repeats))
        f, f_antithetic = value.detach()
        return GradSample(gradient=distribution.expand(f - f_antithetic) * (u - 0.5), value=value.mean(0))
