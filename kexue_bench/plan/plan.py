"""Methods x tasks x stages x replicates -> ordered cases, grouped into jobs.

The plan is made without importing a target: what a method needs and a task offers decides `unsupported` here. Every
planned cell has a case, so that nothing can go missing unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from ..api import FITTING, Case, FamilySpec, Instance, Job, MethodSpec, Outcome, Plan, TaskSpec
from ..catalog import selectors
from ..catalog.fields import Field
from ..catalog.plugins import Hooks
from ..catalog.registry import Registry
from ..catalog.selectors import Selector
from ..errors import UsageError
from .cases import (
    PRECISION,
    PROCESSES,
    ROUNDS,
    Contest,
    Request,
    evaluate_cases,
    processes_of,
    time_cases,
    tune_cases,
)
from .checks import at_points, nothing_to_verify, one_place_is_enough, place_texts, point_texts, verify_jobs
from .screen import absent, refusal, screen
from .suites import entrants

__all__ = ["PRECISION", "PROCESSES", "ROUNDS", "Request", "build_plan"]

_NOISELESS = {"deterministic", "exact"}
"""Claims of methods whose error may be 0."""


def build_plan(request: Request, registry: Registry, hooks: Hooks | None = None) -> Plan:
    """Resolve every name of the request and lay out its cases.

    Raises:
        UsageError: a name, a parameter or an option is invalid, or nothing was selected.
    """
    request = _anchored(request, registry)
    found = _meetings(request, registry)
    cells = found.cells
    if not cells and request.stages != ("verify",):
        raise UsageError(
            "nothing is selected: no method has a task to run on", do="see `kexue-bench list methods` and `list tasks`"
        )
    # Trainings take longest; started first, they leave no idle core at the end.
    cells.sort(key=lambda cell: cell.treatment.sampled)
    settled: list[tuple[Case, Outcome]] = []
    jobs: list[Job] = []
    for cell in cells:
        cases, refused = screen(cell, cell.tunings, registry, hooks)
        settled.extend(refused)
        jobs.extend(Job(cases=(case,)) for case in cases)
    for cell in cells:
        cases, refused = screen(cell, evaluate_cases(cell, request, registry), registry, hooks)
        settled.extend(refused)
        jobs.extend(Job(cases=(case,)) for case in cases)
    if "verify" in request.stages:
        # As the cells are sorted: trainings first.
        checked = sorted(found.checked, key=lambda cell: cell.treatment.sampled)
        checks, refused = verify_jobs(checked, found.places, request, registry, hooks)
        if request.stages == ("verify",) and not checks:
            raise nothing_to_verify(_families(request, registry), cells, refused, request, registry)
        jobs.extend(checks)
        settled.extend(refused)
    for cell in cells:
        for process in range(processes_of(request) if cell.timed and "time" in request.stages else 0):
            cases, refused = screen(cell, time_cases(cell, request, registry, process), registry, hooks)
            settled.extend(refused)
            if cases:
                group = f"{cell.family.name}/{cell.task.label}/{request.device}"
                jobs.append(Job(cases=cases, exclusive=True, group=group))
    return Plan(
        jobs=tuple(jobs),
        settled=tuple(outcome for _, outcome in settled),
        settled_cases=tuple(case for case, _ in settled),
        baselines=found.baselines,
        added=tuple(dict.fromkeys(found.added)),
        left_out=found.left_out,
        request=request.record(),
    )


@dataclass(frozen=True, kw_only=True)
class _Meetings:
    """Which methods run on which tasks.

    Args:
        cells: tasks of the request.
        checked: those on which claims are checked.
        places: further tasks where trainings and subjects may be checked.
        baselines: family -> its baseline, and `family/task` -> that of a task that has another one.
        added: labels of baselines that `-m` left out.
        left_out: as in `Plan`.
    """

    cells: list[Contest] = field(default_factory=list)
    checked: list[Contest] = field(default_factory=list)
    places: list[Contest] = field(default_factory=list)
    baselines: dict[str, Instance] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _meetings(request: Request, registry: Registry) -> _Meetings:
    found = _Meetings()
    # Claims are checked method by method: nothing refers to a baseline.
    compared = any(stage != "verify" for stage in request.stages)
    for family in _families(request, registry):
        methods = _methods(request, registry, family)
        tasks = _tasks(request, registry, family)
        baseline = _baseline(request, registry, family)
        if methods and tasks:
            found.baselines[family.name] = baseline
        for task in tasks if methods else ():
            declared = _own_baseline(request, registry, family, task) or baseline
            if compared and not any(selectors.same(declared, method) for method in methods):
                found.added.append(declared.label)
            own, left = _entrants(request, registry, family, task, methods, declared)
            if left:
                found.left_out[f"{family.name}/{task.label}"] = tuple(method.plain for method in left)
            cell = _cell(request, registry, family, task, own, declared, compared=compared)
            if compared and cell.baseline is not None and not selectors.same(cell.baseline, baseline):
                found.baselines[f"{family.name}/{task.label}"] = cell.baseline
            found.cells.append(replace(cell, tunings=tune_cases(cell, request, registry)))
        if "verify" in request.stages:
            own = [cell for cell in found.cells if cell.family.name == family.name]
            points = [] if request.tasks else _points(registry, family, methods)
            found.checked.extend(at_points(own, points, request))
        if "verify" in request.stages and one_place_is_enough(request):
            found.places.extend(_places(registry, family, methods))
    return found


def _anchored(request: Request, registry: Registry) -> Request:
    """The request with the paths of files made absolute, as it is stored with the run."""

    def anchor(named: Sequence[Selector], specs: Iterable[MethodSpec | TaskSpec]) -> tuple[Selector, ...]:
        given = [selector for selector in named if selector.params]
        matching = [spec for spec in specs if any(selectors.matches(selector, [spec.name]) for selector in given)]
        fields = list(chain.from_iterable(map(registry.fields, matching)))
        return tuple(selectors.anchored(selector, fields) for selector in named)

    return replace(
        request,
        methods=anchor(request.methods, registry.methods.values()),
        tasks=anchor(request.tasks, registry.tasks.values()),
    )


def _families(request: Request, registry: Registry) -> list[FamilySpec]:
    if request.families:
        return [registry.family(name) for name in dict.fromkeys(request.families)]
    # One that cannot be compared costs itself; asked for by name, it says why.
    return [family for name, family in registry.families.items() if registry.based(name)]


def _methods(request: Request, registry: Registry, family: FamilySpec) -> tuple[Instance, ...]:
    if request.methods:
        return _named_methods(request.methods, request, registry, family)
    return _registered(registry, family, registry.methods_of(family.name).values())


def _registered(registry: Registry, family: FamilySpec, chosen: Iterable[MethodSpec]) -> tuple[Instance, ...]:
    """The instances of the chosen methods that suites run, except those whose package is not installed."""
    texts = [text for spec in chosen if not absent(spec) for text in (spec.variants or (spec.name,))]
    return _select_methods(map(selectors.parse, texts), registry, family.name)


def _named_methods(
    named: Sequence[Selector], request: Request, registry: Registry, family: FamilySpec
) -> tuple[Instance, ...]:
    """The methods of a family that selectors name; each selector must match in some family."""
    _check_known(named, "method", request, registry)
    return _select_methods(named, registry, family.name)


def _select_methods(named: Iterable[Selector], registry: Registry, family: str) -> tuple[Instance, ...]:
    """The instances of a family that selectors stand for, without repeats."""
    specs, found = registry.methods_of(family), []
    known = [*specs, *registry.aliases_of(family)]
    for selector in named:
        if selector.family in {"", family}:
            names = (registry.real_name(family, name) for name in selectors.matches(selector, known))
            for name in dict.fromkeys(names):
                found.extend(_expand(selector, specs[name], "method", registry))
    return selectors.unique(found)


def _tasks(request: Request, registry: Registry, family: FamilySpec) -> tuple[Instance, ...]:
    specs = registry.tasks_of(family.name)
    named: Iterable[Selector] = request.tasks
    if not request.tasks:
        named = (selectors.parse(text) for spec in specs.values() for text in spec.suites.get(request.suite, ()))
    else:
        _check_known(request.tasks, "task", request, registry)
    found = []
    for selector in named:
        if selector.family in {"", family.name}:
            for name in selectors.matches(selector, specs):
                if not (selector.is_glob and _lacks(selector, registry.fields(specs[name]))):
                    found.extend(_expand(selector, specs[name], "task", registry))
    return selectors.unique(found)


def _lacks(selector: Selector, fields: Sequence[Field]) -> bool:
    """Whether a task needs a parameter that is not written, such as a file: a glob leaves it out."""
    return any(field.default is None and field.name not in selector.params for field in fields)


def _places(registry: Registry, family: FamilySpec, methods: tuple[Instance, ...]) -> list[Contest]:
    """Tasks of a family where its trainings and subjects may be checked, the preferred ones first."""
    return _contests(place_texts(registry, family), registry, family, methods)


def _points(registry: Registry, family: FamilySpec, methods: tuple[Instance, ...]) -> list[Contest]:
    """The verification points of a family's sampling tasks."""
    return _contests(point_texts(registry, family), registry, family, methods)


