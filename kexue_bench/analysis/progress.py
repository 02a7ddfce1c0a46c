"""What the mean of n draws of an estimator is worth: pure functions of the moments of its draws.

Let G be the mean of n draws, m its expectation, V the trace of the covariance of one draw, g the truth, e = g / |g|.

`progress`: min over c >= 0 of E|c G - g|^2 / |g|^2 = 1 - s^2 / (1 + s^2) for s > 0, else 1, with
s = m.e / sqrt(|m|^2 - (m.e)^2 + V / n). For a function whose gradient has the Lipschitz constant K, s^2 / (1 + s^2) is
also the share of the decrease that a step along the exact gradient guarantees, |g|^2 / 2K, that a step along G
guarantees, each with its own best step. It ignores the length of the estimate: rescaling changes nothing. One c serves
all draws, as a learning rate does, so it is not an expected cosine. Unbiased estimators are ordered by V times cost.

`own_scale`: 1 - C (2 m.g - |m|^2) / |g|^2 with C = |m|^2 / (|m|^2 + V / n): the estimate is shrunk by its own noise
only and not by knowledge of g, so that a wrong length costs. Both are equal for an unbiased estimator, and 1 for zero.

`error`: root of E|G - g|^2 = |m - g|^2 + V / n, for estimates that no optimizer rescales: a bias stays, noise averages.

Intervals and comparisons treat units as independent. |m|^2 is debiased by V / N; the error of that correction, which no
influence of a unit shows, is V / N times a chi-square of `freedom` degrees of freedom, divided by it (Satterthwaite).

Where g is a reference, the exact truth lies anywhere within `Moments.error` of it. The farthest that this moves a score
is added to the half-width of its interval, and of a difference once for each side: as much as a reference in the same
place for all methods could do, and more than it usually does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np

from ..api import Moments
from . import stats
from .references import length_shift, own_shift, score_shift, square_shift
from .stats import Contrast, Floats

SHORT = 64
"""With fewer than this many measured draws for each draw averaged, an interval is flagged `short`."""
_LEAST_PAIRS = 8
"""Fewer common units say nothing of a covariance; the sides then count as independent."""
_EPS = 2.0**-52
_CLEAR = 4.0
"""Standard errors from 0 beyond which the logarithm of a loss is nearly linear in the score."""
_Z = 1.959963984540054
"""Standard errors in the 95 % half-width of what is normal."""
_CANCELLED = 64
"""Terms that cancel inside a method are rounded at their own size: its result may be off by this many roundings."""
_BIASED = 1e-4
"""A bias is clear if an unbiased estimator would show as large a gap with at most this probability."""

Kind = Literal["progress", "own-scale", "error"]


@dataclass(frozen=True, kw_only=True)
class Worth:
    """One loss of a method at one budget.

    Args:
        loss: its value.
        low: lower end of its 95 % interval.
        score: what is compared: s (`progress`; higher is better), the loss itself (`own-scale`), its square (`error`).
        influence: first-order effect of each unit on the score, with mean 0, `[U]`; empty if known exactly.
        extra: variance of the score beyond that of the mean influence.
        slope: derivative of the log of the loss with respect to the score.
        floor: error of the score from rounding alone.
        shift: farthest that the error of a reference may have moved the score, with 95 % confidence.
        draws: number of draws behind it; 1 if known exactly.
        short: whether the draws are few for the number averaged.
        silent: whether no draw differed from 0, although the method is not known to be exact.
        constant: whether all draws were equal, and not equal to the truth.
        forward: whether the mean has a positive component along the truth.
        repeats: independent repetitions that it is the mean of.
    """

    kind: Kind
    loss: float
    low: float
    high: float
    score: float
    influence: Floats
    extra: float
    slope: float
    floor: float
    draws: int
    short: bool = False
    silent: bool = False
    constant: bool = False
    forward: bool = True
    repeats: int = 1
    shift: float = 0.0

    @property
    def sense(self) -> int:
        """1 if a lower score is better, -1 if a higher one is."""
        return -1 if self.kind == "progress" else 1

    @property
    def exact(self) -> bool:
        """Whether it is known without sampling error."""
        return not self.influence.size and not self.shift

    @property
    def astray(self) -> bool:
        """Whether the draws are no gradient's: no component along the truth, or the same wrong value always."""
        return self.constant or not self.forward

    @property
    def deviation(self) -> float:
        """Standard error of the score."""
        return math.sqrt(_mean_variance(self.influence) + self.extra)

    @property
    def clear(self) -> bool:
        """Whether the log of the loss is nearly linear over the interval of the score."""
        return abs(self.score) > _CLEAR * (self.deviation + self.shift / _Z)


