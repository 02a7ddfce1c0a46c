"""MuProp: the score function with a first-order expansion as control variate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kexue_bench import method
from kexue_gradients.contract import Distribution, GradSample, Objective

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "muprop",
    "score function with the expansion of f about E x as control variate",
    needs={"discrete", "differentiable", "relaxable"},
    claims=("unbiased",),
    cost="2",
    references=("arXiv:1511.05176",),
    order=190,
)
@dataclass(frozen=True, kw_only=True)
class MuProp:
    """`(f(x) - f(m) - grad f(m) . (x - m)) (x - m) + J(m) grad f(m)` for one draw x and the mean m = E x.

    Unbiased for any f: what the expansion about m subtracts from the score term is added back in closed form. f must be
    defined at m, off the vertices.

    One estimate takes time O(B L K) and memory O(B L K), f apart.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_gradients import Distribution, FunctionObjective
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> f = FunctionObjective(lambda x: (x - 0.45).sum(-1))
        >>> sample = MuProp().estimate(Distribution(kind="bernoulli", logits=logits), f, Noise.seeded(0), repeats=4)
        >>> sample.surrogate(logits).mean().backward()
        >>> logits.grad  # exact for a linear f
        tensor([0.2500, 0.2500, 0.2500])
    """

    def estimate(
        self, distribution: Distribution, objective: Objective, noise: Noise, repeats: int, state: object = None
    ) -> GradSample:
        """One draw, two evaluations and one backward pass per repeat; `value` is f at the draw."""
        x, mean = distribution.sample(noise, repeats), distribution.mean
        value = objective.value(x)
        # Expanded again for every repeat, as a training step would, so that the counted work is that of one draw.
        at_mean, slope = objective.value_and_gradient(mean.expand_as(x))
        score = x - mean
        linear = (slope * score).flatten(-distribution.event_dims).sum(-1)
        residual = distribution.expand(value.detach() - at_mean.detach() - linear)
        return GradSample(gradient=residual * score + distribution.jacobian(mean, slope), value=value)
