"""Splitting integrators of Langevin dynamics, as words over three letters, and their exact laws on a Gaussian.

A: x += t p. B: p -= t grad U(x). O: p = c p + sqrt(1 - c^2) xi with c = exp(-friction t). Masses are 1. A letter that
occurs n times in a word has t = h / n each time. The gradient is kept from step to step, so that every word with a
single position to differentiate at costs one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..contract import Linear

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ..contract import Potential


class Phase(NamedTuple):
    """Positions, momenta and the gradient at the positions, each `[C, d]`; None where it must be computed first."""

    x: Tensor
    p: Tensor
    slope: Tensor | None


def run(word: str, phase: Phase, potential: Potential, noise: Noise, *, h: float, friction: float) -> Phase:
    """One step: the letters of the word from left to right."""
    x, p, slope = phase
    times = {letter: h / word.count(letter) for letter in word}
    for letter in word:
        t = times[letter]
        if letter == "A":
            x, slope = torch.add(x, p, alpha=t), None
        elif letter == "B":
            slope = potential.gradient(x) if slope is None else slope
            p = torch.add(p, slope, alpha=-t)
        else:
            p = p * math.exp(-friction * t) + noise.normal(*p.shape) * spread(friction * t)
    return Phase(x, p, slope)


def starts_with_force(word: str) -> bool:
    """Whether a step needs the gradient where it begins."""
    return word.replace("O", "").startswith("B")


def spread(time: float) -> float:
    """The square root of 1 - exp(-2 time)."""
    return math.sqrt(-math.expm1(-2 * time))


def linear(word: str, precision: Tensor, *, h: float, friction: float) -> Linear:
    """The exact law of a word on the Gaussian with that precision `[d, d]`; z = (x, p)."""
    eye = torch.eye(len(precision), dtype=precision.dtype)
    zero = torch.zeros_like(eye)
    times = {letter: h / word.count(letter) for letter in word}
    a = torch.eye(2 * len(eye), dtype=eye.dtype)
    noises: list[Tensor] = []
    for letter in word:
        t = times[letter]
        if letter == "A":
            factor = _block(eye, t * eye, zero, eye)
        elif letter == "B":
            factor = _block(eye, zero, -t * precision, eye)
        else:
            factor = _block(eye, zero, zero, math.exp(-friction * t) * eye)
        a, noises = factor @ a, [factor @ noise for noise in noises]
        if letter == "O":
            noises.append(torch.cat([zero, spread(friction * t) * eye]))
    return Linear(A=a, B=torch.cat(noises, dim=1), Q=torch.cat([eye, zero], dim=1))


def _block(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    return torch.cat([torch.cat([a, b], dim=1), torch.cat([c, d], dim=1)])


def leapfrog(
    x: Tensor,
    p: Tensor,
    slope: Tensor,
    both: Callable[[Tensor], tuple[Tensor, Tensor]],
    eps: Tensor | float,
    leaps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`leaps` steps of BAB from a known gradient; returns x, p, U(x) and grad U(x) at the end.

    Args:
        eps: step size, a number or `[C, 1]`.
    """
    value = slope
    p = p - eps / 2 * slope
    for leap in range(leaps):
        x = x + eps * p
        value, slope = both(x)
        p = p - (eps if leap + 1 < leaps else eps / 2) * slope
    return x, p, value, slope
