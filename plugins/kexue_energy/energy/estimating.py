"""Estimates of theta on Gaussian data: the root of a criterion's own gradient, for many data sets at once."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .networks import Quadratic

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ..contract import Criterion

RELAXATIONS = 5
"""Relaxation times of the variance of a chain before its gradient counts: e^-5 of the start is left."""
LARGEST = 64.0
"""Largest theta of a criterion without a step."""
_LEAST = 1e-3
_HALVINGS, _ROUNDS, _CLOSE = 4, 40, 1e-6


def gradients(criterion: Criterion, data: Tensor, theta: Tensor, noise: Noise) -> Tensor:
    """The gradient of the loss of each data set at E = theta x^2 / 2, `[R]`: the same noise at every theta.

    Chains that are kept start with the moments of the data, and take as many calls as they need to forget it.

    Args:
        data: `[R, n, 1]`.
        theta: `[R]`.
    """
    energy = Quadratic(theta.clone())
    state = criterion.init(data, noise.at(0))
    settling = _settling(criterion) if isinstance(state, Tensor) else 0
    with torch.no_grad():
        for call in range(settling):
            state = criterion.loss(energy, data, state, noise.at(1 + call))[1]
    with torch.enable_grad():
        loss, _ = criterion.loss(energy, data, state, noise.at(1 + settling))
        (slope,) = torch.autograd.grad(loss.sum(), energy.theta)
    return slope


@cache
def _settling(criterion: Criterion) -> int:
    """Calls before a chain has forgotten its start at the declared fixed point on N(0, 1), the last one not counted."""
    theta, _ = criterion.gaussian(1.0)  # pyright: ignore[reportAttributeAccessIssue]  # who keeps chains declares it
    h, k = getattr(criterion, "h", 1.0), getattr(criterion, "k", 1)
    return max(1, math.ceil(RELAXATIONS / (2 * h * k * theta)) - 1)


def estimates(criterion: Criterion, data: Tensor, noise: Noise) -> Tensor:
    """The theta at which the gradient of each data set vanishes, `[R]`, by halving and then regula falsi in log theta.

    Searched below 1 / h, since a step of size h has the same law at theta and 2 / h - theta. Where the gradient does
    not change its sign, as happens for few data, the estimate is the end that it points to.
    """
    h = getattr(criterion, "h", 0.0)
    low = data.new_full(data.shape[:1], math.log(_LEAST))
    high = data.new_full(data.shape[:1], math.log((1 - 1e-6) / h if h else LARGEST))

    def at(place: Tensor) -> Tensor:
        return gradients(criterion, data, place.exp(), noise)

    below, above = at(low), at(high)
    # A data set without a sign change stays at the end that its gradient points to.
    pinned, end = (below >= 0) | (above <= 0), torch.where(below >= 0, low, high)
    side, middle, last = torch.zeros_like(low), low, high
    for turn in range(_ROUNDS):
        middle = (low + high) / 2 if turn < _HALVINGS else (low * above - high * below) / (above - below)
        middle = torch.where(pinned, end, middle)
        value = at(middle)
        left = value < 0
        # Far closer than estimates differ; regula falsi moves by less than this once it has arrived.
        if float((middle - last).abs().max()) < _CLOSE:
            break
        last = middle
        # Illinois: an end that stays twice counts half, so that both ends move.
        below = torch.where(left, value, torch.where(side > 0, below / 2, below))
        above = torch.where(left, torch.where(side < 0, above / 2, above), value)
        low, high = torch.where(left, middle, low), torch.where(left, high, middle)
        side = torch.where(left, -1.0, 1.0).to(side)
    return middle.exp()
