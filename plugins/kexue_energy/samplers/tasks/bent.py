"""Targets whose scale changes from place to place: two bananas and a funnel, with moments in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..checks import at_least, positive
from ..targets import Target
from ..words import BUDGETS, PLAIN
from .chained import Chained

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

QUARTILE = 0.574034632917
"""Median of |x| in the funnel."""


@task(
    "banana",
    "a bent Gaussian in the plane: both coordinates and their squares",
    version=1,
    offers="exact-draws",
    facts={"dim": "2"},
    suites={"standard": ("banana",), "full": ("banana",)},
    budgets=BUDGETS,
    timed=(),
    dtype="float64",
    headline=PLAIN,
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class Banana(Chained):
    """x_1 ~ N(0, 100), x_2 = z - b (x_1^2 - 100) with z ~ N(0, 1); Haario, Saksman and Tamminen 1999.

    Var x_2 = 1 + 2 (100 b)^2, 19 at b = 0.03. The unit of step sizes is the variance across the banana at three
    standard deviations of x_1.

    Args:
        b: bend, > 0.
        evaluations: of one chain, >= 1.
        start: as for `gaussian`.
    """

    b: float = 0.03
    evaluations: int = 100
    start: str = "stationary"

    def __post_init__(self) -> None:
        positive("b", self.b)

    def target(self) -> Target:
        """The density with its moments."""
        b, c = self.b, 100 * self.b

        def energy(x: Tensor) -> Tensor:
            z = x[:, 1] + b * (x[:, 0].square() - 100)
            return x[:, 0].square() / 200 + z.square() / 2

        def gradient(x: Tensor) -> Tensor:
            z = x[:, 1] + b * (x[:, 0].square() - 100)
            return torch.stack([x[:, 0] / 100 + 2 * b * x[:, 0] * z, z], dim=1)

        def draw(noise: Noise, n: int) -> Tensor:
            first = 10 * noise.normal(n)
            return torch.stack([first, noise.normal(n) - b * (first.square() - 100)], dim=1)

        # x_2 = z - c (w^2 - 1), whose last factor has the central moments 2 and 60 of a chi-square.
        second, fourth = 1 + 2 * c * c, 3 + 12 * c * c + 60 * c**4
        return Target(
            dim=2,
            energy=energy,
            gradient=gradient,
            scale=1 / (1 + (2 * b * 30) ** 2),
            functionals=lambda x: torch.cat([x, x.square()], dim=1),
            names=("x1", "x2", "x1-squared", "x2-squared"),
            mean=torch.tensor([0, 0, 100, second], dtype=torch.float64),
            deviation=torch.tensor(
                [10, second**0.5, 100 * math.sqrt(2), (fourth - second**2) ** 0.5], dtype=torch.float64
            ),
            draw=draw,
            centre=torch.zeros(2, dtype=torch.float64),
            spread=torch.tensor([10, second**0.5], dtype=torch.float64),
        )


@task(
    "rosenbrock",
    "Rosenbrock's valley as a density: both coordinates, their squares about the mean and their product",
    version=1,
    offers="exact-draws",
    facts={"dim": "2"},
    suites={"standard": ("rosenbrock",), "full": ("rosenbrock",)},
    budgets=BUDGETS,
    timed=(),
    dtype="float64",
    headline=PLAIN,
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class Rosenbrock(Chained):
    """U = ((1 - x)^2 + 100 (y - x^2)^2) / 20: x ~ N(1, 10), y given x ~ N(x^2, 0.1).

    E (x, y) = (1, 11), Var (10, 240.1), Cov 20. The unit of step sizes is the variance across the valley at three
    standard deviations of x.

    Args:
        evaluations: of one chain, >= 1.
        start: as for `gaussian`.
    """

    evaluations: int = 100
    start: str = "stationary"

    def target(self) -> Target:
        """The density with its moments."""
        centre = torch.tensor([1.0, 11.0], dtype=torch.float64)

        def energy(x: Tensor) -> Tensor:
            return ((1 - x[:, 0]).square() + 100 * (x[:, 1] - x[:, 0].square()).square()) / 20

        def gradient(x: Tensor) -> Tensor:
            gap = x[:, 1] - x[:, 0].square()
            return torch.stack([(x[:, 0] - 1) / 10 - 20 * x[:, 0] * gap, 10 * gap], dim=1)

        def draw(noise: Noise, n: int) -> Tensor:
            first = 1 + math.sqrt(10) * noise.normal(n)
            return torch.stack([first, first.square() + math.sqrt(0.1) * noise.normal(n)], dim=1)

        def functionals(x: Tensor) -> Tensor:
            gap = x - centre.to(x)
            return torch.cat([gap, gap.square(), gap.prod(1, keepdim=True)], dim=1)

        nodes, weights = _normal_nodes()
        # y - 11 = 2 u + u^2 - 10 + v with u ~ N(0, 10) and v ~ N(0, 0.1).
        u = math.sqrt(10) * nodes
        g = 2 * u + u.square() - 10
        second = float(weights @ g.square()) + 0.1
        fourth = float(weights @ (g**4 + 6 * g.square() * 0.1)) + 3 * 0.01
        product = float(weights @ (u.square() * (g.square() + 0.1)))
        cross = float(weights @ (u * g))
        return Target(
            dim=2,
            energy=energy,
            gradient=gradient,
            scale=0.1 / (1 + 4 * (1 + 3 * math.sqrt(10)) ** 2),
            functionals=functionals,
            names=("x", "y", "x2", "y2", "xy"),
            mean=torch.tensor([0, 0, 10, second, cross], dtype=torch.float64),
            deviation=torch.tensor(
                [
                    math.sqrt(10),
                    second**0.5,
                    10 * math.sqrt(2),
                    (fourth - second**2) ** 0.5,
                    (product - cross**2) ** 0.5,
                ],
                dtype=torch.float64,
            ),
            draw=draw,
            centre=centre,
            spread=torch.tensor([math.sqrt(10), second**0.5], dtype=torch.float64),
        )


@task(
    "funnel",
    "Neal's funnel: the share of its neck, and of |x| below its median",
    version=1,
    offers="exact-draws",
    facts={"dim": "1 + width"},
    suites={"standard": ("funnel",), "full": ("funnel",)},
    budgets=BUDGETS,
    timed=(),
    dtype="float64",
    headline=PLAIN,
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class Funnel(Chained):
    """v ~ N(0, 9), x_i given v ~ N(0, exp v), i = 1 .. width; Neal 2003, section 8.

    Moments of x are dominated by rare draws, so the functionals are bounded: P(v < -3) = 0.158655254, and
    P(|x_1| < 0.574034633) = 1/2. The unit of step sizes is the variance of x at two standard deviations of v.

    Args:
        width: coordinates besides v, >= 1.
        evaluations: of one chain, >= 1.
        start: as for `gaussian`.
    """

    width: int = 9
    evaluations: int = 100
    start: str = "stationary"

    def __post_init__(self) -> None:
        at_least("width", self.width, 1)

    def target(self) -> Target:
        """The density with its moments."""
        width, neck = self.width, math.erfc(1 / math.sqrt(2)) / 2

        def energy(x: Tensor) -> Tensor:
            v = x[:, 0]
            return v.square() / 18 + width * v / 2 + x[:, 1:].square().sum(1) * (-v).exp() / 2

        def gradient(x: Tensor) -> Tensor:
            v, rest = x[:, 0], x[:, 1:]
            squeeze = (-v).exp()
            first = v / 9 + width / 2 - rest.square().sum(1) * squeeze / 2
            return torch.cat([first.unsqueeze(1), rest * squeeze.unsqueeze(1)], dim=1)

        def draw(noise: Noise, n: int) -> Tensor:
            v = 3 * noise.normal(n, 1)
            return torch.cat([v, (v / 2).exp() * noise.normal(n, width)], dim=1)

        return Target(
            dim=1 + width,
            energy=energy,
            gradient=gradient,
            scale=math.exp(-6),
            functionals=lambda x: torch.stack([(x[:, 0] < -3).to(x), (x[:, 1].abs() < QUARTILE).to(x)], dim=1),
            names=("neck", "median"),
            mean=torch.tensor([neck, 0.5], dtype=torch.float64),
            deviation=torch.tensor([(neck * (1 - neck)) ** 0.5, 0.5], dtype=torch.float64),
            draw=draw,
            centre=torch.zeros(1 + width, dtype=torch.float64),
            spread=torch.full((1 + width,), 3.0, dtype=torch.float64),
        )


def _normal_nodes() -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes and weights of the standard normal, exact for polynomials of degree 31."""
    from scipy.special import roots_hermitenorm

    nodes, weights = (torch.from_numpy(part) for part in roots_hermitenorm(16)[:2])
    return nodes, weights / weights.sum()
