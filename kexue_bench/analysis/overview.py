"""What to use in a family, in a few lines: which methods cover its tasks, by how much, and at what price."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from . import stats
from .aggregate import FEWEST, WIDEST
from .profile import measured_for
from .tables import Cell, Row, Summary, Table, Tabulation

Sign = Literal["best", "open", "better", "equivalent", "worse", "undecided", "baseline", "exact", "failed", "not meant"]
"""A method on a task: against the best of the table, and if it is worse than that, against the baseline."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How a method compares with the baseline in one column, over the tasks that have both.

    Args:
        column: the column; without labels where several are taken together.
        baseline: its label; empty if it differs from task to task.
        value: ratio or difference, over several tasks its mean; None if there are too few tasks for one, or they
            disagree too much.
        low: lower end of the 95 % interval: of one task over its units, of several over the tasks.
        least: smallest ratio or difference of a task.
        tasks: tasks that have both.
        of: tasks of the family.
    """

    column: str
    kind: Literal["ratio", "difference"]
    baseline: str
    value: float | None
    low: float | None
    high: float | None
    least: float
    most: float
    tasks: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a method costs in one column: on one task the cell, on several the range of ratios to the baseline."""

    column: str
    cell: Cell | None = None
    least: float = math.nan
    most: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A method to use, and the tasks that it covers.

    Args:
        label: the method.
        equals: methods that do as well on all of these tasks.
        best: tasks on which it is shown to be the best or equivalent to it.
        unsettled: tasks on which it may be the best: no method is shown to be.
        size: against the baseline over all tasks, or on its only task; None if it is the baseline, or there is none.
        prices: most important first.
        cell: on one task, its value in the column that decides.
        seen: largest difference that the unsettled tasks would have missed, as in `Row.seen`; None without one.
        biased: whether its mean differs from the truth on some task.
    """

    label: str
    equals: tuple[str, ...]
    best: tuple[str, ...]
    unsettled: tuple[str, ...]
    size: Size | None
    prices: tuple[Price, ...]
    cell: Cell | None = None
    seen: float | None = None
    biased: bool = False

    @property
    def tasks(self) -> int:
        """Tasks that it covers."""
        return len(self.best) + len(self.unsettled)


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A family at a glance.

    Args:
        tables: its tables, in printed order.
        choices: methods that together cover every task with a result, the one for most tasks first.
        labels: methods by their performance profiles, those that are exact somewhere last.
        signs: label -> one sign a table.
        exact: methods that are exact somewhere: references, no estimators.
    """

    summary: Summary
    tables: tuple[Table, ...]
    choices: tuple[Choice, ...]
    labels: tuple[str, ...]
    signs: Mapping[str, tuple[Sign, ...]]
    exact: tuple[str, ...]

    @property
    def family(self) -> str:
        """Name of the family."""
        return self.summary.family


def overviews(tabulation: Tabulation) -> tuple[Overview, ...]:
    """One for each family that has a table."""
    found = []
    for summary in tabulation.summaries:
        tables = tuple(table for table in tabulation.tables if table.family == summary.family)
        if tables:
            found.append(_overview(summary, tables))
    return tuple(found)


def _overview(summary: Summary, tables: tuple[Table, ...]) -> Overview:
    signs: dict[str, tuple[Sign, ...]] = {
        label: tuple(_sign(table, _row(table, label)) for table in tables) for label in summary.labels
    }
    exact = tuple(label for label, own in signs.items() if "exact" in own)
    return Overview(
        summary=summary,
        tables=tables,
        choices=tuple(_choices(summary, tables)),
        labels=(*(label for label in summary.labels if label not in exact), *exact),
        signs=signs,
        exact=exact,
    )


def _row(table: Table, label: str) -> Row | None:
    return next((row for row in table.rows if row.label == label), None)


def _sign(table: Table, row: Row | None) -> Sign:
    if row is None or not measured_for(table, row):
        return "not meant"
    cell = row.cells.get(table.primary)
    if cell is None:
        return "failed"
    if row.mark:
        return "best" if row.mark == "best" else "open"
    if cell.zero and not row.astray:
        return "exact"
    if cell.effect is None or cell.effect.verdict in {"", "untestable"}:
        return "baseline" if row.is_baseline else "undecided"
    verdict = cell.effect.verdict
    return verdict if verdict in {"better", "equivalent", "worse", "baseline"} else "undecided"  # pyright: ignore[reportReturnType]  # narrowed by the set


# -- which methods cover the tasks ------------------------------------------------------------------------------------


def _choices(summary: Summary, tables: Sequence[Table]) -> Iterator[Choice]:
    """Cover the tasks greedily: those with a winner first, then the open ones, by chosen methods where possible."""
    # What is exact somewhere is a reference, priced by the states that it visits: named if nothing else is best.
    exact = {row.label for table in tables for row in table.rows if _sign(table, row) == "exact"}
    winners = {i: _marked(table, "best", exact) for i, table in enumerate(tables)}
    opened = {i: _marked(table, "undecided", exact) for i, table in enumerate(tables)}
    best: dict[str, list[int]] = {}
    left = {i for i, labels in winners.items() if labels}
    while left:
        label = max(summary.labels, key=lambda one: sum(one in winners[i] for i in left))
        best[label] = sorted(i for i in left if label in winners[i])
        left -= {*best[label]}
    may: dict[str, list[int]] = {}
    left = {i for i, labels in opened.items() if labels and not winners[i]}
    while left:
        label = max(summary.labels, key=lambda one: (sum(one in opened[i] for i in left), one in best))
        may[label] = sorted(i for i in left if label in opened[i])
        left -= {*may[label]}
    for label in dict.fromkeys((*best, *may)):
        won, unsettled = best.get(label, []), may.get(label, [])
        places = [tables[i] for i in (*won, *unsettled)]
        rows = [row for table in places if (row := _row(table, label)) is not None]
        equal = [
            other
            for other in summary.labels
            if other != label and all(other in winners[i] for i in won) and all(other in opened[i] for i in unsettled)
        ]
        alone = places[0] if len(places) == 1 else None
        yield Choice(
            label=label,
            equals=tuple(equal),
            best=tuple(tables[i].task.label or tables[i].task.name for i in won),
            unsettled=tuple(tables[i].task.label or tables[i].task.name for i in unsettled),
            size=size_over(tables if alone is None else [alone], label),
            prices=tuple(_prices(places, label, summary.work)),
            cell=rows[0].cells.get(alone.primary) if alone is not None and rows else None,
            seen=max((row.seen for row in rows if row.seen is not None), default=None),
            biased=label in summary.biased,
        )


