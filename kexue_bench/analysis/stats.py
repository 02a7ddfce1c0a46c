"""Statistics: pure functions from independent units to intervals, tests and verdicts.

The independent unit is a batch mean of common random numbers (sampling), a replicate (training) or a process (time);
inner repetitions are never pooled, since with half of the variance between processes a pooled t test at a nominal 5 %
is wrong in 17 % of the cases. Positive quantities are compared on the log scale, so a contrast of 0 is a ratio of 1.
Nothing here reads a clock, a file or a random stream; the resamples of the bootstrap are
constants. scipy.special is imported on first use.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..api import Direction

Verdict = Literal["better", "worse", "equivalent", "undecided", "untestable", "baseline", ""]
Correction = Literal["holm", "bh", "none"]
Floats = NDArray[np.float64]

ROUNDING = 8.0
"""An interval is never narrower than this many machine epsilons, relative to the value."""
RESAMPLES = 1999
"""Resamples of a bootstrap: 50 lie outside each end of a 95 % interval."""
LOOK = 32
"""Units that one look of the dyadic ledger adds."""
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


# -- distributions ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t with `df` degrees of freedom; the normal quantile for `df = inf`."""
    from scipy.special import ndtri, stdtrit

    return float(ndtri(probability) if math.isinf(df) else stdtrit(df, probability))


def t_tail(statistic: float, df: float) -> float:
    """Two-sided p-value of a t statistic."""
    from scipy.special import ndtr, stdtr

    tail = -abs(statistic)
    return 2.0 * float(ndtr(tail) if math.isinf(df) else stdtr(df, tail))


# -- contrasts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A difference between two sides, on the log scale (ratios) or the linear one, with its standard error.

    Args:
        value: the difference; for ratios the log of (method over baseline).
        se: standard error; 0 where both sides are exact.
        df: degrees of freedom of `se`.
        floor: smallest half-width of the interval, from rounding alone.
        n: independent units behind it.
        paired: whether the units were paired one by one.
        gain: variance of the unpaired contrast over that of this one; 1 if nothing was paired.
        bootstrap: 95 % interval by `bootstrap_t`, for processes and seeds; reported beside the t interval, not used
            for verdicts.
        shown: the same comparison on the scale that is printed, to which the margin refers, if it is tested on another.
        also: the same comparison on a further scale, where a difference must lie inside the margin too: losses near 1
            look alike where the shares that they leave do not.
        ends: the interval itself, where there is no standard error: a side is known up to rounding only, or the
            interval is exact.
        exact_p: p-value of an exact test; None: that of the t test, or of the ends.
    """

    value: float
    se: float
    df: float = math.inf
    floor: float = 0.0
    n: int = 1
    paired: bool = False
    gain: float = 1.0
    bootstrap: tuple[float, float] | None = None
    shown: Contrast | None = None
    also: Contrast | None = None
    ends: tuple[float, float] | None = None
    exact_p: float | None = None

    def reversed(self) -> Contrast:
        """The same comparison from the other side."""
        shown, also = (other.reversed() if other is not None else None for other in (self.shown, self.also))
        return replace(
            self, value=-self.value, bootstrap=_turned(self.bootstrap), ends=_turned(self.ends), shown=shown, also=also
        )

    @property
    def printed(self) -> Contrast:
        """The comparison on the scale that is printed."""
        return self.shown if self.shown is not None else self

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference; 0 or 1 if neither side has any spread (an identity, not a test)."""
        if self.exact_p is not None:
            return self.exact_p
        if self.ends is not None:
            return 1.0 if self.ends[0] <= 0 <= self.ends[1] else 0.0
        if abs(self.value) <= self.floor:
            return 1.0
        return t_tail(self.value / self.se, self.df) if self.se > 0 else 0.0

    def equivalence_p(self, margin: float) -> float:
        """p-value of a difference as large as the margin: 1 minus the confidence of the interval that just fits.

        Twice the larger of the two one-sided p-values (Schuirmann 1987), so that it is below 5 % exactly if the printed
        95 % interval lies inside the margin; 0 or 1 if neither side has any spread. Differences within rounding are
        inside any margin.
        """
        if self.shown is not None:
            others = [other for other in (self.shown, self.also) if other is not None]
            return max(other.equivalence_p(margin) for other in others)
        low, high = self.interval()
        if self.se <= 0 or not math.isfinite(self.value):
            return 0.0 if abs(self.value) <= self.floor or (-margin <= low and high <= margin) else 1.0
        room = max(margin, self.floor) - abs(self.value)
        if room <= 0 or self.floor > room:
            return 1.0
        return t_tail(room / self.se, self.df)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Two-sided t interval, never narrower than `floor` on either side; `ends` where these are known."""
        if self.ends is not None:
            return self.ends
        if not math.isfinite(self.value):
            return self.value, self.value
        half = t_quantile(0.5 + confidence / 2, self.df) * self.se if self.se > 0 else 0.0
        half = max(half, self.floor)
        return self.value - half, self.value + half


def _turned(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    """An interval seen from the other side."""
    return (-ends[1], -ends[0]) if ends is not None else None


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of an unpaired comparison: a value with its standard error on the scale of the comparison."""

    value: float
    se: float = 0.0
    df: float = math.inf
    floor: float = 0.0


