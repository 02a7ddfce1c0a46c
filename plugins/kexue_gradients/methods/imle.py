"""I-MLE: the difference of two most likely states under the same noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import Knob, method
from kexue_gradients.contract import Distribution, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "imle",
    "difference of two most likely states under the same noise",
    needs={"discrete", "differentiable"},
    cost="1",
    knobs=(Knob(field="strength", grid=(0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)),),
    references=("arXiv:2106.01798",),
    order=280,
)
@dataclass(frozen=True, kw_only=True)
class Imle:
    """`(map(l + e) - map(l - strength grad f(x) + e)) / strength`, x = map(l + e), one perturbation e.

    `map` is the most likely vertex under perturbed logits; a finite difference of E x with common noise stands for its
    Jacobian. Biased; as the strength tends to 0 almost every estimate is 0 and the mean tends to straight-through with
    the derivative of E x.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        strength: how far the logits are moved against the gradient of f, > 0.

    Raises:
        ValueError: the strength is not positive.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(2, 3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: x[..., 0].square().sum(-1))
        >>> law = Distribution(kind="categorical", logits=logits)
        >>> sample = Imle(strength=10.0).estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([2, 3])
    """

    strength: float = 1.0

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise ValueError(f"strength must be > 0, got {self.strength}")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One perturbation, one evaluation, one backward pass and two maximizations per repeat."""
        perturbed = distribution.logits + distribution.perturb(noise, repeats)
        x = distribution.vertex(perturbed)
        value, slope = objective.value_and_gradient(x)
        target = distribution.vertex(perturbed - self.strength * slope)
        return GradSample(gradient=(x - target) / self.strength, value=value)
