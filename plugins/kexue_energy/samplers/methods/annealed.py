"""Annealed Langevin dynamics through smoothed targets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from torch import Tensor

from kexue_bench import method

from ...contract import Potential, StepInfo
from ..checks import at_least, positive

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


class Smoothable(Protocol):
    """A potential whose density can be convolved with a Gaussian."""

    def smoothed(self, sigma: float) -> Potential:
        """The potential of the density convolved with N(0, sigma^2 I); it shares the counter."""
        ...


class Descent(NamedTuple):
    """Where chains are `[C, d]`, and the number of steps made."""

    x: Tensor
    made: int


@method(
    "annealed-langevin",
    "Langevin steps on targets smoothed less and less, each with a step in proportion to its noise level",
    references=("arXiv:1907.05600",),
    claims=("independent-chains",),
    needs="smoothed",
    order=220,
)
@dataclass(frozen=True, kw_only=True)
class AnnealedLangevin:
    """At level i: `x' = x - (a_i / 2) grad U_i(x) + sqrt(a_i) xi`, `a_i = eps s_i^2 / s_L^2`, `steps` times.

    U_i belongs to the target convolved with N(0, s_i^2 I); s_1 > .. > s_L in geometric progression. arXiv:1907.05600,
    algorithm 1. After the last level it goes on with the last target.

    Args:
        levels: L, >= 2.
        steps: at each level, >= 1.
        first: s_1, > last, in units of the smallest standard deviation of the target.
        last: s_L, > 0.
        eps: step size at the last level, > 0.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy.samplers.tasks.gaussian import Gaussian
        >>> potential, noise = Gaussian().target().potential(), Noise.seeded(0)
        >>> sampler = AnnealedLangevin(steps=2)
        >>> state = sampler.init(torch.zeros(5, 1), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 1])
    """

    levels: int = 10
    steps: int = 100
    first: float = 1.0
    last: float = 0.01
    eps: float = 2e-5

    def __post_init__(self) -> None:
        at_least("levels", self.levels, 2)
        at_least("steps", self.steps, 1)
        positive("last", self.last)
        positive("eps", self.eps)
        if not self.last < self.first < math.inf:
            raise ValueError(f"first must be larger than last = {self.last}, got {self.first}; noise levels fall")

    def sigma(self, made: int) -> float:
        """The noise level of the step that follows `made` steps."""
        level = min(made // self.steps, self.levels - 1)
        return self.first * (self.last / self.first) ** (level / (self.levels - 1))

    def init(self, x: Tensor, potential: Smoothable, noise: Noise) -> Descent:
        """See `Sampler.init`."""
        return Descent(x, 0)

    def step(self, state: Descent, potential: Smoothable, noise: Noise) -> tuple[Descent, StepInfo]:
        """See `Sampler.step`."""
        sigma = self.sigma(state.made)
        a = self.eps * (sigma / self.last) ** 2
        slope = potential.smoothed(sigma).gradient(state.x)
        x = state.x - a / 2 * slope + math.sqrt(a) * noise.normal(*state.x.shape)
        return Descent(x, state.made + 1), StepInfo()

    def position(self, state: Descent) -> Tensor:
        """See `Sampler.position`."""
        return state.x

    def law(self, variance: float, start: float) -> float:
        """The variance after all levels on N(m, variance), from that of a start with mean m.

        It obeys v' = (1 - a / (2 (variance + s^2)))^2 v + a.
        """
        for made in range(self.levels * self.steps):
            sigma = self.sigma(made)
            a = self.eps * (sigma / self.last) ** 2
            start = (1 - a / (2 * (variance + sigma**2))) ** 2 * start + a
        return start