def mean_contrast(units: ArrayLike, *, floor: float = 0.0, paired: bool = False, gain: float = 1.0) -> Contrast:
    """The mean of independent units with its t interval.

    Args:
        units: [n], n >= 2.

    Raises:
        ValueError: fewer than two units.
    """
    x = np.asarray(units, dtype=np.float64)
    if x.size < 2:
        raise ValueError(f"an interval needs at least 2 units, got {x.size}")
    se = float(x.std(ddof=1)) / math.sqrt(x.size)
    return Contrast(value=float(x.mean()), se=se, df=x.size - 1.0, floor=floor, n=int(x.size), paired=paired, gain=gain)


def fold(series: Sequence[float], length: int | None = None) -> Floats:
    """Fold the first `length` units of a dyadic series into equal units, each the size of the last one.

    Unit `i` of a dyadic series is the mean of `2^max(i // 32 - 1, 0)` batches, so a whole number of looks folds into 64
    equal units (32 after the first look), and a prefix of one series is exactly what a shorter run would have kept.

    Returns:
        means of equal numbers of batches, [m] with m <= 64.
    """
    values = np.asarray(series[:length], dtype=np.float64)
    while values.size > 2 * LOOK:
        head = values[: 2 * LOOK].reshape(LOOK, 2).mean(axis=1)
        values = np.concatenate([head, values[2 * LOOK :]])
    return values


def paired_ratio(a: ArrayLike, b: ArrayLike, *, floor: float = 0.0) -> Contrast:
    """Log of mean(a) / mean(b) from index-aligned non-negative units, by the delta method.

    With d_i = a_i / mean(a) - b_i / mean(b) the standard error is sd(d) / sqrt(n): the first-order term of the log of a
    ratio of means, which (unlike a mean of log ratios) is not moved by the skewness of the units.

    Args:
        a: units of the method, [n].
        b: units of the baseline, [n], aligned with `a`.

    Raises:
        ValueError: fewer than two units, unequal lengths, or a mean that is not positive.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape or x.size < 2:
        raise ValueError(f"paired units need equal lengths of at least 2, got {x.size} and {y.size}")
    mean_x, mean_y = float(x.mean()), float(y.mean())
    if not (mean_x > 0 and mean_y > 0):
        raise ValueError(f"a ratio needs positive means, got {mean_x} and {mean_y}")
    # Relative deviations have mean 0, so that their squares are their variances.
    u, v = x / mean_x - 1, y / mean_y - 1
    free = x.size - 1
    variance = float((u - v) @ (u - v)) / free
    unpaired = float(u @ u + v @ v) / free
    return Contrast(
        value=math.log(mean_x) - math.log(mean_y),
        se=math.sqrt(variance / x.size),
        df=x.size - 1.0,
        floor=floor,
        n=int(x.size),
        paired=True,
        gain=unpaired / variance if variance > 0 else 1.0,
    )


def paired_difference(a: ArrayLike, b: ArrayLike, *, floor: float = 0.0) -> Contrast:
    """Mean of a - b from index-aligned units (replicates, logs of seconds) with the t interval of the differences."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"paired units need equal lengths, got {x.size} and {y.size}")
    difference = mean_contrast(x - y, floor=floor, paired=True)
    paired = difference.se**2 * x.size
    unpaired = float(x.var(ddof=1) + y.var(ddof=1))
    gain = unpaired / paired if paired > 0 else 1.0
    return replace(difference, gain=gain)


