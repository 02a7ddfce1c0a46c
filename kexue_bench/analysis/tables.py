"""The content of a comparison: tables of rows of cells, summaries, and the same as flat rows of plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..api import SCHEMA, Instance, MetricSpec, PublishedSpec, Scalar
from ..catalog.metrics import Metrics, lookup
from ..errors import UnknownNameError
from .seeds import Populations
from .stats import Correction, Verdict
from .verdicts import Effect, Mark

NOTHING = 1e-9
"""An error smaller than another method's by this factor counts as zero: averaging would need a billion draws."""
FARTHEST = 10.0
"""A method that is this many times worse than the best, or has no result, is as far behind as can be."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of a table: a method in a column, with its 95 % interval and its effect against the baseline.

    Args:
        key: the column: a metric with its labels, `f1[reading=tuned]`.
        n: draws, replicates or processes behind the value.
        effect: effect against the baseline; None without one, or for a metric without a better direction.
        rank_group: letters; rows that share one were not distinguished.
        seeds: the value is a mean over replicates of a training.
        populations: seeds that fall into two groups, each with its own mean; None for one group.
    """

    key: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    unit: str
    flags: frozenset[str]
    stage: str
    case_key: str
    exact: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    effect: Effect | None = None
    rank_group: str = ""
    seeds: bool = False
    populations: Populations | None = None

    @property
    def zero(self) -> bool:
        """Whether the value is known without sampling and is zero up to rounding.

        Either it lies within the rounding of one draw, or it is negligible beside the baseline's: terms that cancel
        inside a method are rounded at their own size, which is unknown.
        """
        if not self.exact or self.value < 0:
            return False
        effect = self.effect
        nothing = effect is not None and effect.kind == "ratio" and effect.value < NOTHING
        return self.value == 0 or nothing or (self.low is not None and self.low <= 0)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A planned case that did not end `ok`."""

    key: str
    stage: str
    status: str
    phase: str
    reason: str
    replicates: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method of a table.

    Args:
        label: what is printed; with ` @run` if several runs have the same method with different results.
        status: `ok`, or the status of the first case that did not end `ok`.
        reason: its reason.
        key: key of that case, for `kexue-bench show`; of the first case if all are `ok`.
        mark: `best` in the primary column or equivalent to it; `undecided`; empty: worse, or not in the contest.
        seen: for an undecided row, the smallest difference from the best that would have been seen (90 % power): a
            fraction for ratios, in the unit of the metric for differences; None if it does not exist.
        incomparable: why this row cannot be compared with the baseline; empty if it can.
        stops: why sampling stopped.
        chosen: what tuning chose for it: field of the method, or `task.` and a field of the task -> value.
        edges: those of `chosen` that are the smallest or largest value tried: a better one may lie beyond.
        trials: number of trials that the choice was made from.
        search: key of the tuning case that chose its fields; empty if there is none.
        biased: whether its mean clearly differs from the truth.
        astray: whether its draws are no gradient: no component along the truth, or one wrong constant; or no estimate:
            every one is the truth to the last bit.
        unjudged: why it has no column at a budget; empty if it has, or needs none.
        changed: settings of its process and global generators that it left changed.
    """

    method: Instance
    label: str
    run: str
    status: str
    reason: str
    key: str
    cells: Mapping[str, Cell]
    failures: tuple[Failure, ...] = ()
    mark: Mark = ""
    seen: float | None = None
    is_baseline: bool = False
    incomparable: str = ""
    stops: frozenset[str] = frozenset()
    chosen: Mapping[str, Scalar] = field(default_factory=dict)
    edges: tuple[str, ...] = ()
    trials: int = 0
    search: str = ""
    biased: bool = False
    astray: bool = False
    unjudged: str = ""
    changed: tuple[str, ...] = ()

    @property
    def star(self) -> bool:
        """Whether it is shown to be the best, or equivalent to it."""
        return self.mark == "best"


@dataclass(frozen=True, kw_only=True)
class Control:
    """The baseline timed against a copy of itself: a ratio that should be 1."""

    ratio: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """A published figure beside ours.

    Args:
        label: the row it belongs to.
        value: our value, of a vector the largest distance of an entry; None if it was not measured.
        low: lower end of its 95 % interval; equal to the value if that is exact.
        verdict: depends on the whole interval: inside the accepted range, outside it, or across its end.
    """

    spec: PublishedSpec
    run: str
    label: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: Literal["reproduced", "not reproduced", "undecided", "not measured"] = "not measured"


