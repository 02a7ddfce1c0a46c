"""The Metropolis-adjusted Langevin algorithm, and its step size by dual averaging."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from kexue_bench import Knob, method

from ...contract import Potential, StepInfo
from ..checks import at_least, positive
from ..metropolis import Point, accept, choose
from ..words import ADJUSTED, STEP

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

_RATE, _DELAY, _POWER = 0.05, 10.0, 0.75
"""gamma, t0 and kappa of dual averaging, as in arXiv:1111.4246, section 3.2."""


def langevin_step(point: Point, potential: Potential, noise: Noise, h: Tensor | float) -> tuple[Point, Tensor]:
    """One accepted or rejected Langevin step.

    With D = y - x, g = grad U(x) and k = grad U(y), the log ratio of densities and proposals is
    U(x) - U(y) + D . (g + k) / 2 + h (g - k) . (g + k) / 4: all differences, so that few digits are lost.

    Args:
        point: `[*C, d]`.
        h: step size, a number or broadcast over `[*C, 1]`.

    Returns:
        The next point, and the probability of acceptance `[*C]`.
    """
    x, value, slope = point
    root = (2 * h) ** 0.5
    y = x - h * slope + root * noise.normal(*x.shape)
    new_value, new_slope = potential.both(y)
    drift = (y - x) / 2 + (slope - new_slope) * (h / 4)
    ratio = value - new_value + torch.linalg.vecdot(drift, slope + new_slope)
    take, probability = accept(ratio, noise)
    return choose(take, (y, new_value, new_slope), point), probability


@method(
    "mala",
    "Metropolis-adjusted Langevin algorithm: a step of ULA, accepted or rejected",
    references=(
        "Roberts and Tweedie 1996, doi:10.2307/3318418",
        "Roberts and Rosenthal 1998, doi:10.1111/1467-9868.00123",
    ),
    claims=(*ADJUSTED, "acceptance"),
    knobs=(STEP,),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class Mala:
    """`y = x - h grad U(x) + sqrt(2 h) xi`, accepted by the ratio of densities and proposals.

    On N(0, I_d) the acceptance is 2 I_u(d/2, d/2) with u = (1 - 1 / sqrt(1 + 8 / h^3)) / 2.

    Args:
        h: the step size, > 0, in units of the squared smallest standard deviation of the target.

    Raises:
        ValueError: `h` out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Mala(h=0.5), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> info.accept.shape
        torch.Size([5])
    """

    h: float = 0.5

    def __post_init__(self) -> None:
        positive("h", self.h)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Point:
        """See `Sampler.init`."""
        return Point(x, *potential.both(x))

    def step(self, state: Point, potential: Potential, noise: Noise) -> tuple[Point, StepInfo]:
        """See `Sampler.step`."""
        point, probability = langevin_step(state, potential, noise, self.h)
        return point, StepInfo(accept=probability)

    def position(self, state: Point) -> Tensor:
        """See `Sampler.position`."""
        return state.x


class Warming(NamedTuple):
    """Point, log step sizes, their average and the mean error of the acceptance `[C]` each, and the steps made."""

    point: Point
    log_h: Tensor
    average: Tensor
    error: Tensor
    steps: int


@method(
    "warmup",
    "MALA whose step size is adapted to an acceptance by dual averaging, then kept",
    references=("arXiv:1111.4246",),
    when="task.start == 'wide'",
    knobs=(Knob(field="target", grid=(0.4, 0.5, 0.574, 0.65, 0.75, 0.85), scale="linear"),),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class Warmup:
    """Every chain adapts its own log h for `adapt` steps, towards the acceptance `target`; chains do not interact.

    Dual averaging, arXiv:1111.4246, algorithm 5: with e_t the running mean of target - acceptance,
    `log h_t = log(10 h) - sqrt(t) e_t / 0.05`, and what is kept is its average with weights t^-0.75. While it adapts,
    the target is not invariant: a task that starts wide drops the first half of a chain.

    Args:
        target: wanted acceptance, between 0 and 1.
        adapt: steps that adapt, >= 1.
        h: the first step size, > 0, in units of the squared smallest standard deviation of the target.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Warmup(target=0.6), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> for step in range(60):
        ...     state, info = sampler.step(state, potential, noise.at(step))
        >>> state.average.exp().shape
        torch.Size([5])
    """

    target: float = 0.574
    adapt: int = 50
    h: float = 0.5

    def __post_init__(self) -> None:
        positive("h", self.h)
        at_least("adapt", self.adapt, 1)
        if not 0 < self.target < 1:
            raise ValueError(f"target must be between 0 and 1, got {self.target}; 0.574 suits many dimensions")

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Warming:
        """See `Sampler.init`."""
        start = torch.full_like(x[:, 0], self.h).log()
        return Warming(Point(x, *potential.both(x)), start, start, torch.zeros_like(start), 0)

    def step(self, state: Warming, potential: Potential, noise: Noise) -> tuple[Warming, StepInfo]:
        """See `Sampler.step`."""
        point, log_h, average, error, made = state
        adapting = made < self.adapt
        used = log_h if adapting else average
        point, probability = langevin_step(point, potential, noise, used.exp().unsqueeze(1))
        if adapting:
            t = made + 1
            error = error + (self.target - probability - error) / (t + _DELAY)
            anchor = torch.full_like(log_h, 10 * self.h).log()
            log_h = anchor - t**0.5 / _RATE * error
            average = average + t**-_POWER * (log_h - average)
        return Warming(point, log_h, average, error, made + 1), StepInfo(accept=probability)

    def position(self, state: Warming) -> Tensor:
        """See `Sampler.position`."""
        return state.point.x
