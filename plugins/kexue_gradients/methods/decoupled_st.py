"""Decoupled straight-through: one temperature forward, another backward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import Knob, method
from kexue_gradients.contract import Distribution, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "decoupled-st",
    "straight-through with one temperature forward and another backward",
    needs={"discrete", "differentiable"},
    cost="1",
    knobs=(Knob(field="backward", grid=(0.35, 0.5, 0.7, 1.0, 1.3, 1.5, 2.0)),),
    references=("arXiv:2410.13331",),
    order=270,
)
@dataclass(frozen=True, kw_only=True)
class DecoupledSt:
    """`J(softmax(l / backward)) grad f(x) / backward` at x drawn from softmax(l / forward).

    With a forward temperature other than 1 it samples from, and so optimizes under, another distribution: its bias is
    measured against the gradient of E f under `softmax(l / forward)`. A temperature inside the argmax of Gumbel noise
    would not change the sample. With both equal to 1 it is straight-through. Biased.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Args:
        forward: temperature of the distribution that is sampled, > 0.
        backward: softness of the backward pass, > 0.

    Raises:
        ValueError: a temperature is not positive.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(2, 3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: x[..., 0].square().sum(-1))
        >>> law = Distribution(kind="categorical", logits=logits)
        >>> sample = DecoupledSt(backward=2.0).estimate(law, f, Noise.seeded(0), repeats=1)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad.shape
        torch.Size([2, 3])
    """

    forward: float = 0.7
    backward: float = 1.3

    def __post_init__(self) -> None:
        for name in ("forward", "backward"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")

    @property
    def target_temperature(self) -> float:
        """Temperature of the distribution whose gradient is estimated."""
        return self.forward

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat."""
        x = distribution.tempered(self.forward).sample(noise, repeats)
        value, slope = objective.value_and_gradient(x)
        q = distribution.softened(self.backward)
        return GradSample(gradient=distribution.jacobian(q, slope) / self.backward, value=value)
