"""Gumbel-Rao: straight-through Gumbel-Softmax, Rao-Blackwellized over the noise given the sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.words import SOFTNESS

from .conditional import perturbed_given

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "gumbel-rao",
    "straight-through Gumbel-Softmax averaged over the noise given the sample",
    needs={"discrete", "differentiable"},
    cost="1",
    knobs=(SOFTNESS,),
    references=("arXiv:2010.04838",),
    order=250,
)
@dataclass(frozen=True, kw_only=True)
class GumbelRao:
    """`mean_k J(y_k) grad f(x) / temperature`, y_k relaxations of k draws of the noise given the sample x.

    The same mean as st-gumbel-softmax and never more variance, at one evaluation and one backward pass: only the cheap
    Jacobian is averaged. The shift of the perturbed logits given x is not differentiated. With draws = 1 it equals
    st-gumbel-softmax in distribution; as the temperature falls and the draws grow it tends to ReinMax at temperature 1.
    Biased.

    One estimate takes time O(draws B L K) and memory O(draws B L K), f apart.

    Args:
        temperature: softness of the backward pass, > 0.
        draws: draws of the noise given the sample, at least 1.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(2, 3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: x[..., 0].square().sum(-1))
        >>> law = Distribution(kind="categorical", logits=logits)
        >>> sample = GumbelRao(draws=100).estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([2, 3])
    """

    temperature: float = 1.0
    draws: int = 10

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}; for its limit 0 use reinmax")
        if self.draws < 1:
            raise ValueError(f"draws must be >= 1, got {self.draws}")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat, and `draws` relaxations."""
        x = distribution.sample(noise, repeats)
        value, slope = objective.value_and_gradient(x)
        z = perturbed_given(distribution, x, noise, self.draws) / self.temperature
        y = torch.sigmoid(z) if distribution.kind == "bernoulli" else z.softmax(-1)
        averaged = distribution.jacobian(y, slope.unsqueeze(1)).mean(1)
        return GradSample(gradient=averaged / self.temperature, value=value)
