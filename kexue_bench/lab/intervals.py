"""95 % intervals of mse, variance, bias and cosine from the independent units of an estimation, as pure functions.

A unit is the mean over equally many independent draws g_i in R^D of an estimator of `truth`. Every function takes
leading dimensions, so that a thousand simulated estimations are evaluated in one call; nothing here imports torch.

Write e = mean - E g, S = Cov g, V = tr S. The mean over N draws has |mean - truth|^2 = |b|^2 + 2 b.e + |e|^2, where the
last term has mean V / N and variance 2 tr(S^2) / N^2. Because of this term, a variance with kurtosis 1 and a
bias near zero differ from plain means; it is treated as V / N times a chi-square of nu = V^2 / tr(S^2) degrees of
freedom, divided by nu (Satterthwaite).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]

LEVEL = 0.95
CLEAR = 1e-4
"""A bias is clearly nonzero if an unbiased estimator would show as large a gap with at most this probability."""
ROUNDING_ULPS = 8
"""An interval is never narrower than this many units in the last place on either side."""
HEAVY_SHARE = 0.15
"""Largest share of the sum of squared deviations that one draw may have before `heavy-tail` is flagged."""


class Interval(NamedTuple):
    """A value and the ends of its 95 % interval, each `[...]`."""

    value: Array
    low: Array
    high: Array

    @classmethod
    def pinned(cls, value: ArrayLike, half_width: ArrayLike) -> Interval:
        """A number that is known up to a half-width."""
        centre = np.asarray(value, dtype=np.float64)
        return cls(centre, centre, centre).at_least(half_width)

    def at_least(self, half_width: ArrayLike) -> Interval:
        """The interval, widened on each side on which it is narrower than this."""
        half = np.asarray(half_width, dtype=np.float64)
        low, high = self.value - half, self.value + half
        return Interval(self.value, np.minimum(self.low, low), np.maximum(self.high, high))

    def clipped(self, low: float, high: float = np.inf) -> Interval:
        """Every number clipped to the range of the quantity."""
        return Interval(*(np.clip(part, low, high) for part in self))

    def scaled(self, factor: float) -> Interval:
        """Value and ends times a positive factor."""
        return Interval(*(part * factor for part in self))


def mean(units: Array, *, level: float = LEVEL) -> Interval:
    """Mean of units `[..., U]` with its t interval on U - 1 degrees of freedom."""
    value = units.mean(-1)
    half = _t(units.shape[-1], level) * _standard_error(units)
    return Interval(value, value - half, value + half)


@dataclass(frozen=True, kw_only=True)
class BatchMeans:
    """Units of one estimation, centered near the mean of the draws, so that a small variance loses no digits.

    Args:
        squares: mean of |g - centre|^2 over each unit, `[..., U]`.
        means: mean of g - centre over each unit, `[..., U, D]`.
        offset: centre - truth, `[..., D]`.
        draws: number of draws in a unit.
    """

    squares: Array
    means: Array
    offset: Array
    draws: int

    @property
    def n(self) -> int:
        """Number of draws."""
        return self.squares.shape[-1] * self.draws

    @cached_property
    def mean(self) -> Array:
        """Mean of g - centre, `[..., D]`."""
        return self.means.mean(-2)

    @cached_property
    def gap(self) -> Array:
        """Mean of g - truth, `[..., D]`."""
        return self.mean + self.offset

    @cached_property
    def errors(self) -> Array:
        """Mean of |g - truth|^2 over each unit, `[..., U]`: the plain means whose mean is the mse."""
        cross = np.einsum("...ud,...d->...u", self.means, self.offset)
        return np.maximum(self.squares + 2 * cross + np.square(self.offset).sum(-1)[..., None], 0)

    @cached_property
    def variance(self) -> Array:
        """V, the trace of the unbiased sample covariance, `[...]`."""
        total = self.squares.mean(-1) - np.square(self.mean).sum(-1)
        return np.maximum(total, 0) * self.n / (self.n - 1)

    @cached_property
    def freedom(self) -> Array:
        """Degrees of freedom nu = V^2 / tr(S^2), between 1 and D, `[...]`."""
        units, dimension = self.means.shape[-2:]
        if dimension == 1:
            return np.ones_like(self.variance)
        x = self.means - self.mean[..., None, :]
        gram = np.einsum("...ud,...vd->...uv", x, x)
        trace, free = np.trace(gram, axis1=-2, axis2=-1), units - 1
        # Unbiased for tr(S^2) of normal units; V is known far better from the draws than from the units.
        squared = (np.square(gram).sum((-2, -1)) - np.square(trace) / free) / max((free - 1) * (free + 2), 1)
        squared = squared * self.draws**2
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.square(self.variance) / squared
        return np.clip(np.where(squared > 0, freedom, dimension), 1, dimension)

    @cached_property
    def along(self) -> Array:
        """Component of the unit means along the gap, times its length, `[..., U]`."""
        return np.einsum("...ud,...d->...u", self.means, self.gap)

    @cached_property
    def facing(self) -> Array:
        """Degrees of freedom for the gap: nu, or fewer if the gap lies along a direction of large variance."""
        square = np.square(self.gap).sum(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = self.variance / self.n * square / np.square(_standard_error(self.along))
        return np.where(np.isfinite(seen), np.clip(seen, 1, self.freedom), self.freedom)

    @cached_property
    def chi_square(self) -> Array:
        """|mean - truth|^2 in units of V / (N nu): noncentral chi-square with nu (`facing`) degrees of freedom."""
        square, scale = np.square(self.gap).sum(-1), self.variance / (self.n * self.facing)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(scale > 0, square / scale, np.where(square > 0, np.inf, 0))

    @cached_property
    def clear(self) -> Array:
        """Whether the bias is clearly nonzero, `[...]`."""
        return special.chdtrc(self.facing, self.chi_square) < CLEAR


def mse(units: BatchMeans) -> Interval:
    """E|g - truth|^2, a plain mean over units."""
    return mean(units.errors).clipped(0)


def variance(units: BatchMeans) -> Interval:
    """V = E|g - E g|^2 = mse - |bias|^2.

    The first-order error is that of the mean of |g - c|^2 over units, with c the truth, or the mean if the bias is
    clearly nonzero (about the mean, the squares of a statistic of kurtosis 1 would get a spurious spread). The
    second-order error, -V / N (chi-square / nu - 1), is combined with it in quadrature.
    """
    about_mean = (
        units.squares
        - 2 * np.einsum("...ud,...d->...u", units.means, units.mean)
        + np.square(units.mean).sum(-1)[..., None]
    )
    about = np.where(units.clear[..., None], about_mean, units.errors)
    first = _t(about.shape[-1]) * _standard_error(about)
    tail, scale, freedom = (1 - LEVEL) / 2, units.variance / units.n, units.freedom
    below = scale * (1 - special.chdtri(freedom, 1 - tail) / freedom)
    above = scale * (special.chdtri(freedom, tail) / freedom - 1)
    value = units.variance
    return Interval(value, value - np.hypot(first, below), value + np.hypot(first, above)).clipped(0)


def bias(units: BatchMeans) -> Interval:
    """|E g - truth|, debiased: sqrt(max(0, |mean - truth|^2 - V / N)).

    Near zero the interval inverts the noncentral chi-square; its lower end is then often 0, and only the upper end, a
    one-sided bound, is informative. A clear bias has the spread of its own direction: |mean - truth|^2 has variance
    4 b'S b / N + 2 tr(S^2) / N^2.
    """
    squared = np.square(units.gap).sum(-1)
    value = np.sqrt(np.maximum(squared - units.variance / units.n, 0))
    near = _near_zero(units)
    second = 2 * np.square(units.variance / units.n) / units.freedom
    # With b estimated by the gap, 4 b'S b / N is too large by twice the second-order term.
    spread = np.maximum(4 * np.square(_standard_error(units.along)) - second, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = _t(units.squares.shape[-1]) * np.sqrt(spread) / (2 * value)
    half = np.where(value > 0, half, 0)
    low = np.where(units.clear, value - half, near[0])
    high = np.where(units.clear, value + half, near[1])
    return Interval(value, low, high).clipped(0)


def cosine(units: BatchMeans, truth: Array) -> Interval:
    """Cosine of the angle between E g and the truth `[D]`.

    With a the component of E g along the truth and p the length of the rest, it is a / sqrt(a^2 + p^2). The ends join
    those of a (a t interval) and of p (as a bias), because at a cosine of 1, which every unbiased estimator has,
    the error is quadratic.
    """
    length = np.linalg.norm(truth)
    unit = truth / length
    along = np.einsum("...ud,d->...u", units.means, unit)
    offset = units.offset @ unit
    a = mean(along + offset[..., None] + length)
    rest = units.means - along[..., None] * unit
    # The component orthogonal to the truth is known by its unit means only, so these stand for the draws.
    across = BatchMeans(
        squares=np.square(rest).sum(-1), means=rest, offset=units.offset - offset[..., None] * unit, draws=1
    )
    p = bias(across) if truth.shape[-1] > 1 else Interval(*(np.zeros_like(part) for part in a))
    near, far = (p.low, p.high), (p.high, p.low)
    low = _ratio(a.low, np.where(a.low > 0, far[0], near[0]))
    high = _ratio(a.high, np.where(a.high > 0, far[1], near[1]))
    return Interval(_ratio(a.value, p.value), low, high).clipped(-1, 1)


def share(total: Array, squares: Array, largest: Array, n: int) -> Array:
    """Largest draw's share of the sum of squared deviations, from sum, sum of squares and largest of n values."""
    centre = total / n
    spread = squares - n * np.square(centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.square(largest - centre) / spread
    return np.where(spread > 0, part, 0)


def _near_zero(units: BatchMeans) -> tuple[Array, Array]:
    """Ends of |b| by inverting the noncentral chi-square.

    A mean nearer to the truth than the median of an unbiased estimator is luck: the upper end stays that of the median,
    or it would be 0 in one of forty estimations (a power-constrained limit).
    """
    tail, freedom = (1 - LEVEL) / 2, units.facing
    statistic = np.where(units.clear, 0, units.chi_square)
    low = _noncentrality(1 - tail, freedom, statistic)
    high = _noncentrality(tail, freedom, np.maximum(statistic, special.chdtri(freedom, 0.5)))
    scale = units.variance / (units.n * freedom)
    return np.sqrt(low * scale), np.sqrt(high * scale)


def _noncentrality(probability: float, freedom: Array, statistic: Array) -> Array:
    """Noncentrality at which a noncentral chi-square stays below the statistic with this probability, or 0."""
    low = np.zeros_like(statistic)
    # The distribution has mean nu + lambda and variance 2 nu + 4 lambda: six deviations beyond the statistic.
    high = statistic + 36 + 6 * np.sqrt(2 * freedom + 4 * statistic + 144)
    for _ in range(60):
        middle = (low + high) / 2
        inside = special.chndtr(statistic, freedom, middle) > probability
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(special.chndtr(statistic, freedom, 0.0) > probability, low, 0)


def _ratio(a: Array, p: Array) -> Array:
    length = np.hypot(a, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(length > 0, a / length, 0)


def _standard_error(units: Array) -> Array:
    return units.std(-1, ddof=1) / np.sqrt(units.shape[-1])


def _t(units: int, level: float = LEVEL) -> float:
    return float(special.stdtrit(units - 1, (1 + level) / 2))
