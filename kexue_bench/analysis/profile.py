"""How far each method stays behind the best of a task, over many tasks: performance profiles (arXiv:cs/0102001)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..api import STATUSES, MetricSpec
from .tables import Profile, Row, Table

_LOSSES = frozenset({"progress-loss", "own-loss"})
"""Losses between 0 and 1: near 1 a ratio of them says nothing."""


def profiles(tables: Sequence[Table], specs: Mapping[str, MetricSpec]) -> dict[str, Profile]:
    """Label -> profile over the tables of one family.

    Args:
        specs: primary column -> spec of its metric.
    """
    found: dict[str, list[float]] = {}
    for table in tables:
        for label, factor in _factors(table, specs[table.primary]).items():
            found.setdefault(label, []).append(factor)
    labels = dict.fromkeys(row.label for table in tables for row in table.rows)
    return {label: Profile(factors=tuple(found.get(label, ())), tasks=len(tables)) for label in labels}


def measured_for(table: Table, row: Row) -> bool:
    """Whether a method was meant to run on a task; a stage of it that was left out does not matter."""
    return table.primary in row.cells or not STATUSES[row.status].left_out


def _factors(table: Table, spec: MetricSpec) -> dict[str, float]:
    """Label -> how many times worse than the best, of the rows that were meant to run."""
    meant = [row for row in table.rows if measured_for(table, row)]
    values = {row.label: _size(row, table.primary, spec) for row in meant}
    contest = [
        row.label
        for row in meant
        if not row.astray and not (table.primary in row.cells and row.cells[table.primary].zero)
    ]
    known = [value for label in contest or values if (value := values[label]) is not None]
    best = min(known, default=None)
    return {label: _times(value, best) for label, value in values.items()}


def _size(row: Row, primary: str, spec: MetricSpec) -> float | None:
    """What should be small; None without a result."""
    cell = row.cells.get(primary)
    if cell is None or math.isnan(cell.value) or spec.direction == "target":
        return None
    if spec.name in _LOSSES:
        # The odds of a loss are proportional to one over the budget: their ratio is the work that one method saves.
        return cell.value / (1 - cell.value) if cell.value < 1 else math.inf
    return -cell.value if spec.direction == "higher" else cell.value


def _times(value: float | None, best: float | None) -> float:
    """Ratio of two values of one sign; where the best is negative, as a score is here, the ratio is upside down."""
    if value is None or best is None:
        return math.inf
    if value <= best:
        return 1.0
    if best > 0:
        return value / best
    return best / value if value < 0 else math.inf
