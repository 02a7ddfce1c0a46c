"""The decisions of one table: effects, letters and marks, from two families of tests.

The primary column is one family at the full level: all pairs of its rows, so that verdicts, letters and marks agree.
The other columns' comparisons with the baseline are a second family, at the full level again, and exploratory: they say
where to look. In each family the tests of a difference are corrected together, and so are the tests of equivalence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from ..api import MetricSpec
from ..catalog.metrics import Metrics, lookup
from . import stats
from .stats import Contrast, Correction, Rule, Verdict
from .units import Units, contrast

Mark = Literal["best", "undecided", ""]
Place = tuple[str, int, int]
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
        equivalence: p-value of the test of equivalence after the correction; None like `p`.
        exploratory: whether the column is a secondary one, whose tests are a family of their own.
        detectable: smallest detectable effect (90 % power): a fraction for ratios (0.04 is 4 %), in the unit of the
            metric for differences; None if it does not exist.
        gain: variance of the unpaired comparison over that of this one.
        n: independent units.
        bootstrap: the 95 % interval of a studentized bootstrap over processes (seconds) or seeds (trained scores).
    """

    kind: Literal["ratio", "difference"]
    value: float
    low: float
    high: float
    verdict: Verdict
    p: float | None = None
    adjusted: float | None = None
    equivalence: float | None = None
    exploratory: bool = False
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
class Standing:
    """A row against the best one in the primary column.

    Args:
        mark: `best`: shown to be the best of the contest, or equivalent to it; `undecided`: neither shown to be
            that nor shown to be worse; empty: worse, or not in the contest.
        detectable: for an undecided row, the smallest difference from the leading row (for the leading ones, from the
            rows that were not told apart from them) that would have been seen with 90 % power, as in `Effect`; None
            if it does not exist.
    """

    mark: Mark = ""
    detectable: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The decisions of one table, row by row: effects, letters and standings, and the numbers of tests.

    Args:
        tests: tests of a difference in the primary column.
        exploratory: tests of a difference in the other columns.
    """

    effects: tuple[Mapping[str, Effect], ...]
    groups: tuple[Mapping[str, str], ...]
    standings: tuple[Standing, ...]
    tests: int
    exploratory: int


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """One comparison with its corrected p-values, and the number of tests corrected together."""

    contrast: Contrast | None
    adjusted: float | None = None
    equivalence: float | None = None
    tests: int = 1


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """Every comparison of a table, seen from the row with the smaller index."""

    rows: Sequence[Mapping[str, Units]]
    marks: Sequence[object]
    found: Mapping[Place, _Tested]
    baseline: int | None
    primary: str
    gate: float
    policy: Policy

    def pick(self, key: str, i: int, j: int) -> _Tested:
        """Row `i` against row `j`."""
        found = self.found.get((key, min(i, j), max(i, j)), _Tested(contrast=None))
        if found.contrast is not None and i > j:
            found = replace(found, contrast=found.contrast.reversed())
        return found

    def rule(self, key: str, i: int) -> Rule:
        """The rule of a column."""
        return self.policy.rule(self.rows[i][key], self.gate)

    def verdict(self, key: str, i: int, j: int) -> Verdict:
        """Row `i` against row `j`; if neither side has any spread, the comparison is arithmetic."""
        found, rule = self.pick(key, i, j), self.rule(key, i)
        if found.contrast is None:
            return "untestable"
        p = found.contrast.p if found.adjusted is None else found.adjusted
        equivalence = found.equivalence
        if equivalence is None:
            equivalence = found.contrast.equivalence_p(rule.margin)
        return stats.decide(found.contrast, p, equivalence, rule)

    def letters(self, key: str) -> dict[int, str]:
        """Row -> letters of one column."""
        own = [i for i, row in enumerate(self.rows) if key in row and not row[key].partial]
        duels = [(a, b) for a, b in combinations(range(len(own)), 2) if (key, own[a], own[b]) in self.found]
        apart = [(a, b) for a, b in duels if self.verdict(key, own[a], own[b]) in {"better", "worse"}]
        return dict(zip(own, stats.letters(len(own), apart), strict=True)) if duels else {}

    def effects(self, i: int) -> dict[str, Effect]:
        """Column -> effect of row `i` against the baseline, if there is one."""
        out: dict[str, Effect] = {}
        baseline = self.baseline
        if baseline is None:
            return out
        for key, units in self.rows[i].items():
            if key not in self.rows[baseline] or self.policy.spec(units.metric).direction == "target":
                continue
            if i == baseline:
                out[key] = _itself(units)
                continue
            said = self.verdict(key, i, baseline)
            if _variance_of_biased(key, self.rows[i], self.rows[baseline]):
                said = ""
            effect = _effect(units, self.pick(key, i, baseline), said, self.rule(key, i))
            out[key] = replace(effect, exploratory=key != self.primary)
        return out

    def standings(self) -> tuple[Standing, ...]:
        """The mark of each row.

        Outside the contest stand exact rows, because none can beat them, rows that cannot be compared with the
        baseline, and draws that are no gradient (zero, reversed, one wrong constant). The row with the best value
        leads. It is marked as best if every other row of the contest is shown to be worse than it or equivalent to it,
        and so are those equivalent ones. If a row is neither, which of the two leads is chance: both are undecided, and
        so is every row equivalent to the leader. So a mark of `best` is wrong only if a test was.
        """
        contest = self.contest()
        if not contest:
            return tuple(Standing() for _ in self.rows)
        direction = self.policy.spec(self.rows[contest[0]][self.primary].metric).direction
        if direction == "target":
            return tuple(Standing() for _ in self.rows)
        sign = 1 if direction == "lower" else -1
        best = min(contest, key=lambda i: sign * self.rows[i][self.primary].value)
        said = {i: self.verdict(self.primary, i, best) for i in contest if i != best}
        unsettled = [i for i, verdict in said.items() if verdict in {"undecided", "untestable"}]
        leaders = [best, *(i for i, verdict in said.items() if verdict == "equivalent")]
        seen = {i: self.seen(i, best) for i in unsettled}
        for i in leaders if unsettled else ():
            seen[i] = max((v for j in unsettled if (v := self.seen(i, j)) is not None), default=None)
        marks: dict[int, Mark] = dict.fromkeys(leaders, "undecided" if unsettled else "best")
        marks |= dict.fromkeys(unsettled, "undecided")
        return tuple(Standing(mark=marks.get(i, ""), detectable=seen.get(i)) for i in range(len(self.rows)))

    def contest(self) -> list[int]:
        """Rows that can be the best of the primary column; exact ones only if all of them are.

        A sampler whose moments are computed is known exactly, and is a sampler.
        """
        own = [i for i, row in enumerate(self.rows) if self.primary in row and not row[self.primary].partial]
        mark = self.marks[self.baseline] if self.baseline is not None else self.marks[own[0]] if own else None
        own = [i for i in own if self.marks[i] == mark and not self.rows[i][self.primary].astray]
        return [i for i in own if not self.rows[i][self.primary].unbeatable] or own

    def seen(self, i: int, j: int) -> float | None:
        """The smallest difference between two rows of the primary column that would have been seen."""
        return _smallest(self.pick(self.primary, i, j), self.rule(self.primary, i), self.rows[i][self.primary])


def judge(
    rows: Sequence[Mapping[str, Units]],
    marks: Sequence[object],
    *,
    baseline: int | None,
    primary: str,
    gate: float,
    policy: Policy,
) -> Judgement:
    """Decide every column of a table.

    Letters of columns other than the primary one are corrected within their column.

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
    pairs: dict[Place, Contrast | None] = {
        (key, i, j): contrast(rows[i][key], rows[j][key]) if marks[i] == marks[j] else None
        for key in columns
        for i, j in combinations(range(len(rows)), 2)
        if key in rows[i] and key in rows[j]
    }
    tested = {place: pair for place, pair in pairs.items() if pair is not None and pair.se > 0}
    p = {place: pair.p for place, pair in tested.items()}
    equal = {
        (key, i, j): pair.equivalence_p(policy.rule(rows[i][key], gate).margin) for (key, i, j), pair in tested.items()
    }
    found = {place: _Tested(contrast=pair) for place, pair in pairs.items()}

    def correct(places: Sequence[Place]) -> int:
        """Correct these tests together; returns their number."""
        adjusted = stats.adjust([p[place] for place in places], policy.correction)
        equivalence = stats.adjust([equal[place] for place in places], policy.correction)
        for place, one, other in zip(places, adjusted, equivalence, strict=True):
            found[place] = _Tested(
                contrast=pairs[place], adjusted=float(one), equivalence=float(other), tests=len(places)
            )
        return len(places)

    for key in columns:
        correct([place for place in tested if place[0] == key])
    tests = sum(place[0] == primary for place in tested)
    exploratory = correct([place for place in tested if place[0] != primary and baseline in place[1:]])
    bench = _Bench(rows=rows, marks=marks, found=found, baseline=baseline, primary=primary, gate=gate, policy=policy)
    groups = {key: bench.letters(key) for key in columns}
    return Judgement(
        effects=tuple(bench.effects(i) for i in range(len(rows))),
        groups=tuple({key: groups[key].get(i, "") for key in row if key in groups} for i, row in enumerate(rows)),
        standings=bench.standings(),
        tests=tests,
        exploratory=exploratory,
    )