@dataclass(frozen=True, kw_only=True)
class _Summary:
    """Means over units, debiased.

    Args:
        along: m.e.
        across: |m|^2 - (m.e)^2.
        variance: V.
        noise: variance of `along`.
        second: second-order variance of `across`.
        beside: whether the mean can lie beside the truth.
    """

    units: int
    draws: int
    along: float
    across: float
    variance: float
    noise: float
    second: float
    beside: bool


def _summary(moments: Moments) -> _Summary:
    along, units = np.asarray(moments.along), len(moments.along)
    draws = units * moments.draws
    # About a truth of zero nothing lies along it, and `across` holds the whole mean.
    beside = moments.dimension > 1 or moments.norm == 0
    across = float(np.mean(moments.across)) if beside else 0.0
    if units == 1:
        # Known exactly: the variance is 0 for a deterministic method, and that of a draw for enumerated moments.
        return _Summary(
            units=1,
            draws=1,
            along=float(along[0]),
            across=across,
            variance=moments.spread[0],
            noise=0.0,
            second=0.0,
            beside=beside,
        )
    variance = float(np.mean(moments.spread)) * draws / (draws - 1)
    mean = variance / draws
    noise = min(float(along.var(ddof=1)) / units, mean) if beside else mean
    return _Summary(
        units=units,
        draws=draws,
        along=float(along.mean()),
        # Unbiased, and so not clipped at 0.
        across=across - (mean - noise),
        variance=variance,
        noise=noise,
        second=2 * mean**2 / moments.freedom if beside else 0.0,
        beside=beside,
    )


def progress(moments: Moments, n: float) -> Worth:
    """The loss of the mean of n draws with its own best step.

    Args:
        moments: of draws whose truth is not zero.
        n: draws averaged, > 0; below 1 if a draw costs more than the budget.
    """
    m, rounding = _summary(moments), moments.resolution
    square = max(m.across + m.variance / n, m.variance / (4 * n), rounding**2)
    root = math.sqrt(square)
    score = m.along / root if root > 0 else 0.0
    influence, extra = np.zeros(m.units if m.units > 1 else 0), 0.0
    if m.units > 1 and root > 0:
        pull = score / (2 * square)
        change = np.asarray(moments.spread) / n
        if m.beside:
            change = change + 2 * np.asarray(moments.across)
        influence = np.asarray(moments.along) / root - pull * change
        influence = influence - influence.mean()
        extra = pull**2 * m.second
    floor = stats.ROUNDING * _EPS * abs(score) + (rounding / root if root > 0 else 0.0)
    found = _worth("progress", moments, m, n, score=score, influence=influence, extra=extra, floor=floor)
    # On a line the direction is certain.
    if moments.error and (m.beside or moments.error >= moments.norm):
        least = max(m.variance / (4 * n), rounding**2)
        at = (m.along, m.across, m.variance / n)
        found = replace(found, shift=score_shift(*at, norm=moments.norm, error=moments.error, least=least))
    return _measured(found)


def own_scale(moments: Moments, n: float) -> Worth:
    """The loss of the mean of n draws, shrunk by its own noise only.

    The interval is the range of the loss over the ellipsoid of means that lie within a t quantile of standard errors:
    for a linear function the delta method's, and valid also where the loss is flat or turns.

    Args:
        moments: of draws whose truth is not zero.
        n: draws averaged, > 0.
    """
    m, norm = _summary(moments), moments.norm
    centre = np.array([m.along / norm, m.across / norm**2, m.variance / n / norm**2])
    offset = m.noise / norm**2
    loss = float(_own_loss(centre, offset))
    floor = stats.ROUNDING * _EPS * abs(loss) + moments.resolution / norm * (
        moments.resolution / norm + 2 * math.sqrt(abs(loss))
    )
    square = max(m.along**2 - m.noise + m.across, 0.0)
    shift = own_shift(m.along, square, m.variance / n, norm=norm, error=moments.error) if moments.error else 0.0
    if m.units == 1:
        found = _worth("own-scale", moments, m, n, score=loss, influence=np.empty(0), extra=0.0, floor=floor)
        return _measured(replace(found, shift=shift))
    across = 2 * np.asarray(moments.across) / norm**2 if m.beside else np.zeros(m.units)
    parts = np.stack([np.asarray(moments.along) / norm, across, np.asarray(moments.spread) / n / norm**2])
    slopes = _own_slopes(centre, offset)
    influence = slopes @ (parts - parts.mean(1, keepdims=True))
    covariance = np.cov(parts) / m.units
    covariance[1, 1] += m.second / norm**4
    t = _t(m.units)
    low, high = _range(centre, covariance, slopes, t, offset)
    # A curved loss has a wider range than its tangent: what is missing counts as variance.
    wide = max((max(high - loss, loss - low) / t) ** 2, float(slopes @ covariance @ slopes))
    extra = max(wide - _mean_variance(influence), 0.0)
    found = _worth("own-scale", moments, m, n, score=loss, influence=influence, extra=extra, floor=floor)
    low, high = min(low, loss - found.floor) - shift, max(high, loss + found.floor) + shift
    return replace(found, low=max(low, 0.0), high=high, shift=shift)


