"""Targets with exact moments, and the averages of chains on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
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
        covariance: `[d, d]` if samplers may know it.
        axes: `[d, K]` if the target is Gaussian and the functionals are (x - mean) . u for its columns u, and squares.
        rows: number of data, if U is a sum over data.
        minibatch: its gradient from `size` of them, drawn for every row: `(x, size, noise) -> [R, d]`.
        error: of the truth, if that is a reference: the length within which it lies with 95 % confidence.
        smoothed: the gradient of the density convolved with N(0, sigma^2 I): `(x, sigma) -> [R, d]`.
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
    covariance: Tensor | None = None
    axes: Tensor | None = None
    rows: int = 0
    minibatch: Callable[[Tensor, int, Noise], Tensor] | None = None
    smoothed: Callable[[Tensor, float], Tensor] | None = None
    error: float = 0.0

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
            covariance=None if target.covariance is None else target.covariance / target.scale,
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

    def minibatch(self, y: Tensor, size: int, noise: Noise) -> Tensor:
        """An unbiased gradient from `size` data, drawn anew for every row; size / N evaluations a row.

        Raises:
            ValueError: the target is no sum over data, or has fewer.
        """
        target = self._target
        if target.minibatch is None:
            raise ValueError("this target is no sum over data; take a sampler with the whole gradient")
        if not target.rows >= size:
            raise ValueError(f"a minibatch must have at most {target.rows} data, got {size}")
        self._count(len(y) * size / target.rows, backward=True)
        return target.unit * target.minibatch(target.unit * y, size, noise)

    def smoothed(self, sigma: float) -> FunctionPotential:
        """The potential of the density of y convolved with N(0, sigma^2 I), its gradient alone; it shares the counter.

        Raises:
            ValueError: the target cannot be smoothed.
        """
        smooth, unit = self._target.smoothed, self._target.unit
        if smooth is None:
            raise ValueError("this target cannot be smoothed; take a sampler that walks on the target itself")

        def energy(y: Tensor) -> Tensor:
            raise ValueError("a smoothed target has a gradient alone")

        return FunctionPotential(
            energy, self.dim, gradient=lambda y: unit * smooth(unit * y, sigma * unit), counter=self.counter
        )


def gaussian_moments(mean: Tensor, covariance: Tensor, axes: Tensor, names: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a Gaussian `Target` whose functionals are y = (x - mean) . u and y^2 for some directions u.

    Args:
        mean: `[d]`.
        covariance: `[d, d]`.
        axes: the directions as columns, `[d, K]`.
        names: of the K directions; their squares have a 2 behind it.
    """
    variance = ((axes.mT @ covariance) * axes.mT).sum(1)

    def functionals(x: Tensor) -> Tensor:
        y = (x - mean.to(x)) @ axes.to(x)
        return torch.cat([y, y.square()], dim=1)

    return {
        "dim": len(mean),
        "functionals": functionals,
        "names": (*names, *(f"{name}2" for name in names)),
        "mean": torch.cat([torch.zeros_like(variance), variance]),
        "deviation": torch.cat([variance.sqrt(), variance * math.sqrt(2)]),
        "centre": mean,
        "spread": covariance.diagonal().sqrt(),
        "covariance": covariance,
        "axes": axes,
    }


class Table:
    """A density of one variable on an interval, tabulated: expectations by quadrature, draws by inversion.

    Trapezoidal sums of an analytic function that vanishes at both ends converge faster than any power of the spacing.

    Args:
        log_density: up to a constant, `[n]` -> `[n]`.
        low: lower end.
        high: upper end; the mass outside must not matter.
    """

    def __init__(self, log_density: Function, low: float, high: float) -> None:
        self.points = torch.linspace(low, high, 2**15 + 1, dtype=torch.float64)
        logs = log_density(self.points)
        weights = (logs - logs.max()).exp()
        self.weights = weights / weights.sum()
        self.mass = float(weights.sum()) * (high - low) / 2**15 * math.exp(float(logs.max()))
        middle = (self.weights[1:] + self.weights[:-1]) / 2
        self._below = torch.cat([torch.zeros(1, dtype=torch.float64), middle.cumsum(0)])
        self._below /= self._below[-1].clone()

    def mean(self, f: Function) -> float:
        """E f."""
        return float(self.weights @ f(self.points))

    def draw(self, noise: Noise, n: int) -> Tensor:
        """Independent draws `[n]`, by linear interpolation of the distribution function."""
        u = noise.uniform(n).double().cpu()
        cell = torch.searchsorted(self._below, u).clamp(1, len(self._below) - 1)
        low, high = self._below[cell - 1], self._below[cell]
        part = ((u - low) / (high - low).clamp_min(1e-300)).clamp(0, 1)
        drawn = self.points[cell - 1] + part * (self.points[cell] - self.points[cell - 1])
        return drawn.to(noise.device, noise.dtype)
