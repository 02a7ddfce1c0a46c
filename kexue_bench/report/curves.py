"""The content of plots as plain numbers: bias and variance, error against budget, curves, training against exact."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..analysis import stats
from ..analysis.tables import Row, Table
from ..api import Measurement, Outcome, Plan


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """One method on one sampling task: the components of its error and the cost of a draw.

    Args:
        bias: norm of the bias; 0 if it is not distinguishable from 0.
        bias_high: upper end of its 95 % interval.
        variance: of one draw.
        variance_low: lower end of its 95 % interval.
        variance_high: upper end.
        work: units of work of one draw (`evaluations`).
        seconds: of one draw; None if it was not timed.
    """

    label: str
    bias: float
    bias_low: float
    bias_high: float
    variance: float
    variance_low: float
    variance_high: float
    work: float
    seconds: float | None = None

    @property
    def biased(self) -> bool:
        """Whether the bias is distinguishable from 0."""
        return self.bias > 0

    def cost(self, axis: str) -> float | None:
        """Cost of one draw, on the axis `work` or `time`."""
        return self.work if axis == "work" else self.seconds

    def mse(self, budget: float, cost: float) -> float:
        """`|b|^2 + V cost / budget`: the error of the mean of as many draws as the budget pays for."""
        return self.bias**2 + self.variance * cost / budget


def estimators(table: Table, work: str) -> tuple[Estimator, ...]:
    """Every row of a table that has a bias, a positive variance and a counted cost.

    Args:
        work: name of the family's counter.
    """
    found = (_estimator(row, work) for row in table.rows)
    return tuple(sorted((e for e in found if e is not None), key=lambda e: e.label))


def _estimator(row: Row, work: str) -> Estimator | None:
    bias, variance, cost = (row.cells.get(name) for name in ("bias", "variance", work))
    if bias is None or variance is None or cost is None or not variance.value > 0 or not cost.value > 0:
        return None
    low = bias.low if bias.low is not None else bias.value
    high = bias.high if bias.high is not None else bias.value
    time = row.cells.get("time")
    return Estimator(
        label=row.label,
        bias=0.0 if "bound" in bias.flags or low <= 0 else bias.value,
        bias_low=low,
        bias_high=high,
        variance=variance.value,
        variance_low=variance.low if variance.low is not None else variance.value,
        variance_high=variance.high if variance.high is not None else variance.value,
        work=cost.value,
        seconds=time.value if time is not None else None,
    )


@dataclass(frozen=True, kw_only=True)
class Lead:
    """From this budget on, a method has the smallest mean squared error."""

    budget: float
    label: str


def leads(found: Sequence[Estimator], axis: str) -> tuple[Lead, ...]:
    """The best method at each budget, from the smallest on: the lower envelope of the errors.

    In `u = 1 / budget` every error is a line `|b|^2 + V cost u`; as the budget grows u falls, and the lead passes to
    lines with a smaller intercept and a steeper slope: less bias and more variance.
    """
    lines = [(e.variance * cost, e.bias**2, e.label) for e in found if (cost := e.cost(axis)) is not None]
    if not lines:
        return ()
    slope, bias, label = min(lines)
    out, u = [Lead(budget=0.0, label=label)], math.inf
    while True:
        # Where the lines with less bias cross that of the leader, below the current u.
        crossings = [((b - bias) / (slope - s), s, b, name) for s, b, name in lines if b < bias and s > slope]
        crossings = [crossing for crossing in crossings if 0 < crossing[0] < u]
        if not crossings:
            return tuple(out)
        u, slope, bias, label = max(crossings, key=lambda c: (c[0], -c[2]))
        out.append(Lead(budget=1 / u, label=label))


@dataclass(frozen=True, kw_only=True)
class Gap:
    """How far a training is behind the reference at its measured steps, with 95 % intervals over replicates."""

    label: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    replicates: int


def gaps(
    plan: Plan, outcomes: Mapping[str, Outcome], table: Table, *, metric: str, against: str, higher: bool
) -> tuple[Gap, ...]:
    """Every row's training curve minus the reference's, replicate by replicate: positive is behind.

    Args:
        metric: name of a metric measured along the way.
        against: label of the reference's row.
        higher: whether higher values of the metric are better.

    Returns:
        One for each other method with at least two common replicates; empty if the reference has no curve.
    """
    curves: dict[str, dict[int, dict[int, float]]] = {}
    for label, replicate, m in _measured(plan, outcomes, table, metric):
        if m.point is not None and m.value is not None and not m.labels:
            curves.setdefault(label, {}).setdefault(m.point, {})[replicate] = m.value
    reference = curves.get(against, {})
    found = (_gap(label, curve, reference, -1.0 if higher else 1.0) for label, curve in curves.items())
    return tuple(gap for gap in found if gap is not None and gap.label != against)


def _measured(
    plan: Plan, outcomes: Mapping[str, Outcome], table: Table, metric: str
) -> Iterator[tuple[str, int, Measurement]]:
    """Label of the method, replicate and measurement of every row of a metric in the evaluations of a table."""
    for case in plan.cases:
        here = (case.family, case.task.name, dict(case.task.params), case.device, case.dtype)
        if here != (table.family, table.task.name, dict(table.task.params), table.device, table.dtype):
            continue
        outcome = outcomes.get(case.key)
        for m in outcome.measurements if outcome is not None and case.stage == "evaluate" else ():
            if m.metric == metric:
                yield case.method.label, m.replicate if m.replicate is not None else case.replicates[0], m


def _gap(
    label: str, curve: Mapping[int, Mapping[int, float]], reference: Mapping[int, Mapping[int, float]], sign: float
) -> Gap | None:
    steps, values, low, high, count = [], [], [], [], 0
    for step in sorted(set(curve) & set(reference)):
        common = sorted(set(curve[step]) & set(reference[step]))
        if len(common) < 2:
            continue
        contrast = stats.mean_contrast([sign * (curve[step][r] - reference[step][r]) for r in common])
        ends = contrast.interval()
        steps.append(step)
        values.append(contrast.value)
        low.append(ends[0])
        high.append(ends[1])
        count = len(common)
    if not steps:
        return None
    return Gap(
        label=label, steps=tuple(steps), values=tuple(values), low=tuple(low), high=tuple(high), replicates=count
    )


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A metric over the points at which one method was measured, with 95 % intervals.

    Args:
        points: steps, or another quantity that the task varies, ascending.
        threshold: the point from which on the method is known to behave differently; None if none was recorded.
        reference: a curve that the task knows, not a measured one.
    """

    label: str
    points: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    threshold: float | None = None
    reference: bool = False