def unpaired(a: Side, b: Side) -> Contrast:
    """Welch's contrast of two independent sides: variances add, degrees of freedom by Satterthwaite."""
    va, vb = a.se**2, b.se**2
    total = va + vb
    df = math.inf
    if total > 0:
        parts = va**2 / a.df + vb**2 / b.df
        df = total**2 / parts if parts > 0 else math.inf
    n = int(min(a.df, b.df)) + 1 if math.isfinite(min(a.df, b.df)) else 1
    return Contrast(value=a.value - b.value, se=math.sqrt(total), df=df, floor=max(a.floor, b.floor), n=n)


def add(a: Contrast, b: Contrast) -> Contrast:
    """Sum of two independent contrasts: the log ratio of a product (mse x time) from those of its factors."""
    plus = unpaired(
        Side(value=a.value, se=a.se, df=a.df, floor=a.floor), Side(value=-b.value, se=b.se, df=b.df, floor=b.floor)
    )
    return replace(plus, n=min(a.n, b.n), paired=a.paired and b.paired)


def log_side(value: float, low: float, high: float, *, units: float, floor: float = 0.0) -> Side:
    """A side of a ratio from a printed 95 % interval with positive ends: the standard error on the log scale.

    Args:
        units: independent units behind the interval; `units - 1` degrees of freedom.
    """
    df = max(units - 1.0, 1.0)
    return Side(value=math.log(value), se=math.log(high / low) / (2 * t_quantile(0.975, df)), df=df, floor=floor)


