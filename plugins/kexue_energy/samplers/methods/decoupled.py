"""Langevin chains as energy models are trained with: another temperature, or too few steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import Knob, method

from ...contract import Linear, Potential, StepInfo
from ..checks import at_least, positive
from ..words import STEP, UNADJUSTED
from .ula import Ula

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "decoupled",
    "Langevin chain whose step and noise are chosen apart: it samples exp(-U / T) with T = sd^2 / (2 rate)",
    references=("arXiv:1903.08689", "arXiv:1912.03263", "arXiv:2012.01316"),
    claims=UNADJUSTED,
    knobs=(Knob(field="rate", grid=(0.03, 0.1, 0.5, 1.0)), Knob(field="sd", grid=(0.01, 0.1, 0.3, 1.0))),
    variants=("decoupled", "decoupled[rate=1.0,sd=0.01]"),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class Decoupled:
    """`x' = x - rate grad U(x) + sd xi`.

    On E = theta x^2 / 2 the variance is sd^2 / (1 - (1 - rate theta)^2), so that for rate theta << 1 the temperature
    theta Var x is sd^2 / (2 rate). Released codes: IGEBM rate 10 and sd 0.005 (T = 1.25e-6), JEM 1 and 0.01 (5e-5),
    improved contrastive divergence 100 and 0.001 (5e-9).

    Args:
        rate: factor of the gradient, > 0, in units of the squared smallest standard deviation of the target.
        sd: of the noise, > 0, in units of the smallest standard deviation.
        clamp: largest |entry| of the gradient, > 0, 0 for none; it changes the law.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Decoupled(rate=1.0, sd=0.01), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 2])
        >>> f"{sampler.temperature:.0e}"
        '5e-05'
    """

    rate: float = 0.5
    sd: float = 0.1
    clamp: float = 0.0

    def __post_init__(self) -> None:
        positive("rate", self.rate)
        positive("sd", self.sd)
        at_least("clamp", self.clamp, 0)

    @property
    def temperature(self) -> float:
        """sd^2 / (2 rate)."""
        return self.sd**2 / (2 * self.rate)

    @property
    def flags(self) -> frozenset[str]:
        """What its numbers are marked with."""
        return frozenset({"clamped gradients change the law"} if self.clamp else ())

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Tensor:
        """See `Sampler.init`."""
        return x

    def step(self, state: Tensor, potential: Potential, noise: Noise) -> tuple[Tensor, StepInfo]:
        """See `Sampler.step`."""
        slope = potential.gradient(state)
        if self.clamp:
            slope = slope.clamp(-self.clamp, self.clamp)
        return state - self.rate * slope + self.sd * noise.normal(*state.shape), StepInfo()

    def position(self, state: Tensor) -> Tensor:
        """See `Sampler.position`."""
        return state

    def linear(self, precision: Tensor) -> Linear | None:
        """A = I - rate P and B = sd I; None if gradients are clamped."""
        if self.clamp:
            return None
        eye = torch.eye(len(precision), dtype=precision.dtype)
        return Linear(A=eye - self.rate * precision, B=self.sd * eye, Q=eye)


@method(
    "short-run",
    "a few steps of ULA from fresh noise, again and again: its law is that of the start as much as of the target",
    references=("arXiv:1904.09770",),
    claims=("independent-chains",),
    knobs=(STEP, Knob(field="steps", grid=(5, 10, 20, 50))),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class ShortRun:
    """Each position is the end of `steps` steps of ULA from N(0, variance I).

    On N(0, s^2), with `a = 1 - h / s^2`, its variance is `a^(2 K) v + 2 h (1 - a^(2 K)) / (1 - a^2)`.

    Args:
        h: step size of ULA, > 0, in units of the squared smallest standard deviation of the target.
        steps: K, >= 1; a position costs as many gradients.
        variance: v of the start, > 0, in the same units.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = ShortRun(steps=5), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    h: float = 0.1
    steps: int = 10
    variance: float = 1.0

    def __post_init__(self) -> None:
        positive("h", self.h)
        positive("variance", self.variance)
        at_least("steps", self.steps, 1)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Tensor:
        """See `Sampler.init`."""
        return x

    def step(self, state: Tensor, potential: Potential, noise: Noise) -> tuple[Tensor, StepInfo]:
        """See `Sampler.step`."""
        x, walk = math.sqrt(self.variance) * noise.normal(*state.shape), Ula(h=self.h)
        for _ in range(self.steps):
            x, _ = walk.step(x, potential, noise)
        return x, StepInfo()

    def position(self, state: Tensor) -> Tensor:
        """See `Sampler.position`."""
        return state
