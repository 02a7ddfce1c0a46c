"""The control variate of a relaxed sample, which REBAR and RELAX share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .conditional import normalised, onto_logits, perturbed_given, slope_given

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise
    from kexue_gradients.contract import Distribution, Objective


def relaxed_pair(distribution: Distribution, noise: Noise, repeats: int, *, coupled: bool) -> tuple[Tensor, Tensor]:
    """The sample x and `z [2, R, *logits.shape]`: perturbed logits that gave it, and perturbed logits given it.

    Coupled, the second have the values of the first and differ from them in how they move with the logits alone.
    """
    perturbed = normalised(distribution) + distribution.perturb(noise, repeats)
    x = distribution.vertex(perturbed)
    given = perturbed if coupled else perturbed_given(distribution, x, noise)
    return x, torch.stack([perturbed, given])


def relaxed_objective(
    distribution: Distribution, objective: Objective, z: Tensor, temperature: Tensor, *, graph: bool
) -> tuple[Tensor, Tensor]:
    """`c(z) = f(softmax(z / temperature))` and its gradient with respect to z, for both halves of a pair.

    Args:
        distribution: whose kind decides between sigmoid and softmax.
        objective: f; evaluated and differentiated twice a repeat.
        z: `[2, R, *logits.shape]`.
        temperature: a number for each problem, as `learning.scalar` makes it.
        graph: keep both on the graph of the temperature.
    """
    softness = distribution.expand(temperature)
    y = soften(distribution, z / softness)
    value, slope = objective.value_and_gradient(y.flatten(0, 1), graph=graph)
    value, slope = value.unflatten(0, z.shape[:2]), slope.unflatten(0, z.shape[:2])
    return value, distribution.jacobian(y, slope) / softness


def soften(distribution: Distribution, z: Tensor) -> Tensor:
    """Sigmoid of bits, softmax of classes."""
    return torch.sigmoid(z) if distribution.kind == "bernoulli" else z.softmax(-1)


def controlled(distribution: Distribution, x: Tensor, f: Tensor, z: Tensor, control: tuple[Tensor, Tensor]) -> Tensor:
    """`(f - c(z')) (x - E x) + grad c(z) - grad c(z')` with respect to the logits, `[R, *logits.shape]`.

    Args:
        distribution: the logits.
        x: the sample.
        f: f at the sample, `[R, *batch]`.
        z: the pair.
        control: c at the pair `[2, R, *batch]`, and its gradient with respect to z.
    """
    value, slope = control
    moved = slope[0] - slope_given(distribution, x, z[1]) * slope[1]
    return distribution.expand(f - value[1]) * (x - distribution.mean) + onto_logits(distribution, moved)
