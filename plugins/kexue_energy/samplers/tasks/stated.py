"""One number of a sampler beside its closed form: acceptance, the law after annealing, the temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_bench.errors import NotOffered

from ...contract import FunctionPotential
from ..chains import NORMAL_95, fitting
from ..checks import at_least, positive
from ..claims import expected_acceptance
from ..methods.annealed import AnnealedLangevin
from ..methods.decoupled import Decoupled
from .gaussian import Gaussian

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context

CHAINS = 4096
"""Chains behind each number."""
_ACCEPTING = ("mala", "random-walk", "hmc", "parallel-tempering")
_LANGEVIN = ("annealed-langevin",)
_RELEASED = (
    "decoupled[rate=0.05,sd=0.31622776601683794]",
    "decoupled[rate=10.0,sd=0.005]",
    "decoupled[rate=1.0,sd=0.01]",
    "decoupled[rate=100.0,sd=0.001]",
)


@task(
    "acceptance",
    "mean acceptance on N(0, I) beside its closed form",
    version=1,
    kind="record",
    facts={"evaluations": "1000"},
    suites={
        "quick": ("acceptance",),
        "standard": ("acceptance[dim=[1,10,100]]",),
        "full": ("acceptance[dim=[1,10,100]]",),
    },
    methods={"quick": _ACCEPTING, "standard": _ACCEPTING, "full": _ACCEPTING},
    timed=(),
    dtype="float64",
    primary="acceptance",
    headline=("acceptance", "exact-acceptance"),
    baseline="mala",
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """Mean acceptance of the first step of 4,096 chains from exact draws.

    Args:
        dim: d, >= 1.
    """

    dim: int = 10

    def __post_init__(self) -> None:
        at_least("dim", self.dim, 1)

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record `acceptance` and `exact-acceptance`."""
        try:
            exact = expected_acceptance(method, self.dim)
        except TypeError as error:
            raise NotOffered(str(error)) from error
        potential, noise, sampler = (
            Gaussian(dim=self.dim).target().potential(ctx.counter),
            ctx.noise("noise"),
            fitting(method),
        )
        state = sampler.init(potential.draw(noise, CHAINS), potential, noise)
        accept = sampler.step(state, potential, noise)[1].accept
        if accept is None:
            raise NotOffered(f"{type(method).__name__} reports no acceptance")
        _record(ctx, "acceptance", accept.double(), exact)


@task(
    "annealing",
    "variance after annealed Langevin dynamics on N(m, 1) beside the recursion of its law",
    version=1,
    kind="record",
    offers="smoothed",
    suites={"standard": ("annealing",), "full": ("annealing",)},
    methods={"standard": _LANGEVIN, "full": _LANGEVIN},
    timed=(),
    dtype="float64",
    primary="law",
    headline=("law", "exact-law"),
    baseline="annealed-langevin",
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class Annealing:
    """Mean of (x - m)^2 over 4,096 chains after all levels, from N(m, 2).

    At the defaults, with 100 steps a level, the recursion ends at 1.061415; with 1,000 at 1.005949.
    """

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record `law` and `exact-law`."""
        if not isinstance(method, AnnealedLangevin):
            raise NotOffered(f"{type(method).__name__} has no levels")
        target, noise = Gaussian().target(), ctx.noise("noise")
        potential, centre = target.potential(ctx.counter), target.centre.to(ctx.dtype)
        state = method.init(centre + math.sqrt(2) * noise.normal(CHAINS, 1), potential, noise)
        for _ in range(method.levels * method.steps):
            state, _ = method.step(state, potential, noise)
        _record(ctx, "law", (state.x - centre).square().double().squeeze(1), method.law(1.0, 2.0))


@task(
    "temperature",
    "temperature of chains whose step and noise are chosen apart, as in released energy models",
    version=1,
    kind="record",
    suites={"standard": ("temperature",), "full": ("temperature",)},
    methods={"standard": _RELEASED, "full": _RELEASED},
    timed=(),
    dtype="float64",
    primary="temperature",
    headline=("temperature", "exact-temperature"),
    baseline="decoupled[rate=0.05,sd=0.31622776601683794]",
    order=220,
)
@dataclass(frozen=True, kw_only=True)
class Temperature:
    """T = theta Var x on E = theta x^2 / 2, from 4,096 chains that start at 0 and forget it.

    The density exp(-E / T) has the variance T / theta. Exactly T is theta sd^2 / (1 - (1 - rate theta)^2), which is
    sd^2 / (2 rate) for rate theta << 1.

    Args:
        stiffness: rate times theta, > 0 and < 2: energies of models are flat on the scale of their steps.
    """

    stiffness: float = 0.02

    def __post_init__(self) -> None:
        positive("stiffness", self.stiffness)
        if self.stiffness >= 2:
            raise ValueError(f"stiffness must be < 2 for a stable chain, got {self.stiffness}")

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record `temperature` and `exact-temperature`."""
        if not isinstance(method, Decoupled):
            raise NotOffered(f"{type(method).__name__} has the temperature 1 of its target")
        theta = self.stiffness / method.rate
        potential = FunctionPotential(
            lambda x: theta * x.square().sum(1) / 2, 1, gradient=lambda x: theta * x, counter=ctx.counter
        )
        noise = ctx.noise("noise")
        x = torch.zeros(CHAINS, 1, dtype=ctx.dtype, device=ctx.device)
        # The start is forgotten to 1e-6 of the variance.
        for _ in range(math.ceil(7 / self.stiffness)):
            x, _ = method.step(x, potential, noise)
        exact = theta * method.sd**2 / (1 - (1 - self.stiffness) ** 2)
        _record(ctx, "temperature", theta * x.square().double().squeeze(1), exact, flags=method.flags)


def _record(ctx: Context, name: str, values: Tensor, exact: float, *, flags: frozenset[str] = frozenset()) -> None:
    """The mean of independent values with its interval, and the closed form."""
    mean, half = float(values.mean()), NORMAL_95 * float(values.std()) / math.sqrt(len(values))
    ctx.record(name, mean, interval=(mean - half, mean + half), n=len(values), flags=flags)
    ctx.record(f"exact-{name}", exact, flags=("exact",))