def _contests(
    texts: Iterable[tuple[str, str]], registry: Registry, family: FamilySpec, methods: tuple[Instance, ...]
) -> list[Contest]:
    specs, found = registry.tasks_of(family.name), []
    for name, text in texts if methods else ():
        found.extend(_expand(selectors.parse(text), specs[name], "task", registry))
    return [
        Contest(family=family, spec=specs[task.name], task=task, methods=methods, baseline=None, timed=False)
        for task in selectors.unique(found)
    ]


def _expand(selector: Selector, spec: MethodSpec | TaskSpec, kind: str, registry: Registry) -> tuple[Instance, ...]:
    source = registry.owner(kind, (spec.family, spec.name))
    if registry.fault(spec):
        # Nothing is known of its parameters; its cases say why.
        found = (Instance(name=spec.name, target=spec.target, source=source, label=spec.name),)
    else:
        found = selectors.expand(selector, spec, registry.fields(spec), source=source)
    if kind == "task" or source == registry.owner("family", spec.family):
        return found
    return tuple(replace(instance, label=f"{instance.label} ({source})") for instance in found)


def _check_known(named: Sequence[Selector], kind: str, request: Request, registry: Registry) -> None:
    """Every written selector must match something in at least one chosen family."""
    families = [family.name for family in _families(request, registry)]
    for selector in named:
        chosen = [name for name in families if selector.family in {"", name}]
        if selector.family and not chosen:
            raise registry.unknown("family", selector.family, families)
        names = [
            name
            for family in chosen
            for name in (
                [*registry.methods_of(family), *registry.aliases_of(family)]
                if kind == "method"
                else registry.tasks_of(family)
            )
        ]
        if not selectors.matches(selector, names):
            raise registry.unknown(kind, selector.name, names)


