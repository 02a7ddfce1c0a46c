"""Checks of what criteria claim about Gaussian data, where their gradients can be compared with what they declare."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import claim
from kexue_bench.api import Evidence
from kexue_bench.lab.evidence import identity

from .estimating import gradients
from .networks import Quadratic

if TYPE_CHECKING:
    from collections.abc import Callable

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

    from ..contract import Criterion
    from .tasks.gaussian_fit import Fit

VARIANCES = (1.0, 0.6)
"""Variances of the data on which every declaration is checked."""
_LARGE, _SMALL = (192, 1024), (3072, 64)
"""Data sets and points of each: for means, in which log Z of a batch biases by its inverse size, and for variances."""
_SLACK, _TOLERANCE = 0.01, 0.1
_SPREAD_SLACK, _SPREAD_TOLERANCE = 0.05, 0.3
_ERRORS = 5.0
"""Standard errors at which a violation is found with a power of 90 % at the level of claims."""
_DELTA = 1e-3


@claim("consistent", "on Gaussian data the expected gradient vanishes at the truth", of="subject", order=10)
def consistent(fit: Fit, method: object, ctx: Context) -> Evidence:
    """The expected gradient at theta = 1 / s, as the relative error of theta that it stands for."""
    return _vanishing("consistent", fit.criterion, ctx, lambda variance: 1 / variance)


@claim("fixed-point", "the expected gradient vanishes at the declared fixed point", of="subject", order=20)
def fixed_point(fit: Fit, method: object, ctx: Context) -> Evidence:
    """The expected gradient at theta*, as the relative error of theta that it stands for."""
    return _vanishing("fixed-point", fit.criterion, ctx, lambda variance: _law(fit.criterion, variance)[0])


@claim(
    "asymptotic-variance", "n times the variance of an estimate is as declared, for many data", of="subject", order=30
)
def asymptotic_variance(fit: Fit, method: object, ctx: Context) -> Evidence:
    """Var g n / (E g')^2 at the declared fixed point, from data sets of 64 points, against the declared value."""
    worst, note = (-math.inf, 0.0, 0.0), ""
    for index, variance in enumerate(VARIANCES):
        theta, declared = _law(fit.criterion, variance)
        _, _, slope = _gradient(fit.criterion, theta, variance, _LARGE, ctx.fork("slope", index))
        drawn = _sampled(fit.criterion, theta, variance, _SMALL, ctx.fork("spread", index))
        squares = (drawn - drawn.mean()).square()
        found = float(_SMALL[1] * squares.mean()) / slope**2
        error = float(squares.std() / squares.mean()) / math.sqrt(len(squares))
        gap = abs(math.log(found / declared))
        if (gap - _SPREAD_SLACK) / error > worst[0]:
            worst = (gap - _SPREAD_SLACK) / error, gap, error
            note = f"n Var {found:.4g} where {declared:.4g} is declared, data of variance {variance}"
    return _tested("asymptotic-variance", *worst, note, slack=_SPREAD_SLACK, tolerance=_SPREAD_TOLERANCE)


@claim("shift-invariant", "a constant added to the energy changes no gradient", of="subject", order=40)
def shift_invariant(fit: Fit, method: object, ctx: Context) -> Evidence:
    """The largest relative change of the gradient under E + 3 and E - 3."""
    data, theta, noise = _small(ctx)
    plain = gradients(fit.criterion, data, theta, noise)
    shifted = [_slope(fit.criterion, data, _Shifted(theta.clone(), c), noise) for c in (3.0, -3.0)]
    base = _slope(fit.criterion, data, Quadratic(theta.clone()), noise)
    worst = max(float((value - base).abs().max() / plain.abs().max()) for value in shifted)
    return identity(
        "shift-invariant", worst, f"the gradient changes by {worst:.2g} of its largest entry", tolerance=1e-9
    )


@claim("gradient-matches-value", "the gradient matches central differences of the value", of="subject", order=50)
def gradient_matches_value(fit: Fit, method: object, ctx: Context) -> Evidence:
    """Central differences in theta at the same noise, relative to the largest gradient."""
    data, theta, noise = _small(ctx)
    state = fit.criterion.init(data, noise.at(0))

    def value(at: Tensor) -> Tensor:
        return fit.criterion.loss(Quadratic(at), data, state, noise.at(1))[0].detach()

    found = (value(theta + _DELTA) - value(theta - _DELTA)) / (2 * _DELTA)
    given = _slope(fit.criterion, data, Quadratic(theta.clone()), noise)
    worst = float((found - given).abs().max() / given.abs().max())
    note = f"largest difference from central differences {worst:.2g} of the largest gradient"
    return identity("gradient-matches-value", worst, note, tolerance=1e-4)


class _Shifted(Quadratic):
    """theta x^2 / 2 + c."""

    def __init__(self, theta: Tensor, constant: float) -> None:
        super().__init__(theta)
        self._constant = constant

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self._constant


def _law(criterion: Criterion, variance: float) -> tuple[float, float]:
    return criterion.gaussian(variance)  # pyright: ignore[reportAttributeAccessIssue]  # the task asked for it


def _small(ctx: Context) -> tuple[Tensor, Tensor, Noise]:
    noise = ctx.noise("noise").cast(torch.float64)
    return (
        noise.at(0).normal(4, 64, 1),
        torch.linspace(0.6, 1.5, 4, dtype=torch.float64, device=ctx.device),
        noise.at(1),
    )


def _slope(criterion: Criterion, data: Tensor, energy: Quadratic, noise: Noise) -> Tensor:
    with torch.enable_grad():
        loss, _ = criterion.loss(energy, data, criterion.init(data, noise.at(0)), noise.at(1))
        (slope,) = torch.autograd.grad(loss.sum(), energy.theta)
    return slope


def _sampled(criterion: Criterion, theta: float, variance: float, size: tuple[int, int], ctx: Context) -> Tensor:
    """Gradients at theta of data sets of this size, `[R]` float64."""
    noise = ctx.noise("noise").cast(torch.float64)
    data = math.sqrt(variance) * noise.at(0).normal(*size, 1)
    return gradients(criterion, data, data.new_full(size[:1], theta), noise.at(1))


def _gradient(
    criterion: Criterion, theta: float, variance: float, size: tuple[int, int], ctx: Context
) -> tuple[float, float, float]:
    """Mean gradient at theta, its standard error, and its derivative in theta at the same data and noise."""
    noise = ctx.noise("noise").cast(torch.float64)
    data = math.sqrt(variance) * noise.at(0).normal(*size, 1)
    low, middle, high = (
        gradients(criterion, data, data.new_full(size[:1], theta * (1 + delta)), noise.at(1))
        for delta in (-0.02, 0.0, 0.02)
    )
    slope = float((high - low).mean()) / (0.04 * theta)
    return float(middle.mean()), float(middle.std()) / math.sqrt(len(middle)), slope


def _vanishing(name: str, criterion: Criterion, ctx: Context, at: Callable[[float], float]) -> Evidence:
    worst, note = (-math.inf, 0.0, 0.0), ""
    for index, variance in enumerate(VARIANCES):
        theta = at(variance)
        mean, error, slope = _gradient(criterion, theta, variance, _LARGE, ctx.fork("gradient", index))
        scale = abs(slope) * theta
        gap, error = abs(mean) / scale, error / scale
        if (gap - _SLACK) / error > worst[0]:
            worst = (gap - _SLACK) / error, gap, error
            note = f"theta is off by {gap:.2%} of {theta:.4g}, data of variance {variance}"
    return _tested(name, *worst, note, slack=_SLACK, tolerance=_TOLERANCE)


def _tested(name: str, z: float, gap: float, error: float, note: str, *, slack: float, tolerance: float) -> Evidence:
    """A normal test that the violation exceeds the slack, which stands for the finite size of data sets."""
    return Evidence(
        claim=name,
        metric="violation",
        value=gap,
        n=_LARGE[0] * _LARGE[1] * len(VARIANCES),
        statistic=z,
        p=min(1.0, len(VARIANCES) * math.erfc(max(z, 0.0) / math.sqrt(2))),
        detectable=slack + _ERRORS * error,
        tolerance=tolerance,
        note=note,
    )
