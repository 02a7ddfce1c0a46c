"""A family at a glance: verdicts and geometric means of ratios over its tasks, only over complete sets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from ..api import STATUSES, FamilySpec, Outcome
from . import stats
from .stats import Verdict
from .tables import Aggregate, Summary, Table
from .verdicts import Policy


def summarize(
    name: str, spec: FamilySpec | None, *, tables: Sequence[Table], outcomes: Sequence[Outcome], policy: Policy
) -> Summary:
    """Summarize the tables of one family.

    Args:
        outcomes: outcomes of every planned case of the family, whatever its stage.
    """
    verdicts: dict[str, Counter[Verdict]] = {}
    stars: Counter[str] = Counter()
    for table in tables:
        for row in table.rows:
            cell = row.cells.get(table.primary)
            said: Verdict = cell.effect.verdict if cell is not None and cell.effect is not None else "untestable"
            if STATUSES[row.status].left_out:
                # What was never meant to run has no verdict.
                said = ""
            verdicts.setdefault(row.label, Counter())[said] += 1
            stars[row.label] += row.star
    return Summary(
        family=name,
        title=spec.title if spec else name,
        tasks=len(tables),
        planned=len(outcomes),
        statuses=dict(Counter(outcome.status for outcome in outcomes).most_common()),
        aggregates=tuple(_aggregates(tables, policy)),
        verdicts=verdicts,
        stars=stars,
    )


def _aggregates(tables: Sequence[Table], policy: Policy) -> Iterator[Aggregate]:
    """Geometric means over complete sets: each primary column on the log scale over its tasks, and seconds."""
    primaries = dict.fromkeys(t.primary for t in tables if policy.spec(t.primary).scale == "log")
    sets = {key: [t for t in tables if t.primary == key and t.baseline] for key in primaries}
    sets["time"] = [t for t in tables if t.timed and t.baseline]
    for key, own in sets.items():
        for label in dict.fromkeys(row.label for table in own for row in table.rows):
            effects = [
                row.cells[key].effect for table in own for row in table.rows if row.label == label and key in row.cells
            ]
            ratios = [
                e.value for e in effects if e is not None and 0 < e.value < math.inf and e.verdict != "untestable"
            ]
            mean = stats.geometric_mean(ratios) if ratios and len(ratios) == len(own) else (None, None, None)
            yield Aggregate(
                label=label, metric=key, ratio=mean[0], low=mean[1], high=mean[2], tasks=len(ratios), of=len(own)
            )
