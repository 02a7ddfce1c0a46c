"""Targets with exact moments, and the averages of chains on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from ..contract import FunctionPotential

if TYPE_CHECKING:
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.noise import Noise

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Target:
    """A density exp(-U) on R^d with functionals whose expectations are known.

    Args:
        dim: d.
        energy: U: `[R, d]` -> `[R]`.
        scale: the squared smallest standard deviation, > 0: the unit of step sizes.
        functionals: f: `[R, d]` -> `[R, F]`.
        names: of the functionals.
        mean: their expectations, `[F]`, float64.
        deviation: their standard deviations, `[F]`, float64.
        gradient: of U, `[R, d]` -> `[R, d]`, if there is a closed form.
        draw: independent exact draws `(noise, n) -> [n, d]`; None if there is no way to make them.
        centre: a point in the middle, `[d]`.
        spread: standard deviations of the coordinates, `[d]`, for starts that are too wide.
        precision: `[d, d]` if the target is Gaussian.
    """

    dim: int
    energy: Function
    scale: float
    functionals: Function
    names: tuple[str, ...]
    mean: Tensor
    deviation: Tensor
    centre: Tensor
    spread: Tensor
    gradient: Function | None = None
    draw: Callable[[Noise, int], Tensor] | None = None
    precision: Tensor | None = None

    @property
    def unit(self) -> float:
        """The square root of the scale: samplers walk on y = x / unit."""
        return math.sqrt(self.scale)

    @property
    def truth(self) -> Tensor:
        """Expectations of the normalised functionals, `[F]`: divided by their standard deviation and by sqrt(F)."""
        return self.mean / self._norm

    @property
    def _norm(self) -> Tensor:
        return self.deviation * math.sqrt(len(self.names))

    def normalised(self, x: Tensor) -> Tensor:
        """The functionals at x `[R, d]`, divided by their standard deviation and by the square root of their number."""
        return self.functionals(x) / self._norm.to(x)

    def potential(self, counter: Counter | None = None) -> TargetPotential:
        """U as a function of y, counted."""
        return TargetPotential(self, counter)


class TargetPotential(FunctionPotential):
    """U(unit y) as a function of y; it may also draw from the target, for the price of one evaluation a row.

    Args:
        target: the target.
        counter: counts the calls; None counts nothing.
    """

    def __init__(self, target: Target, counter: Counter | None = None) -> None:
        unit, slope = target.unit, target.gradient
        super().__init__(
            lambda y: target.energy(unit * y),
            target.dim,
            gradient=None if slope is None else lambda y: unit * slope(unit * y),
            counter=counter,
        )
        self._target = target

    def draw(self, noise: Noise, n: int) -> Tensor:
        """Independent draws of y, `[n, d]`.

        Raises:
            ValueError: the target cannot be drawn from.
        """
        if self._target.draw is None:
            raise ValueError("this target has no exact draws; take a sampler that walks")
        self._count(n)
        return self._target.draw(noise, n) / self._target.unit
