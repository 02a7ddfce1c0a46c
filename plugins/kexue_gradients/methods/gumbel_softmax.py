"""Gumbel-Softmax, the Concrete relaxation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.words import SOFTNESS

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "gumbel-softmax",
    "pathwise gradient of a relaxed sample (Concrete)",
    needs={"discrete", "differentiable", "relaxable"},
    cost="1",
    knobs=(SOFTNESS,),
    aliases=("concrete",),
    references=("arXiv:1611.01144", "arXiv:1611.00712"),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class GumbelSoftmax:
    """`J(y) grad f(y) / temperature` at the relaxed sample y = softmax((l + G) / temperature).

    For bits y = sigmoid((l + logistic noise) / temperature). f is evaluated off the vertices, so the result depends on
    how the task extends it there. Biased; the bias falls and the variance grows as the temperature falls.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        temperature: softness of the sample, > 0.

    Raises:
        ValueError: the temperature is not positive.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = GumbelSoftmax(temperature=0.5).estimate(bits, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    temperature: float = 0.5

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(
                f"temperature must be > 0, got {self.temperature}; for samples on the vertices use straight-through"
            )

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One relaxed draw, one evaluation and one backward pass per repeat."""
        y = distribution.relax(distribution.perturb(noise, repeats), self.temperature)
        value, gradient = objective.value_and_gradient(y)
        return GradSample(gradient=distribution.jacobian(y, gradient) / self.temperature, value=value)
