"""Which methods to choose under constraints: those that no other one beats in both error and price."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..api import MethodSpec, TaskSpec
from ..catalog.conditions import holds, scope_of
from ..errors import UnknownNameError, UsageError
from .overview import price_columns
from .profile import measured_for
from .tables import Cell, Row, Summary, Table, Tabulation

Have = Literal["gradient", "values"]
GRADIENTS = frozenset({"differentiable", "relaxable"})
"""Words of methods that need derivatives of what is given."""
_LETTER = re.compile(r"[A-Za-z]|\(\d+\)")
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The most that a method may cost in one column: `64 evaluations`, `50 ms`, `2 GB`."""

    column: str
    most: float
    text: str

    @classmethod
    def of(cls, text: str, counters: Iterable[str]) -> Limit:
        """Read one from text.

        Args:
            counters: names of the columns that count work.

        Raises:
            UsageError: it is not a positive number with a unit.
        """
        match = re.fullmatch(r"([0-9.]+(?:e[0-9]+)?) *(\S+)", text.strip())
        try:
            value = float(match[1]) if match else math.nan
        except ValueError:
            value = math.nan
        unit = match[2] if match else ""
        if value > 0:
            for column, units in (("time", _SECONDS), ("memory", _BYTES)):
                if unit in units:
                    return cls(column=column, most=value * units[unit], text=text.strip())
            if unit in counters:
                return cls(column=unit, most=value, text=text.strip())
        known = ", ".join(("ms", "GB", *counters))
        raise UsageError("a budget is a positive number with a unit", got=repr(text), do=f"units: {known}")


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a method must fulfil.

    Args:
        claims: properties that it must claim, and not be seen to break.
        limits: the most that it may cost on every task.
        have: what is given: `values` of the function only, or its `gradient` too.
    """

    claims: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    have: Have = "gradient"


@dataclass(frozen=True, kw_only=True)
class Specs:
    """What is declared: (family, name) -> spec."""

    methods: Mapping[tuple[str, str], MethodSpec] = field(default_factory=dict)
    tasks: Mapping[tuple[str, str], TaskSpec] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Option:
    """A method of the Pareto set.

    Args:
        efficient: tasks on which no other method is better in one of error and price without being worse in the other.
        best: those of them on which it has the smallest error, or is not shown to differ from the one that has.
        ran: tasks on which it has a result.
        cells: task -> its cell in the column that decides.
        prices: column -> smallest and largest price over the tasks.
    """

    label: str
    efficient: tuple[str, ...]
    best: tuple[str, ...]
    ran: int
    cells: Mapping[str, Cell]
    prices: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The answer.

    Args:
        options: the Pareto set, the method that is efficient on most tasks first.
        excluded: reason -> methods that it excludes; those that would be in the set without it come first.
        gained: reason -> those of its methods that would be in the set without it.
        conditions: method -> the conditions under which it claims what was asked for.
        unsettled: tasks on which no option is shown to be the best.
        indifferent: whether no two options are known to differ on any task.
    """

    family: str
    tasks: tuple[str, ...]
    options: tuple[Option, ...]
    excluded: Mapping[str, tuple[str, ...]]
    gained: Mapping[str, tuple[str, ...]]
    conditions: Mapping[str, tuple[str, ...]]
    unsettled: tuple[str, ...]
    indifferent: bool


def recommend(
    tabulation: Tabulation,
    specs: Specs,
    family: str,
    need: Need,
    *,
    tasks: Sequence[str] = (),
) -> Recommendation:
    """The methods of one family that fulfil a need, and what excludes the others.

    Args:
        specs: of methods and tasks, for claims and needs.
        tasks: names or labels of the tasks that count; empty means all of the family.

    Raises:
        UnknownNameError: no method of the family makes one of the claims, or no table belongs to the family or a task.
    """
    tables = [table for table in tabulation.tables if table.family == family]
    if not tables:
        raise UnknownNameError("family in these runs", family, {table.family for table in tabulation.tables})
    words = {name for table in tables for name in (table.task.name, table.task.label)}
    for name in tasks:
        if name not in words:
            raise UnknownNameError("task in these runs", name, words)
    tables = [table for table in tables if not tasks or {table.task.name, table.task.label} & {*tasks}]
    by_label = {row.label: specs.methods.get((family, row.method.name)) for table in tables for row in table.rows}
    known = {claim.name for spec in by_label.values() if spec is not None for claim in spec.claims}
    for claim in need.claims:
        if claim not in known:
            raise UnknownNameError("claim", claim, known)
    summary = next((one for one in tabulation.summaries if one.family == family), None)
    reasons = {label: _reasons(label, spec, tables, need, specs) for label, spec in by_label.items()}
    allowed = {label for label, own in reasons.items() if not own}
    options = _options(tables, allowed, tabulation, summary, by_label)
    excluded: dict[str, list[str]] = {}
    gained: dict[str, list[str]] = {}
    for label, own in reasons.items():
        for reason in own:
            excluded.setdefault(reason, []).append(label)
        if len(own) == 1:
            found = _options(tables, {*allowed, label}, tabulation, summary, by_label)
            if any(option.label == label for option in found):
                gained.setdefault(own[0], []).append(label)
    return Recommendation(
        family=family,
        tasks=tuple(map(_name, tables)),
        options=tuple(options),
        excluded={reason: tuple(labels) for reason, labels in excluded.items()},
        gained={reason: tuple(labels) for reason, labels in gained.items()},
        conditions={option.label: _conditions(by_label[option.label], need) for option in options},
        unsettled=tuple(_name(table) for table in tables if not any(row.mark == "best" for row in table.rows)),
        indifferent=len(options) > 1 and all({*option.best} == {*map(_name, tables)} for option in options),
    )