def trails(plan: Plan, outcomes: Mapping[str, Outcome], table: Table, *, metric: str) -> tuple[Curve, ...]:
    """The curve of every method that has one, as means over replicates; then the references that the task recorded.

    A measurement with the label `reference` belongs to the reference of that name, whichever method's case has it.
    """
    found: dict[tuple[bool, str], dict[int, dict[int, Measurement]]] = {}
    for label, replicate, m in _measured(plan, outcomes, table, metric):
        if m.point is not None and m.value is not None:
            name = m.labels.get("reference", "")
            found.setdefault((bool(name), name or label), {}).setdefault(m.point, {})[replicate] = m
    edges = {row.method.label: row.cells["threshold"].value for row in table.rows if "threshold" in row.cells}
    return tuple(
        _curve(label, points, threshold=edges.get(label), reference=reference)
        for (reference, label), points in sorted(found.items())
    )


def priced(found: Sequence[Curve], table: Table, cost: str) -> tuple[Curve, ...]:
    """The same curves over the cost of their steps; those without that cost, and references, are left out.

    The cost of a step is a mean over the run: equal seconds are computed, not measured as a race.

    Args:
        cost: column of the cost of one step: `time`, or a counter (`flops`).
    """
    prices = {row.method.label: row.cells[cost].value for row in table.rows if cost in row.cells}
    known = [(c, price) for c in found if not c.reference and (price := prices.get(c.label)) is not None]
    return tuple(replace(c, points=tuple(price * point for point in c.points), threshold=None) for c, price in known)


def _curve(
    label: str, points: Mapping[int, Mapping[int, Measurement]], *, threshold: float | None, reference: bool
) -> Curve:
    ends = [_ends([*points[point].values()]) for point in sorted(points)]
    values, low, high = zip(*ends, strict=True)
    return Curve(
        label=label,
        points=tuple(sorted(points)),
        values=values,
        low=low,
        high=high,
        threshold=threshold,
        reference=reference,
    )


def _ends(replicates: Sequence[Measurement]) -> tuple[float, float, float]:
    """Mean and interval: over replicates if there are several, else the measurement's own."""
    values = [m.value for m in replicates if m.value is not None]
    if len(values) > 1:
        contrast = stats.mean_contrast(values)
        return contrast.value, *contrast.interval()
    own = replicates[0]
    return values[0], values[0] if own.low is None else own.low, values[0] if own.high is None else own.high