def geometric_mean(ratios: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Geometric mean of positive ratios over tasks with the t interval over tasks; no interval for a single task.

    Raises:
        ValueError: no ratio, or one that is not positive and finite.
    """
    if not ratios or not all(0 < r < math.inf for r in ratios):
        raise ValueError(f"a geometric mean needs positive finite ratios, got {list(ratios)}")
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    if logs.size < 2:
        return float(ratios[0]), None, None
    contrast = mean_contrast(logs)
    low, high = contrast.interval()
    return math.exp(contrast.value), math.exp(low), math.exp(high)


# -- bootstrap over processes -----------------------------------------------------------------------------------------


def bootstrap_t(units: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float]:
    """Studentised bootstrap interval of a mean (Efron and Tibshirani 1993, section 12.5) over few independent units.

    Units are drawn with replacement `RESAMPLES` times, the same draws for every set of as many units, so that a stored
    run always reads alike; t* = (mean* - mean) / se*, and the interval is mean - t*_{.975} se ... mean - t*_{.025} se.

    Args:
        units: [n], n >= 2.

    Raises:
        ValueError: fewer than two units.
    """
    x = np.asarray(units, dtype=np.float64)
    if x.size < 2:
        raise ValueError(f"a bootstrap needs at least 2 units, got {x.size}")
    mean, se = float(x.mean()), float(x.std(ddof=1)) / math.sqrt(x.size)
    if se == 0:
        return mean, mean
    share = _resamples(x.size)
    deviation = x - mean
    shift = share @ deviation
    spread = np.sqrt(np.maximum(share @ deviation**2 - shift**2, 0) / (x.size - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        # A resample of one unit only has no spread: it lies infinitely far out, on the side of its mean.
        t = np.where(spread > 1e-12 * se, shift / spread, np.sign(shift) * np.inf)
    low, high = np.quantile(t, [0.5 - confidence / 2, 0.5 + confidence / 2], method="higher")
    return mean - float(high) * se, mean - float(low) * se


@lru_cache(maxsize=64)
def _resamples(n: int) -> Floats:
    """Share of each of n units in each resample, `[RESAMPLES, n]`; the draws depend on n alone."""
    return np.random.default_rng(n).multinomial(n, np.full(n, 1 / n), RESAMPLES) / n


# -- many tests -------------------------------------------------------------------------------------------------------


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values (1979): family-wise error control under any dependence."""
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    scaled = raw[order] * np.arange(raw.size, 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Benjamini and Hochberg's step-up adjusted p-values (1995): control of the false discovery rate."""
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw, kind="stable")[::-1]
    scaled = raw[order] * raw.size / np.arange(raw.size, 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return adjusted


def adjust(p: ArrayLike, correction: Correction) -> Floats:
    """Adjusted p-values under `holm`, `bh` or `none`."""
    if correction == "holm":
        return holm(p)
    if correction == "bh":
        return benjamini_hochberg(p)
    return np.asarray(p, dtype=np.float64)


# -- decisions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The rule that turns a contrast into a verdict.

    Args:
        margin: half-width, on the scale of the contrast, inside which a difference does not matter.
        alpha: level that the adjusted p-value must stay below.
        direction: which side is better.
        gate: differences up to this size are never called better or worse (twice the offset of the A/A control).
    """

    margin: float
    alpha: float = 0.05
    direction: Direction = "lower"
    gate: float = 0.0


def decide(contrast: Contrast | None, adjusted: float, equivalence: float, rule: Rule) -> Verdict:
    """The verdict on a contrast, in fixed order: untestable, equivalent, better or worse, undecided.

    A difference that is certain but too small to matter is `equivalent`; one whose interval lies inside the margin
    while the corrected test of equivalence does not reject is `undecided`, and never a win.

    Args:
        contrast: None if one side has fewer than two units and is not exact, or the set is incomplete.
        adjusted: its p-value after the correction for many tests.
        equivalence: p-value of its test of equivalence, corrected among the tests of equivalence.
    """
    if contrast is None or math.isnan(contrast.value):
        return "untestable"
    if contrast.equivalence_p(rule.margin) < 0.05:
        return "equivalent" if equivalence < rule.alpha else "undecided"
    if rule.direction == "target" or not adjusted < rule.alpha or abs(contrast.value) <= rule.gate:
        return "undecided"
    return "better" if (contrast.value < 0) == (rule.direction == "lower") else "worse"


def detectable(contrast: Contrast, rule: Rule, *, tests: int, power: float = 0.9) -> float:
    """The smallest difference that this run would have called better or worse with probability `power`.

    A difference is found when three things hold: its p-value stays below alpha / tests (the first step of Holm), its
    interval reaches out of the margin, and it exceeds the gate. With the estimated standard error s each holds with
    probability `power` at (t_crit + t_power) s, margin - (t_.975 - t_power) s and gate + t_power s, where t_power is
    the quantile of Student's t: exact for normal units, since the estimate's error over s is t distributed. All three
    are lower limits on the same estimate, so the largest of them is the answer.
    """
    if contrast.se <= 0:
        return max(rule.margin, rule.gate, contrast.floor)
    reach = t_quantile(power, contrast.df)
    critical = t_quantile(1 - rule.alpha / (2 * max(tests, 1)), contrast.df)
    outside = rule.margin - (t_quantile(0.975, contrast.df) - reach) * contrast.se
    return max((critical + reach) * contrast.se, outside, rule.gate + reach * contrast.se if rule.gate else 0.0)


def letters(count: int, different: Collection[tuple[int, int]]) -> tuple[str, ...]:
    """Compact letter display: two rows share a letter exactly if they are not in `different`.

    Insert and absorb (Piepho 2004): begin with one group of all rows; each differing pair splits every group that holds
    both; groups inside other groups are absorbed.

    Args:
        count: number of rows, in printed order.
        different: pairs of row indices that were distinguished.
    """
    groups: list[frozenset[int]] = [frozenset(range(count))] if count else []
    for i, j in sorted({(min(pair), max(pair)) for pair in different}):
        split: set[frozenset[int]] = set()
        for group in groups:
            split |= {group - {i}, group - {j}} if i in group and j in group else {group}
        groups = [g for g in split if not any(g < other for other in split)]
    groups.sort(key=sorted)
    names: Mapping[frozenset[int], str] = {
        group: _LETTERS[k] if k < len(_LETTERS) else f"({k})" for k, group in enumerate(groups)
    }
    return tuple("".join(names[group] for group in groups if row in group) for row in range(count))