def _marked(table: Table, mark: str, exact: AbstractSet[str]) -> frozenset[str]:
    found = frozenset(row.label for row in table.rows if row.mark == mark)
    return found - exact or found


# -- by how much, and at what price -----------------------------------------------------------------------------------


def size_over(tables: Sequence[Table], label: str) -> Size | None:
    """A method against the baseline over the tasks that have both; of unlike columns, the one that most of them share.

    None if no task has both, or the method is the baseline on all of them.
    """
    found: dict[tuple[str, str], list[tuple[Table, Cell]]] = {}
    for table in tables:
        row = _row(table, label)
        cell = row.cells.get(table.primary) if row is not None and not row.is_baseline else None
        effect = cell.effect if cell is not None else None
        if cell is None or effect is None or not math.isfinite(effect.value) or effect.verdict == "untestable":
            continue
        found.setdefault((table.primary, effect.kind), []).append((table, cell))
    if not found:
        return None
    (column, _), pairs = max(found.items(), key=lambda item: len(item[1]))
    effects = [cell.effect for _, cell in pairs if cell.effect is not None]
    values = [effect.value for effect in effects]
    kind = effects[0].kind
    value, low, high = None, None, None
    if len(effects) == 1:
        value, low, high = values[0], effects[0].low, effects[0].high
    elif len(effects) >= FEWEST:
        value, low, high = _mean(values, kind)
    names = {table.baseline for table, _ in pairs}
    return Size(
        column=column,
        kind=kind,
        baseline=names.pop() if len(names) == 1 else "",
        value=value,
        low=low,
        high=high,
        least=min(values),
        most=max(values),
        tasks=len(pairs),
        of=len(tables),
    )


def _mean(
    values: Sequence[float], kind: Literal["ratio", "difference"]
) -> tuple[float | None, float | None, float | None]:
    """Mean over tasks with its t interval; nothing where the ratios disagree so much that no mean describes them."""
    if kind == "difference":
        contrast = stats.mean_contrast(values)
        return contrast.value, *contrast.interval()
    if min(values) <= 0:
        return None, None, None
    mean, low, high = stats.geometric_mean(values)
    if low is None or high is None or not high <= WIDEST * low:
        return None, None, None
    return mean, low, high


def _prices(tables: Sequence[Table], label: str, work: str) -> Iterator[Price]:
    """Counters, seconds and memory: the cells of a single task, the ratios to the baseline over several."""
    for column in dict.fromkeys(key for table in tables for key in price_columns(table, work)):
        cells = [(table, row.cells[column]) for table in tables if (row := _row(table, label)) and column in row.cells]
        if len(tables) == 1 and cells:
            yield Price(column=column, cell=cells[0][1])
            continue
        ratios = [ratio for table, cell in cells if (ratio := _against_baseline(table, column, cell)) is not None]
        if ratios:
            yield Price(column=column, least=min(ratios), most=max(ratios))


def price_columns(table: Table, work: str) -> list[str]:
    """Columns that say what a method costs, and do not decide: its work, then seconds, then memory."""
    return [key for key in (work, "time", "memory") if key in table.columns and key != table.primary]


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """An exact method that costs less time than the draws on which the best estimator is judged.

    Args:
        label: the exact method.
        seconds: of a call of it.
        other: the best estimator.
        draws: of it that the budget buys.
        spent: seconds that they take.
    """

    label: str
    seconds: float
    other: str
    draws: float
    spent: float


def shortcut(table: Table, work: str) -> Shortcut | None:
    """Whether an exact method is simply faster on a task that is decided at a budget of work.

    Args:
        work: column that counts the work of a draw.
    """
    timed = [(row, _sign(table, row) == "exact") for row in table.rows if "time" in row.cells]
    exact = min((row for row, known in timed if known), key=lambda row: row.cells["time"].value, default=None)
    best = next((row for row, known in timed if not known and {table.primary, work} <= row.cells.keys()), None)
    if exact is None or best is None or best.astray or "B" not in best.cells[table.primary].labels:
        return None
    draws = float(best.cells[table.primary].labels["B"]) / best.cells[work].value
    seconds, spent = exact.cells["time"].value, draws * best.cells["time"].value
    if seconds > spent:
        return None
    return Shortcut(label=exact.label, seconds=seconds, other=best.label, draws=draws, spent=spent)


def _against_baseline(table: Table, column: str, cell: Cell) -> float | None:
    base = next((row.cells.get(column) for row in table.rows if row.is_baseline), None)
    return cell.value / base.value if base is not None and base.value > 0 else None