def _name(table: Table) -> str:
    return table.task.label or table.task.name


def _conditions(spec: MethodSpec | None, need: Need) -> tuple[str, ...]:
    claims = spec.claims if spec is not None else ()
    return tuple(f"{claim.name} when {claim.when}" for claim in claims if claim.when and claim.name in need.claims)


def _reasons(label: str, spec: MethodSpec | None, tables: Sequence[Table], need: Need, specs: Specs) -> list[str]:
    """Why a method does not fulfil the need; empty if it does."""
    places = [(table, row) for table in tables for row in table.rows if row.label == label]
    rows = [row for _, row in places]
    out = []
    for claim in need.claims:
        conditions = [one.when for one in spec.claims if one.name == claim] if spec is not None else []
        if not conditions:
            out.append(f"does not claim {claim}")
        elif spec is not None and not all(_claims(spec, conditions, *place, claim, specs) for place in places):
            out.append(f"claims {claim} only when {' or '.join(conditions)}")
        elif claim == "unbiased" and any(row.biased for row in rows):
            out.append("claims unbiased, and was seen to be biased")
    if need.have == "values" and spec is not None and spec.needs & GRADIENTS:
        out.append("needs derivatives of the function")
    for limit in need.limits:
        cells = [row.cells[limit.column] for row in rows if limit.column in row.cells]
        if not cells:
            out.append(f"its {limit.column} was not measured")
        elif max(cell.value for cell in cells) > limit.most:
            out.append(f"costs more than {limit.text}")
    return out


def _claims(spec: MethodSpec, conditions: Sequence[str], table: Table, row: Row, claim: str, specs: Specs) -> bool:
    """Whether a condition of a claim holds for a row; without the spec of the task only the empty one does."""
    task = specs.tasks.get((table.family, table.task.name))
    if "" in conditions or task is None:
        return "" in conditions
    scope = scope_of(spec, row.method, task, table.task, dtype=table.dtype, claim=claim)
    return any(holds(when, scope) for when in conditions)


# -- the Pareto set ---------------------------------------------------------------------------------------------------


def _options(
    tables: Sequence[Table],
    allowed: set[str],
    tabulation: Tabulation,
    summary: Summary | None,
    specs: Mapping[str, MethodSpec | None],
) -> list[Option]:
    efficient: dict[str, list[str]] = {}
    best: dict[str, list[str]] = {}
    for table in tables:
        sign = -1.0 if tabulation.spec(table.family, table.primary).direction == "higher" else 1.0
        rows = [row for row in table.rows if row.label in allowed and _valued(table, row)]
        price = _price_column(table, rows, summary.work if summary else "")
        for row in rows:
            others = [other for other in rows if other is not row]
            if not any(_dominates(other, row, table.primary, sign, price) for other in others):
                efficient.setdefault(row.label, []).append(_name(table))
            if not any(_beats(other, row, table.primary, sign) for other in others):
                best.setdefault(row.label, []).append(_name(table))
    rank = {label: i for i, label in enumerate(summary.labels if summary else specs)}
    order = sorted(efficient, key=lambda label: (-len(efficient[label]), -len(best.get(label, ())), rank[label]))
    return [_option(label, efficient[label], best.get(label, []), tables, summary) for label in order]


def _option(
    label: str,
    efficient: Sequence[str],
    best: Sequence[str],
    tables: Sequence[Table],
    summary: Summary | None,
) -> Option:
    cells: dict[str, Cell] = {}
    prices: dict[str, tuple[float, float]] = {}
    for table in tables:
        for row in table.rows:
            if row.label == label and table.primary in row.cells:
                cells[_name(table)] = row.cells[table.primary]
                for column in price_columns(table, summary.work if summary else ""):
                    if column in row.cells:
                        value = row.cells[column].value
                        low, high = prices.get(column, (value, value))
                        prices[column] = (min(low, value), max(high, value))
    return Option(
        label=label,
        efficient=tuple(efficient),
        best=tuple(name for name in best if name in efficient),
        ran=len(cells),
        cells=cells,
        prices=prices,
    )


def _valued(table: Table, row: Row) -> bool:
    cell = row.cells.get(table.primary)
    return measured_for(table, row) and cell is not None and not math.isnan(cell.value) and not row.astray


def _price_column(table: Table, rows: Sequence[Row], work: str) -> str:
    """The first column of prices that every row has; empty if there is none."""
    return next((key for key in price_columns(table, work) if all(key in row.cells for row in rows)), "")


def _dominates(one: Row, other: Row, primary: str, sign: float, price: str) -> bool:
    """Whether `one` is known to be better than `other` in error or price, and no worse in the other of the two."""
    cheaper = bool(price) and _beats(one, other, price, 1.0)
    dearer = bool(price) and _beats(other, one, price, 1.0)
    if _beats(one, other, primary, sign):
        return not dearer
    apart = _beats(other, one, primary, sign)
    return cheaper and not apart and sign * one.cells[primary].value <= sign * other.cells[primary].value


def _beats(one: Row, other: Row, column: str, sign: float) -> bool:
    """Whether the rows differ: no letter in common in the column, or without letters, intervals that do not meet."""
    a, b = one.cells[column], other.cells[column]
    if sign * a.value >= sign * b.value:
        return False
    if a.rank_group and b.rank_group:
        return not {*_LETTER.findall(a.rank_group)} & {*_LETTER.findall(b.rank_group)}
    ends = [[end for end in (cell.low, cell.high) if end is not None] or [cell.value] for cell in (a, b)]
    return max(sign * end for end in ends[0]) < min(sign * end for end in ends[1])
