"""The user's own density: which sampler, and how long a chain?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kexue_bench import CodePath, task
from kexue_bench.lab.noise import Noise
from kexue_bench.lab.own import function_of, once

from ...contract import FunctionPotential
from ..chains import STARTS
from ..checks import at_least, one_of
from ..reference import Reference, reference
from ..targets import Target
from ..words import BUDGETS, PLAIN, WALKING
from .chained import Chained

if TYPE_CHECKING:
    from collections.abc import Callable

CHAINS, STEPS = 256, 200
"""Chains of the reference, and their steps."""


@task(
    "own-potential",
    "your density exp(-U) from a Python function: means and variances, against long chains with their error",
    version=1,
    offers="covariance",
    # Not known before the file runs; a microcanonical sampler itself refuses one dimension.
    facts={"dim": "2"},
    methods={"quick": WALKING, "standard": WALKING, "full": WALKING},
    budgets=BUDGETS,
    dtype="float64",
    headline=PLAIN,
    order=300,
)
@dataclass(frozen=True, kw_only=True)
class OwnPotential(Chained):
    """`make()` of your file returns a `FunctionPotential(energy, dim)`, with U: `[R, d]` -> `[R]` in torch.

    The truth is a reference: 256 chains of adapted HMC from N(0, I), with the error of their means (flag `reference`).
    Functionals are the coordinates about their mean, and the squares; a chain starts at an end of one of those chains.

    Args:
        path: `file.py:make`.
        evaluations: of one chain, >= 1.
        start: `stationary`: from the reference; `wide`: as for `gaussian`.
    """

    path: CodePath
    evaluations: int = 100
    start: str = "stationary"

    def __post_init__(self) -> None:
        at_least("evaluations", self.evaluations, 1)
        one_of("start", self.start, STARTS)
        once(found, self.path)

    def target(self) -> Target:
        """The density with its reference."""
        potential, known = once(found, self.path)
        return referred(potential.value, potential.gradient, known, error=known.error)


def referred(
    energy: Callable[[Tensor], Tensor], gradient: Callable[[Tensor], Tensor], known: Reference, **more: Any
) -> Target:
    """A target whose moments and starts are those of a reference: x - mean and its square, every coordinate."""
    mean, variance = known.mean, known.squares.mean(0)

    def functionals(x: Tensor) -> Tensor:
        gap = x - mean.to(x)
        return torch.cat([gap, gap.square()], dim=1)

    def draw(noise: Noise, n: int) -> Tensor:
        return known.points.to(noise.dtype)[noise.integers(len(known.points), n)]

    dim = len(mean)
    return Target(
        dim=dim,
        energy=energy,
        gradient=gradient,
        scale=float(torch.linalg.eigvalsh(known.covariance)[0]),
        functionals=functionals,
        names=(*(f"x{i}" for i in range(dim)), *(f"x{i}-squared" for i in range(dim))),
        mean=torch.cat([torch.zeros_like(mean), variance]),
        deviation=known.deviation,
        draw=draw,
        centre=mean,
        spread=variance.sqrt(),
        covariance=known.covariance,
        **more,
    )


def found(place: str) -> tuple[FunctionPotential, Reference]:
    """The potential of a file, tried, and its reference.

    Raises:
        TypeError: the function returns something else.
        ValueError: values or gradients are not finite where chains start, or mix their rows.
    """
    name, potential = Path(place).name, function_of(place)()
    if not isinstance(potential, FunctionPotential):
        raise TypeError(f"{name} must return a kexue_energy.FunctionPotential, got {type(potential).__name__}")
    noise = Noise.seeded(0, dtype=torch.float64)
    start = noise.normal(CHAINS, potential.dim)
    value, slope = potential.both(start)
    if not bool(value.isfinite().all() and slope.isfinite().all()):
        raise ValueError(
            f"{name}: U and its gradient must be finite on draws from N(0, I), got nan or inf; shift or scale x"
        )
    alone = torch.cat([potential.value(row) for row in start[:4].split(1)])
    if not torch.allclose(alone, value[:4]):
        raise ValueError(f"{name}: U of a row must not depend on other rows, got other values for single rows")
    return potential, reference(potential, start, noise, steps=STEPS)
