"""A Gaussian of any dimension and condition number, on which linear samplers have exact laws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..checks import at_least
from ..targets import Target, gaussian_moments
from ..words import COLUMNS, FEW
from .chained import Chained

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@task(
    "gaussian",
    "Gaussian of a given condition number: first two moments of its softest and stiffest direction",
    version=1,
    offers=("exact-draws", "gaussian", "covariance"),
    suites={
        "verify": ("gaussian[dim=3,kappa=4.0]",),
        "tour": ("gaussian",),
        "quick": ("gaussian", "gaussian[dim=100,kappa=100.0]"),
        "standard": ("gaussian", "gaussian[dim=100,kappa=100.0]"),
        "full": (
            "gaussian",
            "gaussian[dim=100,kappa=[100.0,10000.0]]",
            "gaussian[dim=10,kappa=10.0,evaluations=200,start=wide]",
        ),
    },
    methods={"tour": FEW, "quick": FEW},
    budgets={"tour": 2048, "quick": 4096, "standard": 16384, "full": 131072},
    timed=("standard", "full"),
    dtype="float64",
    headline=COLUMNS,
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Gaussian(Chained):
    """N(m, S) with eigenvalues of S from 1 to kappa in geometric progression, eigenvectors of a reflection, m generic.

    Functionals: (x - m) . u and its square, for the eigenvectors u of kappa (`soft`) and 1 (`stiff`); in one dimension
    they are the same, `x`; the squares have a 2 behind their names.

    Args:
        dim: d, >= 1.
        kappa: condition number of S, >= 1; 1 in one dimension.
        evaluations: of one chain, >= 1.
        start: `stationary`: from the chain's own law if the method states it, otherwise from the target; `wide`: from
            N(m, 25 I), the first half is dropped.
    """

    dim: int = 1
    kappa: float = 1.0
    evaluations: int = 100
    start: str = "stationary"

    def __post_init__(self) -> None:
        at_least("dim", self.dim, 1)
        at_least("kappa", self.kappa, 1)
        if self.dim == 1 and self.kappa != 1:
            raise ValueError(f"kappa must be 1 in one dimension, got {self.kappa}; raise dim")

    def variances(self) -> Tensor:
        """Eigenvalues of S, ascending, `[d]`."""
        return torch.logspace(0, math.log10(self.kappa), self.dim, dtype=torch.float64)

    def axes(self) -> Tensor:
        """Eigenvectors of S as columns, in the same order, `[d, d]`."""
        normal = torch.arange(1.0, self.dim + 1, dtype=torch.float64).sqrt()
        reflection = torch.eye(self.dim, dtype=torch.float64) - 2 * torch.outer(normal, normal) / normal.dot(normal)
        return reflection if self.dim > 1 else reflection.abs()

    def target(self) -> Target:
        """The density with its exact moments."""
        variances, axes = self.variances(), self.axes()
        precision, root = (axes / variances) @ axes.mT, axes * variances.sqrt()
        centre = torch.linspace(-0.7, 1.3, self.dim, dtype=torch.float64)

        def energy(x: Tensor) -> Tensor:
            gap = x - centre.to(x)
            return ((gap @ precision.to(x)) * gap).sum(1) / 2

        def draw(noise: Noise, n: int) -> Tensor:
            return noise.normal(n, self.dim) @ root.mT.to(noise.dtype) + centre.to(noise.dtype)

        def smoothed(x: Tensor, sigma: float) -> Tensor:
            return (x - centre.to(x)) @ ((axes / (variances + sigma**2)) @ axes.mT).to(x)

        chosen, names = (axes, ("x",)) if self.dim == 1 else (axes[:, [-1, 0]], ("soft", "stiff"))
        return Target(
            **gaussian_moments(centre, root @ root.mT, chosen, names),
            energy=energy,
            gradient=lambda x: (x - centre.to(x)) @ precision.to(x),
            scale=1.0,
            draw=draw,
            precision=precision,
            smoothed=smoothed,
        )
