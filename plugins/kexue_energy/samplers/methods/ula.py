"""The unadjusted Langevin algorithm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method

from ...contract import Linear, Potential, StepInfo
from ..checks import positive
from ..words import STEP, UNADJUSTED

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


@method(
    "ula",
    "unadjusted Langevin algorithm: an Euler step of the Langevin diffusion",
    references=("Parisi 1981, doi:10.1016/0550-3213(81)90056-0", "Roberts and Tweedie 1996, doi:10.2307/3318418"),
    claims=UNADJUSTED,
    knobs=(STEP,),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class Ula:
    """`x' = x - h grad U(x) + sqrt(2 h) xi`, xi standard normal.

    On N(0, sigma^2) it is stable for h < 2 sigma^2, and its own law has the variance sigma^2 / (1 - h / (2 sigma^2)).

    Args:
        h: the step size, > 0, in units of the squared smallest standard deviation of the target.

    Raises:
        ValueError: `h` out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Ula(h=0.1), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    h: float = 0.5

    def __post_init__(self) -> None:
        positive("h", self.h)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Tensor:
        """See `Sampler.init`."""
        return x

    def step(self, state: Tensor, potential: Potential, noise: Noise) -> tuple[Tensor, StepInfo]:
        """See `Sampler.step`."""
        moved = torch.add(state, potential.gradient(state), alpha=-self.h)
        return moved.add_(noise.normal(*state.shape), alpha=math.sqrt(2 * self.h)), StepInfo()

    def position(self, state: Tensor) -> Tensor:
        """See `Sampler.position`."""
        return state

    def linear(self, precision: Tensor) -> Linear:
        """A = I - h P and B = sqrt(2 h) I."""
        eye = torch.eye(len(precision), dtype=precision.dtype)
        return Linear(A=eye - self.h * precision, B=math.sqrt(2 * self.h) * eye, Q=eye)