def error(moments: Moments, n: float) -> Worth:
    """Root mean square error of the mean of n draws.

    Args:
        moments: of any draws.
        n: draws averaged, > 0.
    """
    m = _summary(moments)
    gap = m.along - moments.norm
    square = max(gap**2 - m.noise + m.across + m.variance / n, m.variance / (4 * n), 0.0)
    influence, extra = np.empty(0), 0.0
    if m.units > 1:
        influence = 2 * gap * np.asarray(moments.along) + np.asarray(moments.spread) / n
        if m.beside:
            influence = influence + 2 * np.asarray(moments.across)
        influence = influence - influence.mean()
        extra = 2 * (m.variance / m.draws) ** 2 / moments.freedom
    rounding = moments.resolution
    floor = stats.ROUNDING * _EPS * square + rounding * (rounding + 2 * math.sqrt(square))
    found = _worth("error", moments, m, n, score=square, influence=influence, extra=extra, floor=floor)
    shift = square_shift(math.sqrt(max(gap**2 - m.noise + m.across, 0.0)), error=moments.error)
    # Without a direction nothing is astray, and a wrong constant has its error.
    return _measured(replace(found, silent=False, constant=False, forward=True, shift=shift))


def pooled(worths: Sequence[Worth]) -> Worth:
    """The mean over independent repetitions of one estimation."""
    first, count = worths[0], len(worths)
    if count == 1:
        return first
    mean = replace(
        first,
        score=math.fsum(one.score for one in worths) / count,
        influence=np.concatenate([one.influence for one in worths]),
        extra=math.fsum(one.extra for one in worths) / count**2,
        floor=max(one.floor for one in worths),
        shift=max(one.shift for one in worths),
        draws=sum(one.draws for one in worths),
        short=any(one.short for one in worths),
        silent=all(one.silent for one in worths),
        constant=all(one.constant for one in worths),
        forward=sum(one.forward for one in worths) * 2 > count,
        repeats=count,
    )
    return _measured(mean)


def length(moments: Moments) -> tuple[float, float, float]:
    """m.g / |g|^2 with its 95 % interval: 1 for the length of an unbiased estimator, 0.5 for half of it."""
    along = np.asarray(moments.along) / moments.norm
    value = float(along.mean())
    half = max(_t(along.size) * math.sqrt(_mean_variance(along)), moments.resolution / moments.norm)
    if moments.error:
        m = _summary(moments)
        size = math.hypot(m.along, math.sqrt(max(m.across, 0.0)))
        half += length_shift(m.along, size, norm=moments.norm, error=moments.error)
    return value, value - half, value + half


def clearly_biased(moments: Moments) -> bool:
    """Whether the mean is farther from the truth than that of an unbiased estimator in one of 10,000 runs."""
    from scipy.special import chdtrc

    m = _summary(moments)
    square = (m.along - moments.norm) ** 2 + (float(np.mean(moments.across)) if m.beside else 0.0)
    square = max(math.sqrt(max(square, 0.0)) - moments.error, 0.0) ** 2
    if square <= (_CANCELLED * moments.resolution) ** 2:
        return False
    scale = m.variance / m.draws / moments.freedom
    return scale == 0 or float(chdtrc(moments.freedom, square / scale)) < _BIASED


