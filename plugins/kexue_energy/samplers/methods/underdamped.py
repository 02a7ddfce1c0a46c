"""Underdamped Langevin dynamics by splitting, and by Euler's method."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import Knob, method

from ...contract import Linear, Potential, StepInfo
from .. import splitting
from ..checks import one_of, positive
from ..splitting import Phase
from ..words import UNADJUSTED

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

SCHEMES = ("baoab", "obabo", "aboba", "oabao", "euler")


@method(
    "underdamped",
    "underdamped Langevin dynamics by a splitting integrator; BAOAB has the right variance of a Gaussian",
    references=("arXiv:1203.5428", "Bussi and Parrinello 2007, doi:10.1103/PhysRevE.75.056707"),
    claims=UNADJUSTED,
    knobs=(
        Knob(field="h", grid=(0.1, 0.2, 0.5, 0.8, 1.0, 1.5, 1.9)),
        Knob(field="friction", grid=(0.1, 0.3, 1.0, 3.0)),
    ),
    variants=("underdamped", "underdamped[scheme=obabo]", "underdamped[scheme=euler,h=0.1]"),
    aliases=("baoab",),
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class Underdamped:
    """dx = p dt, dp = -grad U(x) dt - friction p dt + sqrt(2 friction) dW, unit masses.

    The letters of a scheme are applied from left to right: A moves x, B the momentum by the force, O refreshes the
    momentum; a letter that occurs twice acts for h / 2 each time. `euler` is the Euler-Maruyama step. On N(0, 1), for
    every friction and h < 2, the variance of x is 1 for BAOAB and ABOBA, 1 / (1 - h^2 / 4) for OBABO and
    1 - h^2 / 4 for OABAO. Every scheme costs one gradient a step.

    Args:
        scheme: `baoab`, `obabo`, `aboba`, `oabao` or `euler`.
        friction: > 0, in units of the inverse smallest standard deviation of the target.
        h: the step size, > 0, in units of the smallest standard deviation.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Underdamped(h=0.5), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    scheme: str = "baoab"
    friction: float = 1.0
    h: float = 0.5

    def __post_init__(self) -> None:
        one_of("scheme", self.scheme, SCHEMES)
        positive("h", self.h)
        positive("friction", self.friction)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Phase:
        """See `Sampler.init`; momenta are standard normal."""
        return self.at(torch.cat([x, noise.normal(*x.shape)], dim=1), potential)

    def at(self, z: Tensor, potential: Potential) -> Phase:
        """The state of z = (x, p), `[C, 2 d]`."""
        x, p = z.chunk(2, dim=1)
        return Phase(x, p, potential.gradient(x) if splitting.starts_with_force(self._word) else None)

    def step(self, state: Phase, potential: Potential, noise: Noise) -> tuple[Phase, StepInfo]:
        """See `Sampler.step`."""
        if self.scheme != "euler":
            moved = splitting.run(self._word, state, potential, noise, h=self.h, friction=self.friction)
            return moved, StepInfo()
        x, p, _ = state
        kick = math.sqrt(2 * self.friction * self.h) * noise.normal(*p.shape)
        force = self.h * potential.gradient(x)
        return Phase(x + self.h * p, (1 - self.friction * self.h) * p - force + kick, None), StepInfo()

    def position(self, state: Phase) -> Tensor:
        """See `Sampler.position`."""
        return state.x

    def linear(self, precision: Tensor) -> Linear:
        """The product of the letters' matrices; z = (x, p)."""
        if self.scheme != "euler":
            return splitting.linear(self._word, precision, h=self.h, friction=self.friction)
        eye = torch.eye(len(precision), dtype=precision.dtype)
        zero = torch.zeros_like(eye)
        upper, lower = [eye, self.h * eye], [-self.h * precision, (1 - self.friction * self.h) * eye]
        return Linear(
            A=torch.cat([torch.cat(upper, dim=1), torch.cat(lower, dim=1)]),
            B=torch.cat([zero, math.sqrt(2 * self.friction * self.h) * eye]),
            Q=torch.cat([eye, zero], dim=1),
        )

    @property
    def _word(self) -> str:
        return self.scheme.upper() if self.scheme != "euler" else "A"
