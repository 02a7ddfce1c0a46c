"""Two-dimensional densities learned by an energy whose log Z is known by quadrature: how far is it from the data?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.errors import InvalidResult

from .. import densities
from ..words import DENSITY_METHODS, FEW_DENSITY_METHODS, RATES
from .training import EnergyTraining, TrainedEnergy, sampler_gap

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

    from ...contract import Criterion
    from ..networks import Mlp

BOUND, POINTS = 6.0, 401
_ROWS = 2**15
_COMPARED = 2048
_ROUNDING = 1e-5


@task(
    "density-2d",
    "two-dimensional density by a small network: divergence of exp(-E) / Z from the data, beside the samples",
    version=1,
    kind="trained",
    offers={"low-dimensional", "network"},
    knobs=(RATES,),
    suites={
        "standard": ("density-2d[data=[eight-gaussians,two-moons]]",),
        "full": ("density-2d[data=[eight-gaussians,two-moons,checkerboard,rings]]",),
        "verify": ("density-2d[steps=3,width=8]",),
    },
    methods={"standard": FEW_DENSITY_METHODS, "full": DENSITY_METHODS},
    timed={"full"},
    replicates={"standard": 3, "full": 10},
    stack=3,
    primary="kl",
    headline=("kl", "sampler-gap", "temperature", "edge-mass", "evaluations", "time"),
    baseline="pcd[k=20,h=0.01]",
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class Density2d(TrainedEnergy):
    """E is a network 2 - 64 - 64 - 1 with swish, trained on fresh batches of 256.

    `kl`: of exp(-E) / Z from the density of the data, Z and the expectation by the trapezoidal rule on 401 x 401 points
    of [-6, 6]^2. `sampler-gap`: energy distance of the samples that the criterion trains with to the data, without its
    floor. `temperature`: slope of E against minus the log-density of the data; 1 if right. `edge-mass`: probability
    of the outermost cells, which should be below 1e-6 for Z to hold on the plane.

    Args:
        data: `eight-gaussians`, `two-moons`, `checkerboard` or `rings`.

    Raises:
        ValueError: a setting is out of range.
    """

    data: str = "eight-gaussians"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data not in densities.NAMES:
            raise ValueError(f"data must be one of {', '.join(densities.NAMES)}, got {self.data!r}")

    def points(self, ctx: Context, noise: Noise, count: int) -> Tensor:
        """See `TrainedEnergy.points`."""
        return densities.draw(self.data, noise, len(ctx.replicates), count)

    def measure(self, training: EnergyTraining, ctx: Context) -> Measure:
        """`kl`, `sampler-gap` of criteria with samples, `temperature` where log p varies, and `edge-mass`."""
        noise = ctx.noise("measure", stack=0)
        data = self.points(ctx, noise.at(0), self.batch + _COMPARED)
        grid = square(training.energy.weights[0])
        log_p = densities.log_density(self.data, grid.double())

        def values() -> dict[str, Tensor]:
            found = Quadrature.of(tabulated(training.energy, grid))
            kl, error = found.divergence(log_p)
            if bool((kl < -3 * error - _ROUNDING).any()):
                raise InvalidResult(
                    f"a divergence must be >= 0, got {float(kl.min()):.3g} +- {float(error.max()):.1g}; log Z is wrong"
                )
            return {
                "kl": kl,
                **sampler_gap(training, data, self.batch, noise.at(1)),
                **found.temperature(log_p),
                "edge-mass": found.edge_mass,
            }

        return values

    def score(self, method: Criterion, ctx: Context) -> float:
        """Minus `kl`."""
        training = self.build(method, ctx)
        return -float(ctx.train(training, steps=self.steps, measure=self.measure(training, ctx)).final["kl"].mean())


def square(like: Tensor) -> Tensor:
    """The grid, `[401^2, 2]`, in the dtype and on the device of a tensor."""
    axis = torch.linspace(-BOUND, BOUND, POINTS, dtype=like.dtype, device=like.device)
    return torch.cartesian_prod(axis, axis)


def tabulated(energy: Mlp, grid: Tensor) -> Tensor:
    """E on the grid, `[R, 401, 401]`, float64."""
    stack = energy.weights[0].shape[0]
    parts = [energy(part.expand(stack, *part.shape)) for part in grid.split(_ROWS)]
    return torch.cat(parts, dim=-1).double().reshape(stack, POINTS, POINTS)


@dataclass(frozen=True)
class Quadrature:
    """Integrals of exp(-E) by the trapezoidal rule, its boundary counted whole since it should weigh nothing.

    Args:
        energy: E on the grid, `[R, 401, 401]`.
        log_z: `[R]`.
    """

    energy: Tensor
    log_z: Tensor

    @classmethod
    def of(cls, energy: Tensor) -> Quadrature:
        """From E on the grid."""
        return cls(energy, _log_integral(energy))

    def divergence(self, log_p: Tensor) -> tuple[Tensor, Tensor]:
        """KL of exp(-E) / Z from p, `[R]`, and the error of the rule, from every second point of each axis.

        Args:
            log_p: on the grid, `[401^2]`.
        """
        p = log_p.reshape(POINTS, POINTS)
        fine = _expected(p, self.energy) + self.log_z
        coarse = _expected(p[::2, ::2], self.energy[..., ::2, ::2]) + _log_integral(self.energy[..., ::2, ::2])
        return fine, (fine - coarse).abs()

    def temperature(self, log_p: Tensor) -> dict[str, Tensor]:
        """`temperature` `[R]`: Cov_p(E, -log p) / Var_p(log p); nothing where log p is constant."""
        weight = log_p.exp() / log_p.exp().sum()
        level = torch.where(weight > 0, -log_p, 0)
        centred = level - (weight * level).sum()
        variance = (weight * centred.square()).sum()
        if float(variance) < _ROUNDING:
            return {}
        return {"temperature": (weight * centred * self.energy.flatten(1)).sum(1) / variance}

    @property
    def edge_mass(self) -> Tensor:
        """Probability of the points on the boundary, `[R]`."""
        p = (-self.energy - self.log_z[:, None, None]).exp() * _cell(POINTS)
        return p.sum((1, 2)) - p[:, 1:-1, 1:-1].sum((1, 2))


def _cell(points: int) -> float:
    return (2 * BOUND / (points - 1)) ** 2


def _log_integral(energy: Tensor) -> Tensor:
    return torch.logsumexp(-energy.flatten(1), 1) + math.log(_cell(energy.shape[-1]))


def _expected(log_p: Tensor, energy: Tensor) -> Tensor:
    """E_p (log p + E) `[R]`, with p normalised on the grid."""
    weight = log_p.exp() / log_p.exp().sum()
    return (weight * (torch.where(weight > 0, log_p, 0) + energy)).sum((1, 2))
