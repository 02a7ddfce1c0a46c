"""DisARM: the antithetic pair of ARM, with its uniform integrated out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import below

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@dataclass(frozen=True, kw_only=True)
class Disarm:
    """DisARM: `1/2 (f(b) - f(b')) (b - b') sigmoid(|l|)` for the antithetic pair b = 1[u < p], b' = 1[1 - u < p].

    The conditional expectation of ARM given the pair: unbiased, bits only, and never more variable than RLOO with two
    draws on one bit (arXiv:2006.10680; also found as U2G).

    Args:
        pairs: independent pairs that one estimate averages, at 2 evaluations each, at least 1.

    Raises:
        ValueError: pairs is below 1.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = Disarm().estimate(bits, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    pairs: int = 1

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise ValueError(f"pairs must be >= 1, got {self.pairs}")

    def estimate(
        self,
        distribution: Distribution,
        objective: Objective,
        noise: Noise,
        repeats: int,
        state: object = None,  # noqa: ARG002  # the contract's argument; nothing is learned here
    ) -> GradSample:
        """Take `pairs` pairs and twice as many evaluations a repeat; `value` is their mean.

        Raises:
            ValueError: the distribution is not over bits.
        """
        if distribution.kind != "bernoulli":
            raise ValueError(f"disarm couples bits, got {distribution.kind} variables; use rloo")
        logits, p = distribution.logits, distribution.mean
        u = noise.uniform(repeats * self.pairs, *logits.shape)
        pair = torch.stack([below(u, p), below(1 - u, p)])
        value = objective.value(pair.flatten(0, 1)).unflatten(0, (2, len(u)))
        f, f_antithetic = value.detach()
        difference = distribution.expand((f - f_antithetic) / 2)
        gradient = difference * (pair[0] - pair[1]) * torch.sigmoid(logits.abs())
        gradient, value = (both.unflatten(0, (repeats, self.pairs)).mean(1) for both in (gradient, value.mean(0)))
        return GradSample(gradient=gradient, value=value)
