"""From measurements to contrasts: the independent units behind a cell, and how two cells are compared.

A cell has its units, not only its mean, so that two methods are compared unit by unit if they share streams: batch
means of common noise, replicates, rounds of one timing group. Otherwise intervals are compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ..api import ORACLE, SUSPECT, Case, Measurement, MetricSpec, Outcome
from . import seeds, stats
from .progress import Worth, difference
from .seeds import Populations
from .stats import Contrast, Floats, Side

EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
_LEDGER = 64


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One measurement with the case and the run it came from."""

    run: int
    case: Case
    outcome: Outcome
    measurement: Measurement


@dataclass(frozen=True, kw_only=True)
class Units:
    """What one method contributes to one column: a value, its 95 % interval and the independent units behind both.

    Args:
        key: metric with its labels, `f1[reading=tuned]`.
        metric: bare name of the metric.
        kind: `dyadic` (batch means), `replicates`, `processes` (logs of seconds of each round), `single`, `product`,
            `worth` (a loss at a budget).
        series: units of a dyadic ledger.
        members: unit -> value for replicates, unit -> logs of the rounds for processes.
        factors: the columns a `product` was made of.
        exact: known without sampling error; a constant that was sampled is `degenerate`, not exact.
        partial: replicates are missing or diverged, so that a comparison would not be fair.
        worth: what a `worth` is compared by.
        share: every replicate is 0 or 1 and the value is the share of ones.
        populations: replicates that fall into two groups.
    """

    key: str
    metric: str
    kind: Literal["dyadic", "replicates", "processes", "single", "product", "worth"]
    scale: Literal["linear", "log"]
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 1
    unit: str = ""
    flags: frozenset[str] = frozenset()
    stage: str = ""
    case_key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    batch: int = 0
    series: tuple[float, ...] = ()
    members: Mapping[object, float | Floats] = field(default_factory=dict)
    factors: tuple[Units, ...] = ()
    exact: bool = False
    degenerate: bool = False
    partial: bool = False
    share: bool = False
    populations: Populations | None = None
    eps: float = EPS["float64"]
    worth: Worth | None = None

    @property
    def astray(self) -> bool:
        """Whether it can be no gradient or no estimate, or is an oracle: never marked as best, listed last."""
        return bool({SUSPECT, ORACLE} & self.flags) or (self.worth is not None and self.worth.astray)

    @property
    def unbeatable(self) -> bool:
        """Whether no sampler can be better: nothing is drawn, in contrast to draws whose moments were computed."""
        return self.exact and "enumerated" not in self.flags


def column_key(measurement: Measurement) -> str:
    """Name of the column a measurement belongs to: its metric, with its labels if it has any."""
    labels = ",".join(f"{name}={value}" for name, value in sorted(measurement.labels.items()))
    return f"{measurement.metric}[{labels}]" if labels else measurement.metric


def collect(entries: Sequence[Entry], spec: MetricSpec, planned: frozenset[int]) -> Units | None:
    """Gather the measurements of one method in one column into units.

    Args:
        entries: at least one; all of one column.
        planned: replicates that were planned, so that a missing one is noticed.

    Returns:
        None if no finite value exists.
    """
    first = entries[0]
    measurement, case = first.measurement, first.case
    usable = [e for e in entries if e.measurement.value is not None and math.isfinite(e.measurement.value)]
    if not usable:
        return None
    flags = frozenset().union(*(e.measurement.flags for e in usable))
    diverged = any(e.outcome.status == "diverged" for e in entries)
    base = Units(
        key=column_key(measurement),
        metric=measurement.metric,
        kind="single",
        scale=spec.scale,
        value=_value(usable[0]),
        unit=measurement.unit or spec.unit,
        flags=flags | ({"diverged"} if diverged else frozenset()),
        stage=case.stage,
        case_key=case.key,
        labels=measurement.labels,
        partial=diverged,
        eps=EPS.get(case.dtype, EPS["float32"]),
    )
    if case.stage == "time" and measurement.metric == "time":
        return _processes(base, usable)
    if all(_is_exact(e) for e in usable):
        values = [_value(e) for e in usable]
        same = max(values) == min(values)
        low, high = usable[0].measurement.low, usable[0].measurement.high
        mean = math.fsum(values) / len(values)
        return replace(base, value=mean, low=low, high=high, exact=same, partial=False, flags=flags)
    members = {_member(e): _value(e) for e in usable}
    if len(members) > 1 or measurement.replicate is not None:
        return _replicates(base, members, planned, spec)
    only = usable[0].measurement
    series = tuple(v for v in (only.series.values if only.series else ()) if v is not None)
    return replace(
        base,
        kind="dyadic" if only.series and only.series.kind == "dyadic" and len(series) > 1 else "single",
        low=only.low,
        high=only.high,
        n=only.n,
        series=series,
        batch=only.series.batch if only.series else 0,
        degenerate="degenerate" in only.flags,
    )


