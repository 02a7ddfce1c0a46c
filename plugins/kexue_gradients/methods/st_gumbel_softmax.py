"""Straight-through Gumbel-Softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.words import SOFTNESS

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "st-gumbel-softmax",
    "exact sample forward, its relaxation backward",
    needs={"discrete", "differentiable"},
    cost="1",
    knobs=(SOFTNESS,),
    references=("arXiv:1611.01144",),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class StGumbelSoftmax:
    """`J(y) grad f(x) / temperature` at x = onehot argmax(l + G), y = softmax((l + G) / temperature) with the same G.

    x is the vertex nearest to the relaxed sample y. Equal to `torch.nn.functional.gumbel_softmax(hard=True)`. Biased.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        temperature: softness of the backward pass, > 0.

    Raises:
        ValueError: the temperature is not positive.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = StGumbelSoftmax(temperature=1.0).estimate(bits, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}; without noise use straight-through")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat."""
        perturbation = distribution.perturb(noise, repeats)
        value, gradient = objective.value_and_gradient(distribution.harden(perturbation))
        y = distribution.relax(perturbation, self.temperature)
        return GradSample(gradient=distribution.jacobian(y, gradient) / self.temperature, value=value)
