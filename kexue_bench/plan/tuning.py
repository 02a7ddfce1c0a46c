"""The trials of tuning: the same number for every method, spread over the product grid of its knobs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..api import Instance, Knob, MethodSpec, Scalar, TaskSpec
from ..catalog import conditions, selectors
from ..catalog.conditions import Scope
from ..catalog.fields import fields_of
from ..errors import PluginError

TASK = "task."
"""Prefix of a knob that changes a field of the task."""
Choice = Mapping[str, Scalar]


@dataclass(frozen=True, kw_only=True)
class Search:
    """Every trial of one method on one task.

    Args:
        method: with its knobs at their defaults; its label ends in `(tuned)`.
        trials: the point of each trial in order; a point that recurs is a repetition on other streams.
    """

    method: Instance
    trials: tuple[Choice, ...]


def search(method: Instance, task: Instance, spec: MethodSpec, task_spec: TaskSpec, trials: int) -> Search | None:
    """The trials of a method, over its own knobs and the task's together; None if there are none.

    A knob takes part if its `when` holds. The task's knobs (a learning rate) are tuned for every method; otherwise a
    method with knobs would have to use a learning rate that was not chosen for it. Values that a selector gave to a
    knob are replaced by the search.

    Raises:
        PluginError: a knob does not name a numeric field, has a value of another type, or a condition that reads
            something unknown.
    """
    scope = conditions.scope_of(spec, method, task_spec, task)
    names = frozenset({*scope.fields, *conditions.RESERVED})
    own, its = ([knob for knob in owner.knobs if _matters(knob, owner, scope, names)] for owner in (spec, task_spec))
    grids = {knob.field: _values(knob, spec) for knob in own}
    grids |= {TASK + knob.field: _values(knob, task_spec) for knob in its}
    if not grids:
        return None
    start = _defaults(method, spec, own)
    # A task's own fields make its table, so that what was asked for stays the first trial.
    first = start | {TASK + knob.field: task.params[knob.field] for knob in its}
    return Search(method=_tuned(method, spec, start), trials=spread(grids, trials, first=first))


def spread(grids: Mapping[str, Sequence[Scalar]], trials: int, *, first: Choice) -> tuple[Choice, ...]:
    """`trials` points: `first`, then evenly spread ones of a product grid; if all are used up, they are repeated."""
    axes = list(grids.values())
    start = tuple(first[name] for name in grids)
    found: dict[tuple[Scalar, ...], None] = {start: None}
    outside = any(value not in axis for value, axis in zip(start, axes, strict=True))
    step = 0
    while len(found) < min(trials, outside + math.prod(map(len, axes))):
        found[tuple(axis[i] for axis, i in zip(axes, _cell(step, axes), strict=True))] = None
        step += 1
    points = [dict(zip(grids, values, strict=True)) for values in found][:trials]
    return tuple(points[i % len(points)] for i in range(trials))


def repetitions(trials: Sequence[Choice]) -> tuple[int, ...]:
    """How often the point of each trial occurred before."""
    seen: Counter[tuple[Scalar, ...]] = Counter()
    out = []
    for point in trials:
        out.append(seen[tuple(point.values())])
        seen[tuple(point.values())] += 1
    return tuple(out)


def edges(trials: Sequence[Choice], chosen: Choice) -> tuple[str, ...]:
    """Knobs whose chosen value is the smallest or largest of those tried: a better one may lie beyond.

    Zero switches a knob off or leaves its value to the method (a smoothing of 0, a weight taken from the data): it is
    not a point of the scale, so it neither is an edge nor hides one.
    """
    tried = {name: {point[name] for point in trials} - {0} for name in chosen}
    return tuple(
        name
        for name, value in chosen.items()
        if len(tried[name]) > 1 and value in {min(tried[name], key=float), max(tried[name], key=float)}
    )


def apply(instance: Instance, chosen: Choice, *, task: bool) -> Instance:
    """The instance with what was chosen for it: the task's fields, or the method's."""
    own = {k.removeprefix(TASK): v for k, v in chosen.items() if k.startswith(TASK) == task}
    return replace(instance, params={**instance.params, **own}) if own else instance


def describe(chosen: Choice) -> str:
    """`temperature=0.5, task.lr=0.003`."""
    return ", ".join(f"{name}={selectors.text(value)}" for name, value in chosen.items())


def _cell(step: int, axes: Sequence[Sequence[Scalar]]) -> list[int]:
    """Position of a step in the grid: multiples of irrational numbers modulo 1, which fill the grid evenly."""
    ratio = 2.0
    for _ in range(32):
        # The root of x^(d+1) = x + 1, which generalizes the golden ratio (one axis).
        ratio = (1 + ratio) ** (1 / (len(axes) + 1))
    return [int(len(axis) * ((0.5 + step * ratio ** -(j + 1)) % 1)) for j, axis in enumerate(axes)]


def _matters(knob: Knob, owner: MethodSpec | TaskSpec, scope: Scope, names: frozenset[str]) -> bool:
    conditions.check(knob.when, what=f"the condition of knob {knob.field!r} of {owner.name!r}", names=names)
    return conditions.holds(knob.when, scope)


def _values(knob: Knob, owner: MethodSpec | TaskSpec) -> tuple[Scalar, ...]:
    kind = next((field.type for field in fields_of(owner) if field.name == knob.field), "")
    if kind == "float":
        return tuple(float(value) for value in knob.grid)
    if kind == "int" and all(value == int(value) for value in knob.grid):
        return tuple(int(value) for value in knob.grid)
    raise PluginError(
        f"the knob {knob.field!r} of {owner.name!r} must name a field of type float or int with a grid of that type",
        got=f"{kind or 'no such field'} and {list(knob.grid)}",
    )


def _defaults(instance: Instance, spec: MethodSpec, knobs: Sequence[Knob]) -> dict[str, Scalar]:
    """Declared defaults of the knobs; the instance's own value if there is none."""
    declared = {field.name: field.default for field in fields_of(spec)}
    found = {knob.field: declared.get(knob.field) for knob in knobs}
    return {name: instance.params[name] if value is None else value for name, value in found.items()}


def _tuned(method: Instance, spec: MethodSpec, defaults: Choice) -> Instance:
    """The method with its knobs reset, named by its other parameters."""
    declared = {field.name: field.default for field in fields_of(spec)}
    shown = [
        f"{name}={selectors.text(value)}"
        for name, value in method.params.items()
        if name not in defaults and value != declared.get(name)
    ]
    label = method.name + (f"[{','.join(shown)}]" if shown else "")
    plugin = method.label.removeprefix(method.plain)
    return replace(method, params={**method.params, **defaults}, label=f"{label} (tuned){plugin}")
