"""The decisions of one table: every column under one correction, as effects, letters and stars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from ..api import MetricSpec
from ..catalog.metrics import Metrics, lookup
from . import stats
from .stats import Contrast, Correction, Rule, Verdict
from .units import Units, contrast

TIMED = frozenset({"time", "time-variance"})
"""Metrics that hold seconds: their `better` and `worse` must pass the A/A gate."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """A method against the baseline in one column.

    Args:
        kind: `ratio` (log scale) or `difference` (linear scale).
        value: ratio or difference, method over or minus baseline.
        low: lower end of its 95 % interval.
        p: p-value before the correction; None if neither side has any spread.
        adjusted: p-value after it.
        detectable: smallest detectable effect (90 % power): a fraction for ratios (0.04 is 4 %), in the unit of the
            metric for differences; None if it does not exist.
        gain: variance of the unpaired comparison over that of this one.
        n: independent units.
        bootstrap: for seconds, the 95 % interval of a studentized bootstrap over processes.
    """

    kind: Literal["ratio", "difference"]
    value: float
    low: float
    high: float
    verdict: Verdict
    p: float | None = None
    adjusted: float | None = None
    detectable: float | None = None
    paired: bool = False
    gain: float = 1.0
    n: int = 1
    bootstrap: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How the tables of a family decide: the margin for ratios, the level, the correction, and the metrics."""

    margin: float
    alpha: float
    correction: Correction
    metrics: Metrics
    family: str = ""

    def spec(self, column: str) -> MetricSpec:
        """The spec of a column, labels aside."""
        return lookup(self.metrics, self.family, column)

    def rule(self, units: Units, gate: float) -> Rule:
        """The rule of one column; `gate` applies to seconds only."""
        spec = self.spec(units.metric)
        margin = math.log1p(self.margin) if spec.scale == "log" else spec.margin or 0.0
        timed = gate if units.metric in TIMED else 0.0
        return Rule(margin=margin, alpha=self.alpha, direction=spec.direction, gate=timed)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The decisions of one table, row by row: effects, letters and verdicts against the best row."""

    effects: tuple[Mapping[str, Effect], ...]
    groups: tuple[Mapping[str, str], ...]
    stars: tuple[bool, ...]
    tests: int


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """Every contrast of a table with its adjusted p-value."""

    rows: Sequence[Mapping[str, Units]]
    pairs: Mapping[tuple[str, int, int], Contrast | None]
    adjusted: Mapping[tuple[str, int, int], float]
    gate: float
    policy: Policy
    tests: int

    def pick(self, key: str, i: int, j: int) -> tuple[Contrast | None, float | None]:
        """Contrast of row `i` against row `j` with its adjusted p-value; None if nothing was tested."""
        place = (key, min(i, j), max(i, j))
        found = self.pairs.get(place)
        if found is not None and i > j:
            found = found.reversed()
        return found, self.adjusted.get(place)

    def verdict(self, key: str, i: int, j: int) -> Verdict:
        """Row `i` against row `j`; if neither side has any spread, the comparison is arithmetic."""
        found, p = self.pick(key, i, j)
        if p is None:
            p = found.p if found is not None else 1.0
        return stats.decide(found, p, self.policy.rule(self.rows[i][key], self.gate))

    def letters(self, key: str) -> dict[int, str]:
        """Row -> letters of one column."""
        own = [i for i, row in enumerate(self.rows) if key in row and not row[key].partial]
        duels = [(a, b) for a, b in combinations(range(len(own)), 2) if (key, own[a], own[b]) in self.pairs]
        apart = [(a, b) for a, b in duels if self.verdict(key, own[a], own[b]) in {"better", "worse"}]
        return dict(zip(own, stats.letters(len(own), apart), strict=True)) if duels else {}

    def effects(self, i: int, baseline: int) -> dict[str, Effect]:
        """Column -> effect of row `i` against the baseline."""
        out: dict[str, Effect] = {}
        for key, units in self.rows[i].items():
            if key not in self.rows[baseline] or self.policy.spec(units.metric).direction == "target":
                continue
            if i == baseline:
                out[key] = _itself(units)
                continue
            said = self.verdict(key, i, baseline)
            if _variance_of_biased(key, self.rows[i], self.rows[baseline]):
                said = ""
            out[key] = _effect(
                units, *self.pick(key, i, baseline), said, self.policy.rule(units, self.gate), self.tests
            )
        return out

    def stars(self, primary: str) -> tuple[bool, ...]:
        """The best row and those not shown to be worse; exact rows are excluded, because none can beat them."""
        own = [i for i, row in enumerate(self.rows) if primary in row and not row[primary].partial]
        contest = [i for i in own if not self.rows[i][primary].exact] or own
        direction = self.policy.spec(_metric(self.rows, primary)).direction if own else "target"
        if direction == "target":
            return tuple(False for _ in self.rows)
        sign = 1 if direction == "lower" else -1
        best = min(contest, key=lambda i: sign * self.rows[i][primary].value)
        tied = {i for i in contest if i == best or self.verdict(primary, i, best) in {"equivalent", "undecided"}}
        return tuple(i in tied for i in range(len(self.rows)))


def judge(
    rows: Sequence[Mapping[str, Units]],
    marks: Sequence[object],
    *,
    baseline: int | None,
    primary: str,
    gate: float,
    policy: Policy,
) -> Judgement:
    """Decide every column of a table under one correction.

    The corrected family holds all pairs of the primary column, so that letters, stars and verdicts there agree, and the
    comparisons of every other column with the baseline. Letters of other columns are corrected within their column.

    Args:
        rows: column -> units, one mapping a row, in printed order.
        marks: rows with different marks (task version, seed, threads) cannot be compared.
        baseline: its row, or None.
        primary: the column that decides which method is best.
        gate: twice the A/A offset, on the log scale; infinite without a control.
    """
    columns = [
        key
        for key in dict.fromkeys(k for row in rows for k in row)
        if policy.spec(_metric(rows, key)).direction != "target"
    ]
    pairs: dict[tuple[str, int, int], Contrast | None] = {
        (key, i, j): contrast(rows[i][key], rows[j][key]) if marks[i] == marks[j] else None
        for key in columns
        for i, j in combinations(range(len(rows)), 2)
        if key in rows[i] and key in rows[j]
    }
    tested = [place for place, found in pairs.items() if found is not None and found.se > 0]
    family = [place for place in tested if place[0] == primary or baseline in place[1:]]
    adjusted: dict[tuple[str, int, int], float] = {}
    for key in columns:
        if key != primary:
            adjusted |= _adjust([place for place in tested if place[0] == key], pairs, policy)
    adjusted |= _adjust(family, pairs, policy)
    bench = _Bench(rows=rows, pairs=pairs, adjusted=adjusted, gate=gate, policy=policy, tests=len(family))
    groups = {key: bench.letters(key) for key in columns}
    return Judgement(
        effects=tuple(bench.effects(i, baseline) if baseline is not None else {} for i in range(len(rows))),
        groups=tuple({key: groups[key].get(i, "") for key in row if key in groups} for i, row in enumerate(rows)),
        stars=bench.stars(primary),
        tests=len(family),
    )


def _metric(rows: Sequence[Mapping[str, Units]], key: str) -> str:
    return next(row[key].metric for row in rows if key in row)


def _adjust(
    tests: Sequence[tuple[str, int, int]], pairs: Mapping[tuple[str, int, int], Contrast | None], policy: Policy
) -> dict[tuple[str, int, int], float]:
    p = [c.p for t in tests if (c := pairs[t]) is not None]
    return dict(zip(tests, (float(v) for v in stats.adjust(p, policy.correction)), strict=True))


def _variance_of_biased(key: str, row: Mapping[str, Units], baseline: Mapping[str, Units]) -> bool:
    """Whether a row is biased: the variance of a biased method means little, so it is compared by mse only."""
    biases = [side["bias"] for side in (row, baseline) if "bias" in side]
    return key == "variance" and any(b.low is not None and b.low > 0 and not b.exact for b in biases)


def _itself(units: Units) -> Effect:
    one = 1.0 if units.scale == "log" else 0.0
    kind = "ratio" if units.scale == "log" else "difference"
    return Effect(kind=kind, value=one, low=one, high=one, verdict="baseline", n=units.n)


def _effect(
    units: Units, found: Contrast | None, adjusted: float | None, said: Verdict, rule: Rule, tests: int
) -> Effect:
    log = units.scale == "log"
    kind = "ratio" if log else "difference"
    if found is None:
        return Effect(kind=kind, value=math.nan, low=math.nan, high=math.nan, verdict=said)
    low, high = found.interval()
    smallest = stats.detectable(found, rule, tests=tests) if found.se > 0 and rule.gate < math.inf else None
    if smallest is not None and log:
        smallest = math.expm1(min(smallest, 700.0))
    return Effect(
        kind=kind,
        value=_exp(found.value) if log else found.value,
        low=_exp(low) if log else low,
        high=_exp(high) if log else high,
        verdict=said,
        p=found.p if found.se > 0 else None,
        adjusted=adjusted,
        detectable=smallest,
        paired=found.paired,
        gain=found.gain,
        n=found.n,
        bootstrap=(_exp(found.bootstrap[0]), _exp(found.bootstrap[1])) if found.bootstrap is not None else None,
    )


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
