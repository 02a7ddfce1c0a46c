"""DARN: the score function with a first-order baseline at the draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import Claimed, method
from kexue_gradients.contract import Distribution, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "darn",
    "score function with the expansion of f about the draw as baseline",
    needs={"discrete", "differentiable"},
    claims=(Claimed(name="unbiased", when="'multilinear' in offers or 'power' in offers and task.power == 1"),),
    cost="1",
    references=("Gregor et al., Deep autoregressive networks, ICML 2014",),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class Darn:
    """`(x_d - p_d) (grad_d f(x) . (x_d - p_d))` for each variable d of one draw x.

    Biased unless f is linear in each variable; its average with straight-through is ReinMax at temperature 1.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).sum(-1))
        >>> sample = Darn().estimate(Distribution(kind="bernoulli", logits=logits), f, Noise.seeded(0), repeats=4)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad
        tensor([0.2500, 0.2500, 0.2500])
    """

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, one evaluation and one backward pass per repeat."""
        x = distribution.sample(noise, repeats)
        value, slope = objective.value_and_gradient(x)
        score = x - distribution.mean
        linear = slope * score
        if distribution.kind == "categorical":
            linear = linear.sum(-1, keepdim=True)
        return GradSample(gradient=score * linear, value=value)
