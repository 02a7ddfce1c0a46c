"""A family at a glance: verdicts and marks over its tasks, and means of ratios where they can be trusted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from ..api import STATUSES, FamilySpec, Outcome
from . import stats
from .profile import profiles
from .stats import Verdict
from .tables import Aggregate, Summary, Table
from .verdicts import Policy

FEWEST = 3
"""Tasks that a mean needs: with two, the t interval is 13 standard errors long on each side."""
WIDEST = 10.0
"""Largest ratio of the ends of the interval of a mean: where it is wider the tasks differ, and the range shows how."""


def summarize(
    name: str, spec: FamilySpec | None, *, tables: Sequence[Table], outcomes: Sequence[Outcome], policy: Policy
) -> Summary:
    """Summarize the tables of one family.

    Args:
        outcomes: outcomes of every planned case of the family, whatever its stage.
    """
    verdicts: dict[str, Counter[Verdict]] = {}
    stars: Counter[str] = Counter()
    unsettled: Counter[str] = Counter()
    places: dict[str, list[float]] = {}
    for table in tables:
        valued = [row for row in table.rows if table.primary in row.cells]
        for place, row in enumerate(valued):
            places.setdefault(row.label, []).append(place / max(len(valued) - 1, 1))
        for row in table.rows:
            cell = row.cells.get(table.primary)
            said: Verdict = cell.effect.verdict if cell is not None and cell.effect is not None else "untestable"
            if STATUSES[row.status].left_out:
                # What was never meant to run has no verdict.
                said = ""
            verdicts.setdefault(row.label, Counter())[said] += 1
            stars[row.label] += row.mark == "best"
            unsettled[row.label] += row.mark == "undecided"

    astray = {row.label for table in tables for row in table.rows if row.astray}

    def position(label: str) -> float:
        return sum(places[label]) / len(places[label]) if label in places else math.inf

    found = profiles(tables, {table.primary: policy.spec(table.primary) for table in tables})

    return Summary(
        family=name,
        title=spec.title if spec else name,
        tasks=len(tables),
        planned=len(outcomes),
        statuses=dict(Counter(outcome.status for outcome in outcomes).most_common()),
        labels=tuple(
            sorted(
                verdicts, key=lambda label: (label in astray, -found[label].area, -stars[label], position(label), label)
            )
        ),
        aggregates=tuple(_aggregates(tables, policy)),
        verdicts=verdicts,
        stars=stars,
        unsettled=unsettled,
        work=spec.work if spec else "",
        profiles=found,
        biased=frozenset(row.label for table in tables for row in table.rows if row.biased),
    )


def _aggregates(tables: Sequence[Table], policy: Policy) -> Iterator[Aggregate]:
    """Ratios over complete sets: each primary column on the log scale over its tasks, and seconds."""
    primaries = dict.fromkeys(t.primary for t in tables if policy.spec(t.primary).scale == "log")
    sets = {key: [t for t in tables if t.primary == key and t.baseline] for key in primaries}
    sets["time"] = [t for t in tables if t.timed and t.baseline]
    for key, own in sets.items():
        for label in dict.fromkeys(row.label for table in own for row in table.rows):
            effects = [
                row.cells[key].effect for table in own for row in table.rows if row.label == label and key in row.cells
            ]
            ratios = [
                e.value for e in effects if e is not None and 0 <= e.value < math.inf and e.verdict != "untestable"
            ]
            whole = len(ratios) == len(own)
            ratio, low, high = _trusted(ratios) if whole else (None, None, None)
            yield Aggregate(
                label=label,
                metric=key,
                ratio=ratio,
                low=low,
                high=high,
                least=min(ratios, default=None) if whole else None,
                most=max(ratios, default=None) if whole else None,
                tasks=len(ratios),
                of=len(own),
            )


def _trusted(ratios: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Geometric mean with its interval over tasks, if there are enough tasks and they agree well enough."""
    if len(ratios) < FEWEST or min(ratios) == 0:
        return None, None, None
    mean, low, high = stats.geometric_mean(ratios)
    if low is None or high is None or not high <= WIDEST * low:
        return None, None, None
    return mean, low, high