def _baseline(request: Request, registry: Registry, family: FamilySpec) -> Instance:
    own = selectors.parse(family.baseline)
    selector = request.baseline or own
    found = _select_methods([selector], registry, family.name)
    if not found and request.baseline:
        # With several families, --baseline belongs to the one that has the method.
        everywhere = [name for other in _families(request, registry) for name in registry.methods_of(other.name)]
        if not selectors.matches(selector, everywhere):
            raise registry.unknown("baseline method", selector.name, everywhere)
        found = _select_methods([own], registry, family.name)
    return _one(found, f"family {family.name!r}", selector)


def _reference(
    registry: Registry, spec: TaskSpec, task: Instance, methods: tuple[Instance, ...], *, dtype: str
) -> Instance:
    """The method that ratios refer to on one task: the first that fits it.

    If the first of all, the declared baseline, does not, those that answer without noise come last, because no ratio to
    an error of 0 exists. If none fits, the first is kept: its row says why.
    """

    def fits(method: Instance) -> bool:
        return not any(refusal(registry.methods[spec.family, method.name], method, spec, task, dtype=dtype))

    def noiseless(method: Instance) -> bool:
        return any(claim.name in _NOISELESS for claim in registry.methods[spec.family, method.name].claims)

    return next(filter(fits, (methods[0], *sorted(methods[1:], key=noiseless))), methods[0])


def _own_baseline(request: Request, registry: Registry, family: FamilySpec, task: Instance) -> Instance | None:
    """The baseline that a task declares for itself, unless the user names one."""
    text = registry.tasks[family.name, task.name].baseline
    if not text or request.baseline:
        return None
    selector = selectors.parse(text)
    return _one(_select_methods([selector], registry, family.name), f"task {task.name!r}", selector)


def _one(found: tuple[Instance, ...], whose: str, selector: Selector) -> Instance:
    """The one method that a baseline must be."""
    if len(found) != 1:
        raise UsageError(
            f"the baseline of {whose} must be one method",
            got=", ".join(instance.label for instance in found) or f"none for {selector.text!r}",
            do="choose one with --baseline",
        )
    return found[0]


def _cell(
    request: Request,
    registry: Registry,
    family: FamilySpec,
    task: Instance,
    methods: tuple[Instance, ...],
    baseline: Instance,
    *,
    compared: bool,
) -> Contest:
    spec = registry.tasks[family.name, task.name]
    if compared and not any(selectors.same(baseline, method) for method in methods):
        methods = selectors.unique((baseline, *methods))
    if compared and not request.baseline:
        baseline = _reference(registry, spec, task, (baseline, *methods), dtype=request.dtype or spec.dtype)
    return Contest(
        family=family,
        spec=spec,
        task=task,
        methods=methods,
        baseline=next((method for method in methods if selectors.same(method, baseline)), None),
        timed=bool(request.tasks) or request.suite in spec.timed,
    )


def _entrants(
    request: Request,
    registry: Registry,
    family: FamilySpec,
    task: Instance,
    methods: tuple[Instance, ...],
    baseline: Instance,
) -> tuple[tuple[Instance, ...], tuple[Instance, ...]]:
    """The methods that run on a task, and those that the suite leaves out."""
    # Methods that a suite leaves out to save time are still verified.
    if request.methods or request.stages == ("verify",):
        return methods, ()
    spec = registry.tasks[family.name, task.name]
    texts = spec.methods.get(request.suite, ())
    named = (texts,) if isinstance(texts, str) else texts
    parts = (_listed(text, request, registry, family, spec) for text in named)
    listed = selectors.unique((baseline, *chain.from_iterable(parts))) if named else None
    dtype = request.dtype or spec.dtype
    return entrants(methods, listed, spec, task, suite=request.suite, dtype=dtype, registry=registry)


def _listed(
    text: str, request: Request, registry: Registry, family: FamilySpec, task: TaskSpec
) -> tuple[Instance, ...]:
    """The methods of one entry of `TaskSpec.methods`: the instances of a selector, or every method that fits."""
    if text != FITTING:
        return _named_methods(selectors.read([text]), request, registry, family)
    fitting = (method for method in registry.methods_of(family.name).values() if method.needs <= task.offers)
    return _registered(registry, family, fitting)