@dataclass(frozen=True, kw_only=True)
class Table:
    """One task on one device in one dtype.

    Args:
        primary: the column that decides which method is best.
        columns: headline columns that hold at least one value, in order.
        baseline: label of the baseline's row; empty if there is none.
        control: the A/A control; None if nothing was timed twice.
        timed: whether any row holds seconds.
        tests: tests in the primary column, corrected together.
        exploratory: tests in the other columns, corrected together.
        detectable: column -> smallest and largest detectable effect over its rows.
        published: published figures of this task, with ours.
        decides: one sentence on what decides, or on what the order that was asked for ignores; may be empty.
    """

    family: str
    task: Instance
    summary: str
    device: str
    dtype: str
    threads: tuple[int, ...]
    seeds: tuple[int, ...]
    primary: str
    columns: tuple[str, ...]
    baseline: str
    rows: tuple[Row, ...]
    control: Control | None
    timed: bool
    tests: int
    exploratory: int
    detectable: Mapping[str, tuple[float, float]]
    published: tuple[Reproduction, ...] = ()
    decides: str = ""


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One method over all tasks of a family in one column.

    Args:
        ratio: geometric mean of the ratios to the baseline; None where it cannot be trusted.
        least: smallest of the ratios; None unless every task has one.
        most: largest of them.
        tasks: tasks on which the ratio exists.
        of: tasks on which it should exist.
    """

    label: str
    metric: str
    ratio: float | None
    low: float | None
    high: float | None
    least: float | None
    most: float | None
    tasks: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One method over the tasks of a family.

    Args:
        factors: for each task that it was meant for, how many times worse than the best it is: 1 for the best, infinite
            without a result.
        tasks: tasks of the family, those that it was not meant for included.
    """

    factors: tuple[float, ...]
    tasks: int

    def within(self, factor: float) -> int:
        """Tasks on which it is at most this many times worse than the best."""
        return sum(found <= factor for found in self.factors)

    @property
    def area(self) -> float:
        """Area under the profile, 0 to 1, on a log scale of factors from 1 to `FARTHEST`: 1 if it is always the best.

        A task that it was not meant for counts like one that it failed on, so that one method for all tasks comes
        before one that is the best on its only task.
        """
        lost = sum(math.log(min(found, FARTHEST)) for found in self.factors) / math.log(FARTHEST)
        return (len(self.factors) - lost) / self.tasks if self.tasks else 0.0


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A family at a glance; `statuses` counts every planned case, whatever its stage.

    Args:
        labels: the methods, the best first: by the area under their performance profiles, then by the number of tasks
            on which they are marked as best and their mean position in the tables.
        verdicts: label -> verdicts in the primary columns over all tasks.
        stars: label -> tasks on which it is shown to be the best or equivalent to it.
        unsettled: label -> tasks on which it may be the best: undecided.
        biased: methods with a clear bias on some task.
        work: the counter that prices one call; empty if the family has none.
        profiles: label -> how far it stays behind the best of each task.
    """

    family: str
    title: str
    tasks: int
    planned: int
    statuses: Mapping[str, int]
    labels: tuple[str, ...]
    aggregates: tuple[Aggregate, ...]
    verdicts: Mapping[str, Mapping[Verdict, int]]
    stars: Mapping[str, int]
    unsettled: Mapping[str, int]
    biased: frozenset[str] = frozenset()
    work: str = ""
    profiles: Mapping[str, Profile] = field(default_factory=dict)

    def met(self, label: str) -> int:
        """Tasks that a method was meant to run on."""
        return sum(count for verdict, count in self.verdicts[label].items() if verdict)


@dataclass(frozen=True, kw_only=True)
class Tabulation:
    """Everything a report prints."""

    runs: tuple[str, ...]
    tables: tuple[Table, ...]
    summaries: tuple[Summary, ...]
    metrics: Metrics
    margin: float
    alpha: float
    correction: Correction
    added: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    schema: str = field(default=SCHEMA, init=False)

    def only(self, names: Sequence[str]) -> Tabulation:
        """The part that belongs to some families and tasks; all of it if none is named.

        A summary describes whole families: where only some of its tables are kept, it goes.

        Args:
            names: of families, of tasks, or labels of tasks.

        Raises:
            UnknownNameError: no table belongs to a name.
        """
        if not names:
            return self
        words = [{table.family, table.task.name, table.task.label} for table in self.tables]
        for name in names:
            if not any(name in own for own in words):
                raise UnknownNameError("family or task", name, set().union(*words))
        kept = tuple(table for table, own in zip(self.tables, words, strict=True) if own & {*names})
        whole = tuple(summary for summary in self.summaries if summary.family in names)
        return replace(self, tables=kept, summaries=whole)

    def spec(self, family: str, column: str) -> MetricSpec:
        """The spec of a column, ignoring labels, in the tables of a family."""
        return lookup(self.metrics, family, column)

    def published(self) -> list[dict[str, object]]:
        """One flat row of plain JSON data for each published figure that stands beside one of ours."""
        return [
            {
                "run": item.run,
                "family": table.family,
                "task": table.task.label or table.task.name,
                "name": item.spec.name,
                "kind": item.spec.kind,
                "blind": item.spec.blind,
                "method": item.label,
                "against": item.spec.against,
                "metric": item.spec.metric,
                "published": item.spec.value,
                "statement": item.spec.statement,
                "accepted_low": item.spec.low,
                "accepted_high": item.spec.high if item.spec.within is None else item.spec.within,
                "value": _finite(item.value),
                "ci_low": _finite(item.low),
                "ci_high": _finite(item.high),
                "verdict": item.verdict,
                "source": item.spec.source,
            }
            for table in self.tables
            for item in table.published
        ]

    def rows(self) -> list[dict[str, object]]:
        """One flat row of plain JSON data for each (task, method, metric), and one for each method without a result."""
        return [line for table in self.tables for row in table.rows for line in _lines(table, row)]


def _lines(table: Table, row: Row) -> Iterable[dict[str, object]]:
    head: dict[str, object] = {
        "run": row.run,
        "key": row.key,
        "family": table.family,
        "task": table.task.name,
        "task_params": dict(table.task.params),
        "method": row.method.name,
        "method_params": dict(row.method.params),
        "label": row.label,
        "stage": "",
        "claim": "",
        "replicate": None,
        "copy": 0,
        "labels": {},
        "device": table.device,
        "dtype": table.dtype,
        "threads": table.threads[0],
    }
    tail: dict[str, object] = {"status": row.status, "reason": row.reason, "stop": " ".join(sorted(row.stops))}
    empty = Cell(
        key="", metric="", value=math.nan, low=None, high=None, n=0, unit="", flags=frozenset(), stage="",
        case_key=row.key, exact=False,
    )  # fmt: skip
    for cell in row.cells.values() or (empty,):
        effect = cell.effect
        kind = effect.kind if effect else ""
        values = [_finite(v) for v in (effect.value, effect.low, effect.high)] if effect else [None] * 3
        ratio = values if kind == "ratio" else [None] * 3
        difference = values if kind == "difference" else [None] * 3
        yield {
            **head,
            "key": cell.case_key,
            "stage": cell.stage,
            "labels": dict(cell.labels),
            "metric": cell.metric,
            "value": _finite(cell.value),
            "ci_low": _finite(cell.low),
            "ci_high": _finite(cell.high),
            "n": cell.n,
            "unit": cell.unit,
            "flags": sorted(cell.flags),
            **tail,
            "verdict": effect.verdict if effect else "",
            "baseline": table.baseline,
            **dict(zip(("ratio", "ratio_low", "ratio_high"), ratio, strict=True)),
            **dict(zip(("difference", "difference_low", "difference_high"), difference, strict=True)),
            **dict(zip(("bootstrap_low", "bootstrap_high"), _bootstrap(effect), strict=True)),
            "p": effect.p if effect else None,
            "p_adjusted": effect.adjusted if effect else None,
            "p_equivalence": effect.equivalence if effect else None,
            "exploratory": cell.key != table.primary,
            "detectable": _finite(effect.detectable) if effect else None,
            "pairing_gain": _finite(effect.gain) if effect and effect.paired else None,
            "rank_group": cell.rank_group,
            "best": row.star and cell.key == table.primary,
            "mark": row.mark if cell.key == table.primary else "",
            "seen": _finite(row.seen) if cell.key == table.primary else None,
            "biased": row.biased,
        }


def _bootstrap(effect: Effect | None) -> tuple[float | None, float | None]:
    ends = effect.bootstrap if effect is not None else None
    return (_finite(ends[0]), _finite(ends[1])) if ends is not None else (None, None)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