def _value(entry: Entry) -> float:
    return entry.measurement.value if entry.measurement.value is not None else math.nan


def _member(entry: Entry) -> object:
    if entry.measurement.replicate is not None:
        return entry.measurement.replicate
    return entry.case.replicates[0] if len(entry.case.replicates) == 1 else entry.case.replicates


def _is_exact(entry: Entry) -> bool:
    """Deterministic methods and counters: the value has no sampling error."""
    m = entry.measurement
    counted = m.metric in entry.outcome.cost and m.low is None and m.replicate is None
    return "exact" in m.flags or entry.outcome.stop == "exact" or counted


def _replicates(base: Units, members: Mapping[object, float], planned: frozenset[int], spec: MetricSpec) -> Units:
    values = np.array(list(members.values()))
    missing = all(isinstance(m, int) for m in members) and len(members) < len(planned)
    flags = base.flags | ({"partial"} if missing else frozenset())
    low = high = groups = None
    share = spec.event and bool(np.isin(values, (0.0, 1.0)).all())
    if share:
        low, high = seeds.binomial(int(values.sum()), values.size)
        flags |= {"share"}
    elif values.size > 1:
        low, high = seeds.interval(values)
        groups = seeds.populations(values, spec.direction)
        flags |= {"heavy-tail"} if groups is not None or seeds.outlying(values) else frozenset()
    return replace(
        base,
        kind="replicates",
        value=float(values.mean()),
        low=low,
        high=high,
        n=int(values.size),
        members=dict(members),
        flags=flags,
        partial=base.partial or missing,
        degenerate=not share and values.size > 1 and float(np.ptp(values)) == 0,
        share=share,
        populations=groups,
    )


def _processes(base: Units, entries: Sequence[Entry]) -> Units:
    """Seconds: the process is the unit, its value the geometric mean of its rounds."""
    members: dict[object, float | Floats] = {}
    means: list[float] = []
    for entry in entries:
        series = entry.measurement.series
        rounds = series.values if series and series.kind == "rounds" else (entry.measurement.value,)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(np.array([math.nan if v is None else v for v in rounds], dtype=np.float64))
        logs[~np.isfinite(logs)] = math.nan
        if np.isfinite(logs).any():
            group = series.group if series and series.group else entry.case.replicates[0]
            members[entry.run, group] = logs
            means.append(float(np.nanmean(logs)))
    low = high = None
    mean = float(np.mean(means)) if means else math.log(base.value)
    if len(means) > 1:
        low, high = (math.exp(end) for end in stats.mean_contrast(means).interval())
    return replace(base, kind="processes", value=math.exp(mean), low=low, high=high, n=len(means), members=members)


def product(key: str, unit: str, a: Units, b: Units) -> Units:
    """A derived column, the product of two positive ones; relative errors add in quadrature on the log scale."""
    value = a.value * b.value
    low = high = None
    one, other = _log_side(a), _log_side(b)
    if is_rounding(a):
        low, high = 0.0, _top(a) * (b.high if b.high is not None else b.value)
    elif one is not None and other is not None:
        spread = stats.unpaired(one, Side(value=-other.value, se=other.se, df=other.df, floor=other.floor))
        low, high = (math.exp(end) for end in spread.interval())
    return Units(
        key=key,
        metric=key,
        kind="product",
        scale="log",
        value=value,
        low=low,
        high=high,
        n=min(a.n, b.n),
        unit=unit,
        flags=(a.flags | b.flags) - {"exact"},
        stage=b.stage,
        case_key=b.case_key,
        factors=(a, b),
        exact=a.exact and is_rounding(a),
        partial=a.partial or b.partial,
    )


# -- contrasts --------------------------------------------------------------------------------------------------------


def contrast(a: Units | None, b: Units | None) -> Contrast | None:
    """Compare two methods in one column, unit by unit if possible.

    Returns:
        log of the ratio a / b (log scale) or a - b (linear scale); None if nothing can be tested.
    """
    if a is None or b is None or a.partial or b.partial:
        return None
    if a.worth is not None and b.worth is not None:
        return difference(a.worth, b.worth)
    floor = stats.ROUNDING * max(a.eps, b.eps)
    if a.scale == "linear":
        floor *= max(abs(a.value), abs(b.value))
    floor = max(floor, _arm(a) + _arm(b))
    if is_rounding(a) or is_rounding(b):
        return _with_rounding(a, b)
    if a.scale == "log" and (a.value <= 0 or b.value <= 0):
        return None
    if a.kind == b.kind == "processes":
        return _within_groups(a, b)
    if a.kind == b.kind == "product":
        parts = [contrast(x, y) for x, y in zip(a.factors, b.factors, strict=True)]
        return None if parts[0] is None or parts[1] is None else stats.add(parts[0], parts[1])
    if a.degenerate and b.degenerate and not (a.kind == b.kind == "dyadic"):
        # Thousands of equal draws say what the number is; a handful of equal replicates does not.
        return None
    if a.kind == b.kind == "replicates":
        return _paired_replicates(a, b, floor)
    if a.kind == b.kind == "dyadic" and a.batch == b.batch and a.scale == "log":
        length = min(len(a.series), len(b.series))
        x, y = stats.fold(a.series, length), stats.fold(b.series, length)
        return stats.paired_ratio(x, y, floor=floor) if x.mean() > 0 and y.mean() > 0 else None
    side = _log_side if a.scale == "log" else _linear_side
    one, other = side(a), side(b)
    if one is None or other is None:
        return None
    return replace(stats.unpaired(one, other), floor=floor)