def _metric(rows: Sequence[Mapping[str, Units]], key: str) -> str:
    return next(row[key].metric for row in rows if key in row)


def _variance_of_biased(key: str, row: Mapping[str, Units], baseline: Mapping[str, Units]) -> bool:
    """Whether a row is biased: the variance of a biased method means little, so it is compared by mse only."""
    biases = [side["bias"] for side in (row, baseline) if "bias" in side]
    return key == "variance" and any(b.low is not None and b.low > 0 and not b.exact for b in biases)


def _itself(units: Units) -> Effect:
    one = 1.0 if units.scale == "log" else 0.0
    kind = "ratio" if units.scale == "log" else "difference"
    return Effect(kind=kind, value=one, low=one, high=one, verdict="baseline", n=units.n)


def _smallest(tested: _Tested, rule: Rule, units: Units) -> float | None:
    """The smallest detectable effect: a fraction for ratios, in the unit of the metric for differences."""
    found = tested.contrast
    if found is None or not 0 < found.printed.se < math.inf or rule.gate == math.inf:
        return None
    smallest = stats.detectable(found.printed, rule, tests=tested.tests)
    return math.expm1(min(smallest, 700.0)) if units.scale == "log" else smallest


def _as_printed(ends: tuple[float, float], *, log: bool) -> tuple[float, float]:
    return (_exp(ends[0]), _exp(ends[1])) if log else ends


def _effect(units: Units, tested: _Tested, said: Verdict, rule: Rule) -> Effect:
    log = units.scale == "log"
    kind = "ratio" if log else "difference"
    found = tested.contrast
    if found is None:
        return Effect(kind=kind, value=math.nan, low=math.nan, high=math.nan, verdict=said)
    printed = found.printed
    low, high = printed.interval()
    return Effect(
        kind=kind,
        value=_exp(printed.value) if log else printed.value,
        low=_exp(low) if log else low,
        high=_exp(high) if log else high,
        verdict=said,
        p=found.p if found.se > 0 or found.exact_p is not None else None,
        adjusted=tested.adjusted,
        equivalence=tested.equivalence,
        detectable=_smallest(tested, rule, units),
        paired=found.paired,
        gain=found.gain,
        n=found.n,
        bootstrap=_as_printed(found.bootstrap, log=log) if found.bootstrap is not None else None,
    )


def _exp(value: float) -> float:
    return math.inf if value >= 700 else math.exp(value)