def difference(a: Worth, b: Worth) -> Contrast:
    """Compare two methods on one task at one budget: below 0 if the first is better.

    The test is on the difference of scores, unit by unit where the streams are common. Its interval on the scale of the
    margin, `shown`, is that of the log of the ratio of losses: from the same units where that is nearly linear in both
    scores, else from the two intervals. `also` is the same for the shares, 1 minus the losses: where both are close to
    0, losses are equal within any margin though one budget buys a hundred times the other's progress.
    """
    value, floor = a.sense * (a.score - b.score), max(a.floor, b.floor)
    if a.silent or b.silent:
        return Contrast(value=value, se=math.inf, df=1.0, shown=Contrast(value=math.nan, se=math.inf))
    variance, df, n, paired, apart = _paired(a, b)
    if paired and abs(value) <= floor and variance <= floor**2:
        # The same numbers, draw by draw: the second-order errors are the same too.
        return Contrast(value=value, se=0.0, df=df, floor=floor, n=n, paired=True, shown=Contrast(value=0.0, se=0.0))
    extra = a.extra + b.extra
    found = Contrast(
        value=value,
        se=math.sqrt(variance + extra) + (a.shift + b.shift) / _Z,
        df=df,
        floor=floor,
        n=n,
        paired=paired,
        gain=(apart + extra) / (variance + extra) if variance + extra > 0 else 1.0,
    )
    also = _ratio(a, b, found, shares=True) if a.kind != "error" else None
    return replace(found, shown=_ratio(a, b, found), also=also)


def _ratio(a: Worth, b: Worth, tested: Contrast, *, shares: bool = False) -> Contrast:
    """Log of the ratio of losses, or of the shares that they leave of 1."""
    (one, low_a, high_a, slope_a), (other, low_b, high_b, slope_b) = (
        (1 - side.loss, 1 - side.high, 1 - side.low, -side.slope * side.loss / max(1 - side.loss, _EPS))
        if shares
        else (side.loss, side.low, side.high, side.slope)
        for side in (a, b)
    )
    if not (one > 0 and other > 0):
        value = 0.0 if one == other else math.copysign(math.inf, one - other)
        return Contrast(value=value, se=0.0)
    value = math.log(one / other)
    if a.clear and b.clear:
        variance, df, *_ = _paired(a, b, slopes=(slope_a, slope_b))
        variance += slope_a**2 * a.extra + slope_b**2 * b.extra
        floor = abs(slope_a) * a.floor + abs(slope_b) * b.floor
        shift = (abs(slope_a) * a.shift + abs(slope_b) * b.shift) / _Z
        return replace(tested, value=value, se=math.sqrt(variance) + shift, df=df, floor=floor)
    ends = [math.log(x / y) if x > 0 and y > 0 else math.inf for x, y in ((high_a, low_b), (low_a, high_b))]
    half = max(abs(end - value) for end in ends)
    return replace(tested, value=value, se=half / stats.t_quantile(0.975, tested.df))


def _paired(a: Worth, b: Worth, *, slopes: tuple[float, float] = (1.0, 1.0)) -> tuple[float, float, int, bool, float]:
    """Variance of the difference of two mean influences: with its degrees of freedom, units, and unpaired variance.

    The shorter run is a prefix of the longer one, so that over the prefix influences are paired, and the rest of the
    longer run is independent of both.

    Args:
        slopes: derivatives of what is compared with respect to the scores.
    """
    x, y = (slope * side.influence for slope, side in zip(slopes, (a, b), strict=True))
    apart = _mean_variance(x) + _mean_variance(y)
    if x.size and y.size and (a.draws == b.draws or a.repeats == b.repeats == 1):
        if a.draws > b.draws:
            x, y = y, x
        times, rest = divmod(max(a.draws, b.draws), min(a.draws, b.draws))
        common = y.size // times
        if not rest and common >= _LEAST_PAIRS and y.size % times == 0 and x.size % common == 0:
            first = x.reshape(common, -1).mean(1) - y[:common] / times
            parts = [(_mean_variance(first), common - 1)]
            if times > 1:
                parts.append(((1 - 1 / times) ** 2 * _mean_variance(y[common:]), y.size - common - 1))
            variance, df = _welch(parts)
            return variance, df, min(x.size, y.size), True, apart
    variance, df = _welch([(_mean_variance(side), side.size - 1) for side in (x, y) if side.size])
    return variance, df, max(min(x.size, y.size), 1), False, apart


