"""ReinMax, the second-order straight-through estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import Claimed, Knob, method
from kexue_gradients.contract import Distribution, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "reinmax",
    "second-order straight-through, exact on quadratics at temperature 1",
    needs={"discrete", "differentiable"},
    claims=(
        "finite-variance",
        Claimed(name="unbiased", when="temperature == 1 and 'power' in offers and task.power == 2"),
    ),
    cost="1",
    knobs=(Knob(field="temperature", grid=(1.0, 1.1, 1.2, 1.3, 1.5, 2.0)),),
    aliases=("zgr",),
    references=("arXiv:2304.08612",),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class ReinMax:
    """`2 J((softmax(l / temperature) + x) / 2) grad f(x) - 1/2 J(softmax(l)) grad f(x)` at one draw x.

    Heun's method instead of Euler's along the path from E x to x. At temperature 1 it is unbiased if f is quadratic in
    each variable, and equals ZGR; at any other temperature it is biased even then.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        temperature: softness of the midpoint, >= 1.

    Raises:
        ValueError: the temperature is below 1.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).square().sum(-1))
        >>> bits = Distribution(kind="bernoulli", logits=logits)
        >>> sample = ReinMax(temperature=1.0).estimate(bits, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([3])
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature >= 1:
            raise ValueError(f"temperature must be >= 1, got {self.temperature}; the method is not defined below 1")

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat."""
        x = distribution.sample(noise, repeats)
        value, gradient = objective.value_and_gradient(x)
        midpoint = (distribution.softened(self.temperature) + x) / 2
        heun = 2 * distribution.jacobian(midpoint, gradient) - distribution.jacobian(distribution.mean, gradient) / 2
        return GradSample(gradient=heun, value=value)
