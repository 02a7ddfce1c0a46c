"""Scores over seeds: shares of events, two populations, and remarkable tails.

A handful of trained replicates says little about the tail of their distribution. If a tenth of the seeds collapses,
ten seeds show no collapse in one of three tables, and no interval mends that. So a share has an exact interval, a
collapse that was seen is an event beside the mean of the other seeds, the interval of a mean allows for skewness, and a
table says which share of all seeds could behave otherwise unseen. docs/statistics.md has the measured coverage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..api import Direction
from . import stats
from .stats import Contrast, Floats

FEWEST = 4
"""Seeds below which two populations cannot be told from one."""
_SIZES = (4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 50, 100)
_CRITICAL = (27.932, 13.325, 9.084, 7.017, 5.742, 4.483, 3.750, 3.172, 2.688, 2.286, 1.991, 1.770)
"""99 % quantiles of the largest gap in units of the spread within both sides, for normal samples of these sizes.

By simulation of 200,000 samples (60,000 above 20), to about 1 %; the test simulates them again.
"""
_ALPHA = 0.01
RESAMPLED = 7
"""Seeds from which on a bootstrap-t interval is worth having."""


@dataclass(frozen=True, kw_only=True)
class Populations:
    """Scores that fall into two groups: the worse one is an event (a collapse), the other has its own mean.

    Args:
        apart: seeds in the worse group; without a better direction, in the smaller one.
        n: all seeds.
        share: 95 % interval of the share of such seeds, exact.
        near: mean of these seeds.
        others: mean of the other seeds, given that they do not collapse.
        low: lower end of its 95 % interval; None for a single seed.
        high: upper end.
    """

    apart: int
    n: int
    share: tuple[float, float]
    near: float
    others: float
    low: float | None
    high: float | None


def binomial(successes: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share (Clopper and Pearson 1934): ends at which a tail has `(1 - confidence) / 2`.

    Raises:
        ValueError: no trials, or successes outside of 0 .. n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0 .. n with n >= 1, got {successes} of {n}")
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(successes, n - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, n - successes, 1 - tail)) if successes < n else 1.0
    return low, high


def interval(values: Sequence[float] | Floats) -> tuple[float, float]:
    """95 % interval of a mean over seeds: the hull of the t interval and, from seven seeds on, the bootstrap-t.

    For skewed scores the t interval of ten seeds covers 90 % and the bootstrap-t 95 %; for normal ones the hull is 9 %
    longer than the t interval. Of fewer seeds the bootstrap-t is too often useless (twice as long at five), and so it
    is of two groups: resamples of the larger one alone have hardly any spread to divide by.

    Raises:
        ValueError: fewer than two seeds.
    """
    low, high = stats.mean_contrast(values).interval()
    if len(values) < RESAMPLED or _cut(np.sort(np.asarray(values, dtype=np.float64))) is not None:
        return low, high
    longer = stats.bootstrap_t(values)
    return min(low, longer[0]), max(high, longer[1])


def unseen(n: int, *, confidence: float = 0.95) -> float:
    """The largest share of seeds of a kind of which `n` seeds show none, one-sided: `1 - (1 - confidence)^(1 / n)`."""
    return 1 - (1 - confidence) ** (1 / n)


def populations(values: Sequence[float] | Floats, direction: Direction) -> Populations | None:
    """Two populations, if the largest gap between neighbours is too wide for one normal distribution (1 % level).

    The gap is measured in the pooled standard deviation within the two sides, so that an outlier or a group does not
    hide itself. A side of equal values has no spread of its own, and both together none: then nothing is decided.
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    n, cut = x.size, _cut(x)
    if cut is None:
        return None
    lower, upper = x[: cut + 1], x[cut + 1 :]
    worse_is_lower = direction == "higher" if direction != "target" else lower.size <= upper.size
    worse, others = (lower, upper) if worse_is_lower else (upper, lower)
    low, high = interval(others) if others.size > 1 else (None, None)
    return Populations(
        apart=worse.size,
        n=n,
        share=binomial(worse.size, n),
        near=float(worse.mean()),
        others=float(others.mean()),
        low=low,
        high=high,
    )


def outlying(values: Sequence[float] | Floats) -> bool:
    """Whether the most distant seed is too far from the mean for a normal distribution (Grubbs 1969, 1 % level)."""
    x = np.asarray(values, dtype=np.float64)
    n = x.size
    sd = float(x.std(ddof=1)) if n > 2 else 0.0
    if sd <= stats.ROUNDING * np.finfo(np.float64).eps * float(np.abs(x).max(initial=0.0)):
        return False
    t = stats.t_quantile(1 - _ALPHA / (2 * n), n - 2)
    return float(np.abs(x - x.mean()).max()) / sd > (n - 1) / math.sqrt(n) * math.sqrt(t * t / (n - 2 + t * t))


def paired_shares(a: Floats, b: Floats) -> Contrast:
    """Difference of the shares of two events on the same seeds, `[n]` of 0 and 1: exact test and interval.

    The test is McNemar's (seeds with exactly one event are fair coins). The share of seeds with only a, and of those
    with only b, have exact intervals at 97.5 %, so that the ends of their difference hold together in 95 %.
    """
    from scipy.special import betainc

    n = a.size
    only_a, only_b = int(np.sum(a > b)), int(np.sum(b > a))
    (low_a, high_a), (low_b, high_b) = (binomial(k, n, confidence=0.975) for k in (only_a, only_b))
    fewer, either = min(only_a, only_b), only_a + only_b
    p = min(1.0, 2 * float(betainc(either - fewer, fewer + 1, 0.5))) if either else 1.0
    ends = (low_a - high_b, high_a - low_b)
    return Contrast(value=(only_a - only_b) / n, se=0.0, n=n, paired=True, ends=ends, exact_p=p)


def _cut(x: Floats) -> int | None:
    """Place of the largest gap of sorted scores `[n]`, if it is too wide for one normal distribution."""
    n = x.size
    if n < FEWEST:
        return None
    centred = x - x.mean()
    sizes = np.arange(1, n)
    sums, squares = np.cumsum(centred)[:-1], np.cumsum(np.square(centred))
    within = squares[:-1] - np.square(sums) / sizes + (squares[-1] - squares[:-1]) - np.square(sums) / (n - sizes)
    # What rounding leaves of the squares is not spread.
    spread = np.sqrt(np.maximum(within, 0) / (n - 2))
    spread[within <= stats.ROUNDING * n * np.finfo(np.float64).eps * squares[-1]] = math.inf
    ratio = np.diff(x) / spread
    cut = int(np.argmax(ratio))
    return cut if ratio[cut] > _critical(n) else None


def _critical(n: int) -> float:
    """Linear between the logarithms of the simulated quantiles; constant beyond the largest sample."""
    return math.exp(float(np.interp(math.log(n), np.log(_SIZES), np.log(_CRITICAL))))