def _welch(parts: list[tuple[float, int]]) -> tuple[float, float]:
    """Sum of independent variances, and its degrees of freedom (Satterthwaite)."""
    total = math.fsum(variance for variance, _ in parts)
    weight = math.fsum(variance**2 / df for variance, df in parts if df > 0)
    if weight > 0:
        return total, total**2 / weight
    return total, float(min((df for _, df in parts), default=math.inf))


def _worth(
    kind: Kind, moments: Moments, m: _Summary, n: float, *, score: float, influence: Floats, extra: float, floor: float
) -> Worth:
    """A worth from its score, with what the draws say of themselves."""
    still = m.variance <= moments.resolution**2
    near = _CANCELLED * moments.resolution
    missed = abs(m.along - moments.norm) > near or m.across > near**2
    zero = m.along == 0 and m.across == 0 and m.variance == 0
    plain = Worth(
        kind=kind,
        loss=0.0,
        low=0.0,
        high=0.0,
        score=score,
        influence=influence,
        extra=extra,
        slope=0.0,
        floor=0.0 if zero else floor,
        draws=m.draws,
        short=m.units > 1 and n * SHORT > m.draws,
        silent=zero and m.units > 1,
        constant=still and missed,
        forward=m.along > 0,
    )
    return _measured(plain)


def _measured(worth: Worth) -> Worth:
    """The loss of a score, with the ends of its interval and its slope."""
    score, units = worth.score, worth.influence.size
    half = max(_t(units) * worth.deviation + worth.shift, worth.floor)
    ends = sorted((_loss_of(worth.kind, score - half), _loss_of(worth.kind, score + half)))
    loss = _loss_of(worth.kind, score)
    if worth.kind == "progress":
        slope = -2 * max(score, 0.0) * loss
    else:
        slope = (0.5 if worth.kind == "error" else 1.0) / score if score > 0 else 0.0
    return replace(worth, loss=loss, low=ends[0], high=ends[1], slope=slope)


def _loss_of(kind: Kind, score: float) -> float:
    if kind == "progress":
        return 1 / (1 + score**2) if score > 0 else 1.0
    return math.sqrt(max(score, 0.0)) if kind == "error" else max(score, 0.0)


def _own_loss(at: Floats, offset: float) -> Floats:
    """The loss at (m.g / |g|^2, rest of |m|^2 over |g|^2, V / n over |g|^2), `[3, ...]` -> `[...]`."""
    length, rest, noise = at
    noise = np.maximum(noise, 0)
    square = np.maximum(length**2 - offset + rest, 0)
    total = square + noise
    with np.errstate(divide="ignore", invalid="ignore"):
        shrunk = np.where(total > 0, square / total, 0)
    return 1 - shrunk * (2 * length - square)


def _own_slopes(at: Floats, offset: float) -> Floats:
    """Gradient of `_own_loss`, `[3]`."""
    length, rest, noise = map(float, at)
    square = max(length**2 - offset + rest, 0.0)
    total = square + noise
    if total <= 0:
        return np.zeros(3)
    gain = 2 * length - square
    shrunk = square / total
    by_square = shrunk - noise / total**2 * gain
    return np.array([2 * length * by_square - 2 * shrunk, by_square, square / total**2 * gain])


def _range(centre: Floats, covariance: Floats, slopes: Floats, t: float, offset: float) -> tuple[float, float]:
    """Smallest and largest loss over the ellipsoid of radius t."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    steepest = root.T @ slopes
    length = float(np.linalg.norm(steepest))
    directions = _directions()
    if length > 0:
        directions = np.concatenate([directions, np.stack([steepest, -steepest]) / length])
    points = np.concatenate([radius * t * directions for radius in (0.5, 1.0)])
    losses = _own_loss(centre[:, None] + root @ points.T, offset)
    return float(losses.min()), float(losses.max())


@lru_cache(maxsize=1)
def _directions() -> Floats:
    """Unit vectors spread evenly over a sphere (a Fibonacci lattice), `[128, 3]`."""
    i = np.arange(128) + 0.5
    height, angle = 1 - 2 * i / 128, math.pi * (1 + math.sqrt(5)) * i
    ring = np.sqrt(1 - height**2)
    return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), height])


def _mean_variance(units: Floats) -> float:
    return float(units.var(ddof=1)) / units.size if units.size > 1 else 0.0


def _t(units: int) -> float:
    return stats.t_quantile(0.975, units - 1) if units > 1 else 0.0
