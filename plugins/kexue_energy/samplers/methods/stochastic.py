"""Samplers whose gradient comes from a minibatch of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from kexue_bench import Knob, method

from ...contract import StepInfo
from ..checks import at_least, positive
from ..words import STEP

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


class Batched(Protocol):
    """A potential that is a sum over data."""

    def minibatch(self, x: Tensor, size: int, noise: Noise) -> Tensor:
        """An unbiased gradient from `size` data, drawn anew for every row of x `[C, d]`; size / N evaluations a row."""
        ...


BATCH = Knob(field="batch", grid=(8, 32, 128))


@method(
    "sgld",
    "stochastic gradient Langevin dynamics: a step of ULA with the gradient of a minibatch",
    references=("Welling and Teh 2011, ICML", "arXiv:1811.10072"),
    claims=("independent-chains",),
    needs="minibatches",
    knobs=(STEP, BATCH),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class Sgld:
    """`x' = x - h G(x) + sqrt(2 h) xi` with E G = grad U: the noise of the gradient adds to the stationary variance.

    On N(0, 1) with gradient noise of standard deviation t the variance is (2 h + h^2 t^2) / (1 - (1 - h)^2).

    Args:
        h: the step size, > 0, in units of the squared smallest standard deviation of the target.
        batch: data in a minibatch, >= 1.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy.samplers.tasks.regression import LinearRegression
        >>> potential, noise = LinearRegression(features=5).target().potential(), Noise.seeded(0, dtype=torch.float64)
        >>> sampler = Sgld(h=0.1, batch=32)
        >>> state = sampler.init(torch.zeros(5, 6, dtype=torch.float64), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 6])
    """

    h: float = 0.1
    batch: int = 32

    def __post_init__(self) -> None:
        positive("h", self.h)
        at_least("batch", self.batch, 1)

    def init(self, x: Tensor, potential: Batched, noise: Noise) -> Tensor:
        """See `Sampler.init`."""
        return x

    def step(self, state: Tensor, potential: Batched, noise: Noise) -> tuple[Tensor, StepInfo]:
        """See `Sampler.step`."""
        moved = torch.add(state, potential.minibatch(state, self.batch, noise), alpha=-self.h)
        return moved.add_(noise.normal(*state.shape), alpha=math.sqrt(2 * self.h)), StepInfo()

    def position(self, state: Tensor) -> Tensor:
        """See `Sampler.position`."""
        return state


class Moving(NamedTuple):
    """Positions and velocities, `[C, d]` each."""

    x: Tensor
    v: Tensor


@method(
    "sghmc",
    "stochastic gradient HMC: velocities with friction, driven by the gradient of a minibatch",
    references=("arXiv:1402.4102",),
    claims=("independent-chains",),
    needs="minibatches",
    knobs=(STEP, BATCH, Knob(field="friction", grid=(0.03, 0.1, 0.3, 1.0))),
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class Sghmc:
    """`v' = (1 - a) v - h G(x) + sqrt(2 a h) xi`, `x' = x + v'`: arXiv:1402.4102, equation 15, no noise estimate.

    Args:
        h: learning rate, > 0, in units of the squared smallest standard deviation of the target.
        friction: a, > 0 and <= 1.
        batch: data in a minibatch, >= 1.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy.samplers.tasks.regression import LinearRegression
        >>> potential, noise = LinearRegression(features=5).target().potential(), Noise.seeded(0, dtype=torch.float64)
        >>> sampler = Sghmc(h=0.01, batch=32)
        >>> state = sampler.init(torch.zeros(5, 6, dtype=torch.float64), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 6])
    """

    h: float = 0.03
    friction: float = 0.1
    batch: int = 32

    def __post_init__(self) -> None:
        positive("h", self.h)
        at_least("batch", self.batch, 1)
        if not 0 < self.friction <= 1:
            raise ValueError(f"friction must be > 0 and <= 1, got {self.friction}; 1 keeps no velocity")

    def init(self, x: Tensor, potential: Batched, noise: Noise) -> Moving:
        """See `Sampler.init`; velocities have the variance h."""
        return Moving(x, math.sqrt(self.h) * noise.normal(*x.shape))

    def step(self, state: Moving, potential: Batched, noise: Noise) -> tuple[Moving, StepInfo]:
        """See `Sampler.step`."""
        x, v = state
        v = torch.add((1 - self.friction) * v, potential.minibatch(x, self.batch, noise), alpha=-self.h)
        v = v.add_(noise.normal(*x.shape), alpha=math.sqrt(2 * self.friction * self.h))
        return Moving(x + v, v), StepInfo()

    def position(self, state: Moving) -> Tensor:
        """See `Sampler.position`."""
        return state.x