def is_rounding(u: Units) -> bool:
    """Whether a positive quantity is zero up to rounding: known without sampling error, with 0 in its interval."""
    return u.scale == "log" and (u.exact or u.degenerate) and (u.value == 0 or (u.low is not None and u.low <= 0))


def _top(u: Units) -> float:
    """Upper end of a value that is zero up to rounding."""
    return max(u.value, u.high if u.high is not None else 0.0)


def _arm(u: Units) -> float:
    """How far rounding may have moved a value that has no sampling error, on the scale of its contrasts."""
    if not (u.exact or u.degenerate) or u.low is None or u.high is None or not u.low <= u.value <= u.high:
        return 0.0
    if u.scale == "linear":
        return max(u.high - u.value, u.value - u.low)
    return math.log(u.high / u.low) if u.low > 0 else 0.0


def _with_rounding(a: Units, b: Units) -> Contrast | None:
    """A ratio of which one side is zero up to rounding: 0 or infinite, with an end from the rounding of that side.

    Two such values are equal: no difference between them can be known.
    """
    if is_rounding(a) and is_rounding(b):
        return Contrast(value=0.0, se=0.0)
    if is_rounding(b):
        found = _with_rounding(b, a)
        return found.reversed() if found is not None else None
    least = b.value if b.low is None else b.low
    if b.value <= 0:
        return None
    end = math.inf if least <= 0 else math.log(_top(a) / least) if _top(a) > 0 else -math.inf
    return Contrast(value=-math.inf, se=0.0, ends=(-math.inf, end))


def _within_groups(a: Units, b: Units) -> Contrast | None:
    """Seconds are compared inside one group and round only: the mean of log ratios of a process is one unit."""
    ours, theirs = [], []
    for group in a.members:
        if group in b.members:
            x, y = np.atleast_1d(a.members[group]), np.atleast_1d(b.members[group])
            length = min(x.size, y.size)
            common = np.isfinite(x[:length]) & np.isfinite(y[:length])
            if common.any():
                ours.append(float(x[:length][common].mean()))
                theirs.append(float(y[:length][common].mean()))
    if len(ours) < 2:
        return None
    found = stats.paired_difference(ours, theirs)
    return replace(found, bootstrap=stats.bootstrap_t(np.subtract(ours, theirs)))


def _paired_replicates(a: Units, b: Units, floor: float) -> Contrast | None:
    if set(a.members) != set(b.members) or len(a.members) < 2:
        return None
    x = np.array([a.members[m] for m in a.members], dtype=np.float64)
    y = np.array([b.members[m] for m in a.members], dtype=np.float64)
    if a.share and b.share:
        return seeds.paired_shares(x, y)
    if a.scale == "log":
        if x.min() <= 0 or y.min() <= 0:
            return None
        x, y = np.log(x), np.log(y)
    found = stats.paired_difference(x, y, floor=floor)
    return replace(found, bootstrap=stats.bootstrap_t(x - y) if x.size >= seeds.RESAMPLED else None)


def _count(u: Units) -> int:
    if u.kind == "dyadic":
        return int(stats.fold(u.series).size)
    return min(u.n, _LEDGER) if u.kind == "single" else u.n


def _log_side(u: Units) -> Side | None:
    if u.value <= 0:
        return None
    floor = stats.ROUNDING * u.eps
    if u.exact or u.degenerate:
        return Side(value=math.log(u.value), floor=floor)
    if u.low is None or u.high is None or not 0 < u.low <= u.high or _count(u) < 2:
        return None
    return stats.log_side(u.value, u.low, u.high, units=_count(u), floor=floor)


def _linear_side(u: Units) -> Side | None:
    floor = stats.ROUNDING * u.eps * abs(u.value)
    if u.exact or u.degenerate:
        return Side(value=u.value, floor=floor)
    if u.low is None or u.high is None or _count(u) < 2:
        return None
    # The longer arm: a debiased norm near zero has an interval that stops at 0 on one side.
    arm = max(u.high - u.value, u.value - u.low)
    df = _count(u) - 1.0
    return Side(value=u.value, se=arm / stats.t_quantile(0.975, df), df=df, floor=floor)
