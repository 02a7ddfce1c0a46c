"""Perturbed logits given the vertex that they select, and their derivative in the logits at fixed noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from kexue_gradients.laws import in_dtype

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise
    from kexue_gradients.contract import Distribution


def normalised(distribution: Distribution) -> Tensor:
    """Logits of bits as they are, logits of classes as log-probabilities."""
    logits = distribution.logits
    return logits if distribution.kind == "bernoulli" else logits.log_softmax(-1)


def perturbed_given(distribution: Distribution, x: Tensor, noise: Noise, *between: int) -> Tensor:
    """Draws of `normalised + logistic or Gumbel noise` given that their vertex is x.

    Args:
        distribution: the logits.
        x: vertices `[R, *logits.shape]`.
        noise: drawn from once.
        between: dimensions of draws for each vertex.

    Returns:
        `[R, *between, *logits.shape]`.
    """
    noise, leading = in_dtype(noise, distribution.logits.dtype), (len(x), *between)
    x = x.reshape(len(x), *(1,) * len(between), *x.shape[1:])
    shape = distribution.logits.shape
    if distribution.kind == "bernoulli":
        sign = 2 * x - 1
        return sign * functional.softplus(
            noise.logistic(*leading, *shape) + functional.softplus(sign * distribution.logits)
        )
    # The largest of the perturbed log-probabilities is a standard Gumbel; the others are truncated at it.
    e = noise.exponential(*leading, *shape)
    largest = (e * x).sum(-1, keepdim=True)
    others = torch.logaddexp(e.log() - normalised(distribution), largest.log())
    return -torch.where(x > 0, largest.log(), others)


def slope_given(distribution: Distribution, x: Tensor, z: Tensor) -> Tensor:
    """Derivative of a draw z of `perturbed_given` with respect to `normalised`, entry by entry, at fixed noise.

    For bits `1 - (1 - p) / v` at x = 1 and `1 - p / (1 - v)` at x = 0, v = sigmoid(z - l); for classes
    `1 - exp(z_j - z_x)`. Without it the control variate of REBAR would be biased.
    """
    if distribution.kind == "bernoulli":
        sign, logits = 2 * x - 1, distribution.logits
        return -torch.expm1(functional.logsigmoid(-sign * logits) - functional.logsigmoid(sign * (z - logits)))
    return -torch.expm1(z - (z * x).sum(-1, keepdim=True))


def onto_logits(distribution: Distribution, gradient: Tensor) -> Tensor:
    """Gradient with respect to `normalised`, converted to one with respect to the logits."""
    if distribution.kind == "bernoulli":
        return gradient
    return gradient - distribution.mean * gradient.sum(-1, keepdim=True)
