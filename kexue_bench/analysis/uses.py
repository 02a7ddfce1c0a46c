"""The columns at a budget: what the draws that B units of work buy are worth, priced when results are read.

A draw costs what it counted, `evaluations + backward_cost * backwards` for gradients and `products` for
log-determinants; the mean of n = B / cost draws is judged. The price is part of the reading and of no case's key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..api import SUSPECT, FamilySpec, MetricSpec, Moments, Scale
from . import progress
from .progress import Worth
from .units import EPS, Entry, Units

BELOW = "below-one-draw"
"""Flag of a cell: one draw costs more than the budget."""
OFF_LENGTH = "off-length"
"""Flag of a length whose whole interval lies outside `LENGTHS`."""
LENGTHS = (0.8, 1.25)
LOSSES: Mapping[str, tuple[str, ...]] = {
    "": (),
    "progress-loss": ("progress-loss", "own-loss"),
    "budget-error": ("budget-error",),
}
"""What a family is judged by -> the metrics at a budget."""
_MADE: Mapping[str, Callable[[Moments, float], Worth]] = {
    "progress-loss": progress.progress,
    "own-loss": progress.own_scale,
    "budget-error": progress.error,
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The columns at a budget of one method.

    Args:
        units: column -> units.
        below: columns of budgets that do not pay one draw -> units without numbers.
        reason: why there are none; empty if there are.
        dimension: entries of the truth; 0 if unknown.
        directed: whether the truth is not zero.
        biased: whether the mean clearly differs from the truth.
    """

    units: Mapping[str, Units] = field(default_factory=dict)
    below: Mapping[str, Units] = field(default_factory=dict)
    reason: str = ""
    dimension: int = 0
    directed: bool = False
    biased: bool = False


def column(metric: str, budget: float) -> str:
    """The column of a metric at a budget.

    >>> column("progress-loss", 16.0)
    'progress-loss[B=16]'
    """
    return f"{metric}[B={budget:g}]"


def judge_draws(
    entries: Sequence[Entry], family: FamilySpec, *, spec: Callable[[str], MetricSpec], backward: float
) -> Judged:
    """The columns at a budget from the `mse` measurements of one method.

    Args:
        entries: the repetitions of one estimation.
        family: what it is judged by, and at which budgets.
        spec: the spec of a metric.
        backward: price of a backward pass, in evaluations.
    """
    if not family.judged_by:
        return Judged()
    found = [(entry, entry.measurement.moments) for entry in entries]
    known = [(entry, moments) for entry, moments in found if moments is not None]
    if len(known) < len(found) or not known:
        return Judged(reason="measured by a version that did not record moments; run it again")
    price = _price(known[0][0].outcome.cost, family.work, backward)
    first = known[0][1]
    units: dict[str, Units] = {}
    below: dict[str, Units] = {}
    metrics = LOSSES[family.judged_by] if first.norm > 0 or family.judged_by == "budget-error" else ()
    for metric in metrics:
        for budget in family.uses:
            n = budget / price if price > 0 else math.inf
            key = column(metric, budget)
            worth = progress.pooled([_MADE[metric](moments, n) for _, moments in known])
            (units if n >= 1 else below)[key] = _units(
                known, metric, key, budget, worth, spec(metric).scale, below=n < 1
            )
    if first.norm > 0 and family.judged_by == "progress-loss":
        units["length"] = _length(known)
    return Judged(
        units=units,
        below=below,
        dimension=first.dimension,
        directed=first.norm > 0,
        biased=any(progress.clearly_biased(moments) for _, moments in known),
    )


def _price(cost: Mapping[str, float], work: str, backward: float) -> float:
    return cost.get(work, 0.0) + backward * cost.get("backwards", 0.0)


def _units(
    known: Sequence[tuple[Entry, Moments]],
    metric: str,
    key: str,
    budget: float,
    worth: Worth,
    scale: Scale,
    *,
    below: bool,
) -> Units:
    entry = known[0][0]
    flags = _flags(known) | ({f"few draws for B = {budget:g}"} if worth.short else frozenset())
    return Units(
        key=key,
        metric=metric,
        kind="worth",
        scale=scale,
        value=math.nan if below else worth.loss,
        low=None if below else worth.low,
        high=None if below else worth.high,
        n=worth.draws,
        flags=frozenset({BELOW}) if below else flags,
        stage=entry.case.stage,
        case_key=entry.case.key,
        labels={"B": f"{budget:g}"},
        exact=worth.exact,
        eps=EPS.get(entry.case.dtype, EPS["float32"]),
        worth=worth,
    )


def _length(known: Sequence[tuple[Entry, Moments]]) -> Units:
    entry, count = known[0][0], len(known)
    parts = [progress.length(moments) for _, moments in known]
    value = math.fsum(part[0] for part in parts) / count
    half = math.sqrt(math.fsum(((part[2] - part[1]) / 2) ** 2 for part in parts)) / count
    off = value + half < LENGTHS[0] or value - half > LENGTHS[1]
    return Units(
        key="length",
        metric="length",
        kind="single",
        scale="linear",
        value=value,
        low=value - half,
        high=value + half,
        n=sum(moments.draws * len(moments.along) for _, moments in known),
        flags=_flags(known) | ({OFF_LENGTH} if off else frozenset()),
        stage=entry.case.stage,
        case_key=entry.case.key,
        exact=all(len(moments.along) == 1 for _, moments in known),
    )


def _flags(known: Iterable[tuple[Entry, Moments]]) -> frozenset[str]:
    kept = frozenset({"heavy-tail", "exact", "enumerated", "diverged", "reference", SUSPECT})
    return frozenset().union(*(entry.measurement.flags & kept for entry, _ in known))


# -- what decides -----------------------------------------------------------------------------------------------------


def decider(wanted: str, family: FamilySpec | None, judged: Sequence[Judged]) -> str:
    """The column that decides a table: that of the first budget, for a metric at a budget.

    A truth of one dimension is decided by the own-scale loss, because there every constant of the right sign points
    along it; without a truth there is nothing to point along, and the mean squared error decides.
    """
    measured = any(one.dimension or one.reason for one in judged)
    if family is None or not measured or wanted not in LOSSES[family.judged_by]:
        return wanted
    known = [one for one in judged if not one.reason and one.dimension]
    if wanted == "progress-loss" and known:
        if not any(one.directed for one in known):
            return "mse"
        wanted = "own-loss" if known[0].dimension == 1 else wanted
    return column(wanted, family.uses[0])


def explained(primary: str, family: FamilySpec, judged: Sequence[Judged], *, backward: float) -> str:
    """What decides a table of a judged family, in one sentence."""
    metric = primary.partition("[")[0]
    unit = f"{family.uses[0]:g} {family.work}"
    if family.judged_by == "budget-error":
        return f"decided by the error of a mean that costs {unit}" if metric == "budget-error" else ""
    price = "one f or one gradient of f" if backward == 1 else f"one f, or 1/{backward:g} of a gradient of f"
    if not backward:
        price = "one f; gradients of f are free"
    unit = f"1 unit = {price}"
    if metric == "progress-loss":
        return (
            f"decided by the share of the exact step's progress that {family.uses[0]:g} units of work do not buy, each "
            f"method with its own best step; {unit}; the length of the estimate is ignored (column `length`)"
        )
    if metric == "own-loss":
        why = "the truth has one dimension, so that any constant of its sign points along it"
        return f"decided by the own-scale loss at {family.uses[0]:g} units of work ({unit}): {why}"
    if metric == "mse" and not any(one.directed for one in judged):
        return "decided by the mse of one draw: the truth is zero, so that no direction is right"
    return ""
