"""Published figures beside ours: which case corresponds to which figure, and whether ours reproduces it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from ..api import FigureKind, Instance, MethodSpec, PublishedSpec, Scale, TaskSpec
from ..catalog import selectors
from ..catalog.fields import fields_of
from ..catalog.registry import Registry
from ..errors import KexueError, UsageError
from .tables import Cell, Reproduction, Row


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A published figure with its selectors resolved.

    Args:
        against: the method whose value divides (on a linear scale, is subtracted); None if the figure is a value.
    """

    spec: PublishedSpec
    task: Instance
    method: Instance
    against: Instance | None = None


def figures(registry: Registry) -> tuple[tuple[Figure, ...], tuple[str, ...]]:
    """Every registered figure whose names resolve, and one note for each that does not."""
    found: list[Figure] = []
    notes: list[str] = []
    for spec in registry.published.values():
        try:
            found.append(resolve(spec, registry))
        except KexueError as error:
            notes.append(f"published figure {spec.family}/{spec.name}: {error}")
    return tuple(found), tuple(notes)


def resolve(spec: PublishedSpec, registry: Registry) -> Figure:
    """The instances that a figure's selectors select.

    Raises:
        UsageError: a selector selects several instances, or the range is not one of the figure's kind.
        UnknownNameError: a name is not registered.
    """
    _check(spec)
    against = _one(spec.against, spec.family, registry.methods_of(spec.family), "method", registry)
    task = _one(spec.task, spec.family, registry.tasks_of(spec.family), "task", registry)
    method = _one(spec.method, spec.family, registry.methods_of(spec.family), "method", registry)
    if task is None or method is None:
        raise UsageError("a published figure needs a task and a method", got=repr((spec.task, spec.method)))
    return Figure(spec=spec, task=task, method=method, against=against)


def _check(spec: PublishedSpec) -> None:
    """Refuse a range that its kind does not allow, that is empty, or that excludes the printed value itself."""
    kinds: tuple[str, ...] = get_args(FigureKind)
    if spec.kind not in kinds:
        raise UsageError(f"the kind of a published figure must be one of {', '.join(kinds)}", got=repr(spec.kind))
    if spec.kind != "vector" and (spec.entries or spec.within is not None):
        raise UsageError("only a vector has `entries` and `within`", got=f"the kind {spec.kind!r}")
    if spec.kind != "reading" and not spec.blind:
        raise UsageError("only a reading has `blind = false`", got=f"the kind {spec.kind!r}")
    low, value, high = spec.low, spec.value, spec.high
    match spec.kind:
        case "number" | "reading":
            _check_two_sides(spec)
        case "order":
            if value is not None or (low is None) == (high is None) or not spec.statement:
                raise UsageError("an order has a statement and one end of a range, and no value")
        case "vector":
            if len(spec.entries) < 2 or spec.within is None or not spec.within > 0:
                raise UsageError("a vector needs at least two entries and `within` > 0")
            if spec.against or not (low is value is high is None):
                raise UsageError("a vector has entries instead of a value, a range and a second method")


def _check_two_sides(spec: PublishedSpec) -> None:
    low, value, high = spec.low, spec.value, spec.high
    if low is None or high is None:
        raise UsageError(f"a {spec.kind} needs both ends of its range", do="use the kind 'order' for one side")
    if not low <= high:
        raise UsageError("the accepted range is empty", got=f"[{low:g}, {high:g}]")
    if value is not None and not low <= value <= high:
        raise UsageError("the accepted range excludes the published value", got=f"{value:g}")
    if value is None and (spec.kind == "reading" or not spec.statement):
        raise UsageError(f"a {spec.kind} needs a value")


