"""ARM: two antithetic evaluations merged into one gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.laws import below

from .pairs import AntitheticPairs

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_gradients.contract import Distribution


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

    One estimate takes time O(pairs B L) and memory O(pairs B L), f apart.

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

    def _pair(self, u: Tensor, p: Tensor) -> Tensor:
        return torch.stack([below(1 - u, p), below(u, p)])

    def _gradient(self, distribution: Distribution, u: Tensor, pair: Tensor, difference: Tensor) -> Tensor:
        return distribution.expand(difference) * (u - 0.5)
