"""The straight-through estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import Claimed, method
from kexue_gradients.contract import Distribution, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "straight-through",
    "exact sample forward, its probability backward",
    needs={"discrete", "differentiable"},
    claims=("finite-variance", Claimed(name="unbiased", when="temperature == 1 and 'multilinear' in offers")),
    cost="1",
    references=("arXiv:1308.3432",),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class StraightThrough:
    """`J(softmax(l / temperature)) grad f(x) / temperature` at one draw x.

    Unbiased if f is multilinear, otherwise biased; the division by the temperature, which some implementations leave
    out, belongs to the derivative of the tempered probability.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        temperature: softness of the backward pass, > 0; the draw is from the distribution itself.

    Raises:
        ValueError: the temperature is not positive.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = StraightThrough().estimate(bits, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}; 1 is the plain estimator")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat."""
        value, gradient = objective.value_and_gradient(distribution.sample(noise, repeats))
        q = distribution.softened(self.temperature)
        return GradSample(gradient=distribution.jacobian(q, gradient) / self.temperature, value=value)