def _one(
    text: str, family: str, specs: Mapping[str, MethodSpec] | Mapping[str, TaskSpec], kind: str, registry: Registry
) -> Instance | None:
    if not text:
        return None
    selector = selectors.parse(text)
    name = registry.real_name(family, selector.name) if kind == "method" else selector.name
    if name not in specs:
        raise registry.unknown(kind, selector.name, specs)
    spec = specs[name]
    instances = selectors.expand(selector, spec, fields_of(spec), source=registry.owner(kind, (family, name)))
    if len(instances) != 1:
        raise UsageError(f"a published figure belongs to one {kind}", got=repr(text))
    return instances[0]


def reproductions(
    known: Iterable[Figure], table: tuple[str, Instance], rows: Sequence[Row], scale: Callable[[str], Scale]
) -> tuple[Reproduction, ...]:
    """The rows of one table compared with the figures of its task, in order of registration.

    The value of a vector is the largest distance of its entries from the published ones. A figure whose method has no
    row was not requested and is left out; one whose row failed is `not measured`.

    Args:
        table: family and task.
        scale: scale of a metric; a figure of two methods is a ratio on the log scale, a difference on the linear one.
    """
    family, task = table
    return tuple(
        _reproduction(figure, row, rows, scale(figure.spec.metric.partition("[")[0]))
        for figure in known
        if figure.spec.family == family and selectors.same(figure.task, task)
        for row in rows
        if not row.search and selectors.same(row.method, figure.method)
    )


def _reproduction(figure: Figure, row: Row, rows: Sequence[Row], scale: Scale) -> Reproduction:
    spec = figure.spec
    interval = _furthest(spec, row) if spec.kind == "vector" else _ours(figure, row, rows, scale)
    missing = Reproduction(spec=spec, run=row.run, label=row.label)
    if interval is None or not all(math.isfinite(end) for end in interval):
        return missing
    value, low, high = interval
    least = -math.inf if spec.low is None else spec.low
    most = spec.within if spec.within is not None else math.inf if spec.high is None else spec.high
    if least <= low and high <= most:
        verdict = "reproduced"
    elif high < least or low > most:
        verdict = "not reproduced"
    else:
        verdict = "undecided"
    return replace(missing, value=value, low=low, high=high, verdict=verdict)


def _furthest(spec: PublishedSpec, row: Row) -> tuple[float, float, float] | None:
    """The largest distance of our entries from the published ones, with the interval that those of ours leave it."""
    found: list[tuple[float, float, float]] = []
    for labels, printed in spec.entries.items():
        ours = _interval(row.cells.get(f"{spec.metric}[{labels}]"))
        if ours is None:
            return None
        value, low, high = ours
        nearest = max(low - printed, printed - high, 0.0)
        found.append((abs(value - printed), nearest, max(abs(low - printed), abs(high - printed))))
    values, nearest, furthest = zip(*found, strict=True)
    return max(values), max(nearest), max(furthest)


def _ours(figure: Figure, row: Row, rows: Sequence[Row], scale: Scale) -> tuple[float, float, float] | None:
    """Our figure with its interval."""
    cell = row.cells.get(figure.spec.metric)
    if cell is None or figure.against is None:
        return _interval(cell)
    other = next(
        (r for r in rows if r.run == row.run and not r.search and selectors.same(r.method, figure.against)), None
    )
    if other is None:
        return None
    if other.is_baseline and cell.effect is not None:
        # Paired, so narrower than a combination of the two intervals.
        return cell.effect.value, cell.effect.low, cell.effect.high
    mine, theirs = _interval(cell), _interval(other.cells.get(figure.spec.metric))
    if mine is None or theirs is None:
        return None
    if scale == "linear":
        return mine[0] - theirs[0], mine[1] - theirs[2], mine[2] - theirs[1]
    if theirs[1] <= 0:
        return None
    return mine[0] / theirs[0], mine[1] / theirs[2], mine[2] / theirs[1]


def _interval(cell: Cell | None) -> tuple[float, float, float] | None:
    if cell is None:
        return None
    return (
        cell.value,
        cell.low if cell.low is not None else cell.value,
        cell.high if cell.high is not None else cell.value,
    )
