"""Hamiltonian Monte Carlo: fixed and jittered steps, persistent momenta, and without correction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from kexue_bench import Knob, method

from ...contract import Linear, Potential, StepInfo
from ..checks import at_least, positive
from ..metropolis import Point, accept, choose
from ..splitting import leapfrog
from ..words import ADJUSTED, LEAPS, LEAPS_PAID, UNADJUSTED

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

EPS = Knob(field="eps", grid=(0.1, 0.2, 0.4, 0.6, 0.9, 1.2, 1.5))


class Swing(NamedTuple):
    """Where chains are, with U, its gradient and the momentum: `[C, d]`, `[C]`, `[C, d]`, `[C, d]`."""

    x: Tensor
    value: Tensor
    slope: Tensor
    p: Tensor


@method(
    "hmc",
    "Hamiltonian Monte Carlo with a fixed number of leapfrog steps",
    references=("Duane et al. 1987, doi:10.1016/0370-2693(87)91197-X", "arXiv:1206.1901"),
    claims=(*ADJUSTED, "acceptance"),
    unless=LEAPS_PAID,
    knobs=(EPS, LEAPS),
    fixed={"jitter": 0.0, "persistence": 0.0},
    order=110,
)
@method(
    "jittered-hmc",
    "HMC whose step size is drawn anew for every chain and step, so that no period resonates",
    references=("arXiv:1206.1901",),
    claims=ADJUSTED,
    unless=LEAPS_PAID,
    knobs=(EPS, LEAPS),
    fixed={"persistence": 0.0},
    defaults={"jitter": 0.3},
    order=120,
)
@method(
    "ghmc",
    "generalized HMC: the momentum is partly kept, and reversed at a rejection",
    references=("Horowitz 1991, doi:10.1016/0370-2693(91)90812-5",),
    claims=ADJUSTED,
    unless=LEAPS_PAID,
    knobs=(EPS, Knob(field="persistence", grid=(0.3, 0.6, 0.8, 0.9, 0.97), scale="linear")),
    fixed={"jitter": 0.0},
    defaults={"persistence": 0.8, "leaps": 1},
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class Hmc:
    """p <- c p + sqrt(1 - c^2) xi, then `leaps` leapfrog steps of size eps, accepted with min(1, exp(-dH)).

    H = U(x) + |p|^2 / 2. At a rejection p becomes -p, which matters only if momenta persist (c > 0). On N(0, I_d), with
    cos t = 1 - eps^2 / 2 and q = 1 - eps^2 / 4, the acceptance at c = 0 is 2 I_u(d/2, d/2) with u = 1 / (1 + s) and
    s + 1 / s = 2 cos^2(L t) + sin^2(L t) (q + 1 / q). A step costs `leaps` gradients.

    Args:
        eps: step size, > 0, in units of the smallest standard deviation of the target.
        leaps: L, >= 1.
        jitter: eps is multiplied by a number uniform on [1 - jitter, 1 + jitter], for every chain and step; >= 0, < 1.
        persistence: c, the share of the momentum that is kept; >= 0, < 1.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Hmc(eps=0.5, leaps=3), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> info.accept.shape
        torch.Size([5])
    """

    eps: float = 0.6
    leaps: int = 3
    jitter: float = 0.0
    persistence: float = 0.0

    def __post_init__(self) -> None:
        positive("eps", self.eps)
        at_least("leaps", self.leaps, 1)
        for name in ("jitter", "persistence"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 0 and < 1, got {getattr(self, name)}; 0 leaves it out")

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Swing:
        """See `Sampler.init`; momenta are standard normal."""
        return Swing(x, *potential.both(x), noise.normal(*x.shape))

    def step(self, state: Swing, potential: Potential, noise: Noise) -> tuple[Swing, StepInfo]:
        """See `Sampler.step`."""
        x, value, slope, kept = state
        c, eps = self.persistence, self.eps
        p = c * kept + math.sqrt(1 - c * c) * noise.normal(*x.shape)
        if self.jitter:
            eps = eps * (1 + self.jitter * (2 * noise.uniform(len(x), 1) - 1))
        new_x, new_p, new_value, new_slope = leapfrog(x, p, slope, potential.both, eps, self.leaps)
        # A difference of two large sums would lose its digits in many dimensions.
        kinetic = torch.linalg.vecdot(p - new_p, p + new_p) / 2
        take, probability = accept(value - new_value + kinetic, noise)
        return choose(take, (new_x, new_value, new_slope, new_p), Swing(x, value, slope, -p)), StepInfo(
            accept=probability
        )

    def position(self, state: Swing) -> Tensor:
        """See `Sampler.position`."""
        return state.x


@method(
    "unadjusted-hmc",
    "HMC without acceptance: biased by the square of its step",
    references=("arXiv:2108.00682",),
    claims=UNADJUSTED,
    unless=LEAPS_PAID,
    knobs=(EPS, LEAPS),
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class UnadjustedHmc:
    """p ~ N(0, I), then `leaps` leapfrog steps of size eps, always taken.

    On N(0, 1) the variance is 1 / (1 - eps^2 / 4) for every number L of leaps, and the lag-1 correlation cos(L t) with
    cos t = 1 - eps^2 / 2. A step costs `leaps` gradients.

    Args:
        eps: step size, > 0, in units of the smallest standard deviation of the target.
        leaps: L, >= 1.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = UnadjustedHmc(eps=0.5, leaps=3), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> sampler.position(state).shape
        torch.Size([5, 2])
    """

    eps: float = 0.6
    leaps: int = 3

    def __post_init__(self) -> None:
        positive("eps", self.eps)
        at_least("leaps", self.leaps, 1)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Point:
        """See `Sampler.init`."""
        return Point(x, *potential.both(x))

    def step(self, state: Point, potential: Potential, noise: Noise) -> tuple[Point, StepInfo]:
        """See `Sampler.step`."""
        p = noise.normal(*state.x.shape)
        x, _, value, slope = leapfrog(state.x, p, state.slope, potential.both, self.eps, self.leaps)
        return Point(x, value, slope), StepInfo()

    def position(self, state: Point) -> Tensor:
        """See `Sampler.position`."""
        return state.x

    def linear(self, precision: Tensor) -> Linear:
        """The L-th power of the leapfrog's matrix: A is its block of x by x, B that of x by p."""
        eye = torch.eye(len(precision), dtype=precision.dtype)
        zero = torch.zeros_like(eye)
        half = torch.cat([torch.cat([eye, zero], 1), torch.cat([-self.eps / 2 * precision, eye], 1)])
        drift = torch.cat([torch.cat([eye, self.eps * eye], 1), torch.cat([zero, eye], 1)])
        power = torch.linalg.matrix_power(half @ drift @ half, self.leaps)
        return Linear(A=power[: len(eye), : len(eye)], B=power[: len(eye), len(eye) :], Q=eye)
