"""Microcanonical Langevin Monte Carlo, unadjusted and adjusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from kexue_bench import Knob, method

from ...contract import Potential, StepInfo
from ..checks import at_least, positive
from ..metropolis import Point, accept, choose
from ..words import ADJUSTED, LEAPS, LEAPS_PAID

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

EPS = Knob(field="eps", grid=(0.1, 0.2, 0.4, 0.6, 0.9, 1.2, 1.5))


class Turn(NamedTuple):
    """Where chains are, their direction of length 1, and the gradient: `[C, d]` each."""

    x: Tensor
    u: Tensor
    slope: Tensor


def unit(v: Tensor) -> Tensor:
    """Rows of length 1."""
    return v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)


def turned(u: Tensor, slope: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The direction after the force has turned it for the time eps, and the change of the kinetic energy `[C]`.

    With e = -grad U / |grad U|, b = e . u and a = eps |grad U| / (d - 1), the direction is
    (u + e (sinh a + b (cosh a - 1))) / (cosh a + b sinh a), and the kinetic energy grows by
    (d - 1) log(cosh a + b sinh a); both are divided by exp(a), so that no force overflows.
    """
    length = torch.linalg.vector_norm(slope, dim=-1, keepdim=True)
    e = -slope / length.clamp_min(torch.finfo(slope.dtype).tiny)
    b = torch.linalg.vecdot(e, u).unsqueeze(-1)
    degrees = u.shape[-1] - 1
    a = eps * length / degrees
    small = torch.exp(-a)
    # Twice cosh a + b sinh a, and twice sinh a + b (cosh a - 1), over exp(a).
    stretch = (1 + b) + (1 - b) * small.square()
    new = unit(2 * small * u + e * ((1 - small.square()) + b * (1 - small).square()))
    return new, degrees * (a + torch.log(stretch / 2)).squeeze(-1)


def _validated(eps: float, length: float | None = None) -> None:
    positive("eps", eps)
    if length is not None:
        positive("length", length)


def _started(x: Tensor) -> None:
    if x.shape[-1] < 2:
        raise ValueError("microcanonical dynamics need at least 2 dimensions, got 1; take underdamped")


@method(
    "mclmc",
    "microcanonical Langevin Monte Carlo: constant speed, the force only turns the direction; not adjusted",
    references=("arXiv:2212.08549", "arXiv:2303.18221"),
    claims=("independent-chains",),
    when="task.dim > 1",
    knobs=(EPS, Knob(field="length", grid=(0.5, 1.0, 2.0, 4.0, 8.0))),
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class Mclmc:
    """`B(eps / 2) A(eps) B(eps / 2) O(eps)`: B turns the direction u, A is `x += eps sqrt(d) u`, O adds noise to u.

    arXiv:2303.18221: O makes u (u + v xi) of length 1 with v^2 = (exp(2 eps / length) - 1) / d. With the speed sqrt(d)
    a coordinate moves as fast as under a unit mass.

    Args:
        eps: step size, > 0, in units of the smallest standard deviation of the target.
        length: over which the direction is forgotten, > 0, in the same units.

    Raises:
        ValueError: a field out of range; when it starts, a single dimension.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Mclmc(eps=0.5), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    eps: float = 0.4
    length: float = 2.0

    def __post_init__(self) -> None:
        _validated(self.eps, self.length)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Turn:
        """See `Sampler.init`; directions are uniform."""
        _started(x)
        return Turn(x, unit(noise.normal(*x.shape)), potential.gradient(x))

    def step(self, state: Turn, potential: Potential, noise: Noise) -> tuple[Turn, StepInfo]:
        """See `Sampler.step`."""
        x, u, slope = state
        root = math.sqrt(x.shape[-1])
        u, _ = turned(u, slope, self.eps * root / 2)
        x = torch.add(x, u, alpha=self.eps * root)
        slope = potential.gradient(x)
        u, _ = turned(u, slope, self.eps * root / 2)
        noisy = math.sqrt(math.expm1(2 * self.eps / self.length)) / root
        return Turn(x, unit(torch.add(u, noise.normal(*u.shape), alpha=noisy)), slope), StepInfo()

    def position(self, state: Turn) -> Tensor:
        """See `Sampler.position`."""
        return state.x


@method(
    "adjusted-mclmc",
    "microcanonical dynamics from a fresh direction, accepted or rejected by the change of energy",
    references=("arXiv:2503.01707",),
    claims=ADJUSTED,
    when="task.dim > 1",
    unless=LEAPS_PAID,
    knobs=(EPS, LEAPS),
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class AdjustedMclmc:
    """A uniform direction, `leaps` times `B(eps / 2) A(eps) B(eps / 2)`, accepted with `min(1, exp(-dU - dK))`.

    dK sums (d - 1) log(cosh a + b sinh a) over the turns: the change of the kinetic energy of microcanonical dynamics.

    Args:
        eps: step size, > 0, in units of the smallest standard deviation of the target.
        leaps: L, >= 1; a step costs as many gradients.

    Raises:
        ValueError: a field out of range; when it starts, a single dimension.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = AdjustedMclmc(eps=0.5), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> info.accept.shape
        torch.Size([5])
    """

    eps: float = 0.6
    leaps: int = 5

    def __post_init__(self) -> None:
        _validated(self.eps)
        at_least("leaps", self.leaps, 1)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Point:
        """See `Sampler.init`."""
        _started(x)
        return Point(x, *potential.both(x))

    def step(self, state: Point, potential: Potential, noise: Noise) -> tuple[Point, StepInfo]:
        """See `Sampler.step`."""
        x, value, slope = state
        root = math.sqrt(x.shape[-1])
        u, new_value, new_slope = unit(noise.normal(*x.shape)), value, slope
        kinetic = torch.zeros_like(value)
        for _ in range(self.leaps):
            u, gained = turned(u, new_slope, self.eps * root / 2)
            x = torch.add(x, u, alpha=self.eps * root)
            new_value, new_slope = potential.both(x)
            u, more = turned(u, new_slope, self.eps * root / 2)
            kinetic = kinetic + gained + more
        take, probability = accept(value - new_value - kinetic, noise)
        return choose(take, (x, new_value, new_slope), state), StepInfo(accept=probability)

    def position(self, state: Point) -> Tensor:
        """See `Sampler.position`."""
        return state.x
