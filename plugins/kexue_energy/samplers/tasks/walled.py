"""Multimodal targets: two wells, two modes, a ring and a grid, with exact moments by quadrature or closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..checks import at_least, positive
from ..targets import Table, Target
from ..words import BUDGETS, FEW, PLAIN
from .chained import Chained

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

_CHOSEN = {"quick": FEW}
SHIFT = 0.6
"""Where the middle of a symmetric target lies: a generic mean, so that 0 is no answer."""


@task(
    "double-well",
    "two wells of one dimension with a barrier of b: x, x^2 and the share of the right well",
    version=1,
    offers="exact-draws",
    facts={"dim": "1"},
    suites={"standard": ("double-well[b=[1.0,4.0]]",), "full": ("double-well[b=[1.0,4.0]]",)},
    budgets=BUDGETS,
    timed=(),
    dtype="float64",
    headline=PLAIN,
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class DoubleWell(Chained):
    """U = b ((x - 0.6)^2 - 1)^2; moments by quadrature (E (x - 0.6)^2 = 0.832745 at b = 1, 0.917671 at b = 4).

    Args:
        b: height of the barrier, > 0.
        evaluations: of one chain, >= 1.
        start: as for `gaussian`.
    """

    b: float = 1.0
    evaluations: int = 100
    start: str = "stationary"

    def __post_init__(self) -> None:
        positive("b", self.b)

    def target(self) -> Target:
        """The density with its moments."""
        b = self.b
        table = Table(lambda x: -b * (x.square() - 1).square(), -3.5, 3.5)
        second, fourth = table.mean(torch.square), table.mean(lambda x: x**4)

        def functionals(x: Tensor) -> Tensor:
            y = x - SHIFT
            return torch.cat([y, y.square(), (y > 0).to(y)], dim=1)

        return Target(
            dim=1,
            energy=lambda x: b * ((x[:, 0] - SHIFT).square() - 1).square(),
            gradient=lambda x: 4 * b * (x - SHIFT) * ((x - SHIFT).square() - 1),
            # The curvature at the bottom of a well is 8 b.
            scale=1 / (8 * b),
            functionals=functionals,
            names=("x", "x2", "right"),
            mean=torch.tensor([0, second, 0.5], dtype=torch.float64),
            deviation=torch.tensor([second**0.5, (fourth - second**2) ** 0.5, 0.5], dtype=torch.float64),
            draw=lambda noise, n: table.draw(noise, n).unsqueeze(1) + SHIFT,
            centre=torch.full((1,), SHIFT, dtype=torch.float64),
            spread=torch.full((1,), second**0.5, dtype=torch.float64),
        )


@task(
    "two-modes",
    "0.3 N(-4, 1) + 0.7 N(4, 1): x, x^2 and the share of the left mode",
    version=1,
    offers="exact-draws",
    facts={"dim": "1"},
    suites={"quick": ("two-modes",), "standard": ("two-modes",), "full": ("two-modes",)},
    methods=_CHOSEN,
    budgets=BUDGETS,
    timed=("quick", "full"),
    dtype="float64",
    headline=PLAIN,
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class TwoModes(Chained):
    """E x = 1.6, Var x = 14.44, P(x < 0) = 0.300012668: a barrier of 8 that a walk crosses once in thousands of steps.

    Args:
        evaluations: of one chain, >= 1.
        start: as for `gaussian`.
    """

    evaluations: int = 100
    start: str = "stationary"

    def target(self) -> Target:
        """The density with its moments."""
        left = 0.3 * _normal_below(4) + 0.7 * _normal_below(-4)

        def energy(x: Tensor) -> Tensor:
            y = x[:, 0]
            parts = torch.stack([math.log(0.3) - (y + 4).square() / 2, math.log(0.7) - (y - 4).square() / 2])
            return -torch.logsumexp(parts, dim=0)

        def gradient(x: Tensor) -> Tensor:
            share = torch.sigmoid(8 * x + math.log(0.7 / 0.3))
            return x + 4 - 8 * share

        def draw(noise: Noise, n: int) -> Tensor:
            side = torch.where(noise.uniform(n, 1) < 0.3, -4.0, 4.0)
            return noise.normal(n, 1) + side

        return Target(
            dim=1,
            energy=energy,
            gradient=gradient,
            scale=1.0,
            functionals=lambda x: torch.cat([x, x.square(), (x < 0).to(x)], dim=1),
            names=("x", "x2", "left"),
            mean=torch.tensor([1.6, 17, left], dtype=torch.float64),
            # E x^4 = 4^4 + 6 4^2 + 3 in either mode.
            deviation=torch.tensor([14.44**0.5, (355 - 17**2) ** 0.5, (left * (1 - left)) ** 0.5], dtype=torch.float64),
            draw=draw,
            centre=torch.full((1,), 1.6, dtype=torch.float64),
            spread=torch.full((1,), 3.8, dtype=torch.float64),
        )


@task(
    "ring",
    "a ring in the plane: radius, both coordinates and a square",
    version=1,
    offers="exact-draws",
    facts={"dim": "2"},
    suites={"standard": ("ring",), "full": ("ring",)},
    budgets=BUDGETS,
    timed=(),
    dtype="float64",
    headline=PLAIN,
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class Ring(Chained):
    """U = (|x - m| - r)^2 / (2 s^2) with m = (0.6, 0.6); the radius has the density t exp(-(t - r)^2 / (2 s^2)).

    Args:
        radius: r, >= 8 s, so that the middle is empty.
        width: s, > 0.
        evaluations: of one chain, >= 1.
        start: as for `gaussian`.
    """

    radius: float = 3.0
    width: float = 0.25
    evaluations: int = 100
    start: str = "stationary"

    def __post_init__(self) -> None:
        positive("width", self.width)
        at_least("radius", self.radius, 8 * self.width)

    def target(self) -> Target:
        """The density with its moments."""
        r, s = self.radius, self.width
        table = Table(lambda t: t.clamp_min(1e-300).log() - (t - r).square() / (2 * s * s), r - 8 * s, r + 9 * s)
        first, second, fourth = (table.mean(lambda t, k=k: t**k) for k in (1, 2, 4))
        spread, square = (second / 2) ** 0.5, (3 / 8 * fourth - (second / 2) ** 2) ** 0.5

        def functionals(x: Tensor) -> Tensor:
            y = x - SHIFT
            return torch.cat([torch.linalg.vector_norm(y, dim=1, keepdim=True), y, y[:, :1].square()], dim=1)

        def gradient(x: Tensor) -> Tensor:
            y = x - SHIFT
            return y * (1 - r / torch.linalg.vector_norm(y, dim=1, keepdim=True).clamp_min(1e-12)) / s**2

        def draw(noise: Noise, n: int) -> Tensor:
            angle = 2 * math.pi * noise.uniform(n)
            return table.draw(noise, n).unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1) + SHIFT

        return Target(
            dim=2,
            energy=lambda x: (torch.linalg.vector_norm(x - SHIFT, dim=1) - r).square() / (2 * s * s),
            gradient=gradient,
            scale=s * s,
            functionals=functionals,
            names=("radius", "x", "y", "x2"),
            mean=torch.tensor([first, 0, 0, second / 2], dtype=torch.float64),
            deviation=torch.tensor([(second - first**2) ** 0.5, spread, spread, square], dtype=torch.float64),
            draw=draw,
            centre=torch.full((2,), SHIFT, dtype=torch.float64),
            spread=torch.full((2,), spread, dtype=torch.float64),
        )


@task(
    "grid",
    "25 modes on a grid: the share of each",
    version=1,
    offers="exact-draws",
    facts={"dim": "2"},
    suites={"standard": ("grid",), "full": ("grid",)},
    budgets=BUDGETS,
    timed=(),
    dtype="float64",
    headline=PLAIN,
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class Grid(Chained):
    """Equal modes N(c, s^2 I) at {-4, -2, 0, 2, 4}^2 + 0.6; each mode is the nearest with probability 1/25.

    What a mode loses to its neighbours it gains from them, up to exp(-1 / (2 s^2)) at a distance of three modes.

    Args:
        sd: s, > 0 and <= 0.5.
        evaluations: of one chain, >= 1.
        start: as for `gaussian`.
    """

    sd: float = 0.3
    evaluations: int = 100
    start: str = "stationary"

    def __post_init__(self) -> None:
        positive("sd", self.sd)
        if self.sd > 0.5:
            raise ValueError(f"sd must be <= 0.5 for modes that are apart, got {self.sd}")

    def target(self) -> Target:
        """The density with its moments."""
        places = torch.arange(-4.0, 5, 2, dtype=torch.float64)

        def energy(x: Tensor) -> Tensor:
            # A product of two mixtures.
            gaps = (x - SHIFT).unsqueeze(2) - places.to(x)
            return -torch.logsumexp(-gaps.square() / (2 * self.sd**2), dim=2).sum(1)

        def gradient(x: Tensor) -> Tensor:
            gaps = (x - SHIFT).unsqueeze(2) - places.to(x)
            return (torch.softmax(-gaps.square() / (2 * self.sd**2), dim=2) * gaps).sum(2) / self.sd**2

        def functionals(x: Tensor) -> Tensor:
            nearest = ((x - SHIFT) / 2).round().clamp(-2, 2).long() + 2
            return torch.nn.functional.one_hot(5 * nearest[:, 0] + nearest[:, 1], 25).to(x)

        def draw(noise: Noise, n: int) -> Tensor:
            return places.to(noise.dtype)[noise.integers(5, n, 2)] + self.sd * noise.normal(n, 2) + SHIFT

        return Target(
            dim=2,
            energy=energy,
            gradient=gradient,
            scale=self.sd**2,
            functionals=functionals,
            names=tuple(f"mode-{i}{j}" for i in range(5) for j in range(5)),
            mean=torch.full((25,), 1 / 25, dtype=torch.float64),
            deviation=torch.full((25,), math.sqrt(24) / 25, dtype=torch.float64),
            draw=draw,
            centre=torch.full((2,), SHIFT, dtype=torch.float64),
            spread=torch.full((2,), math.sqrt(8 + self.sd**2), dtype=torch.float64),
        )


def _normal_below(x: float) -> float:
    return math.erfc(-x / math.sqrt(2)) / 2
