"""Methods x tasks x stages x replicates -> ordered cases, grouped into jobs.

The plan is made without importing a target: what a method needs and a task offers decides `unsupported` here, and every
planned cell has its case, so nothing can go missing later without being seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from . import conditions, selectors, tuning
from .api import (
    STAGES,
    SUITES,
    Case,
    FamilySpec,
    Instance,
    Job,
    MethodSpec,
    Outcome,
    Plan,
    Scalar,
    Stage,
    TaskSpec,
)
from .errors import UsageError
from .plugins import Hooks
from .registry import Registry, fields_of

PRECISION = {"quick": 0.05, "standard": 0.02, "full": 0.01}
PROCESSES = {"quick": 5, "standard": 10, "full": 20}
ROUNDS = {"quick": 60, "standard": 100, "full": 100}
SAMPLE_SECONDS = 0.002


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asked for, before any name is resolved.

    Args:
        families: names; empty means every family.
        methods: selectors of `-m`; empty means the suite's.
        tasks: selectors of `-t`; empty means the suite's.
        suite: quick, standard or full.
        stages: stages to run.
        replicates: seeds of trained tasks and repetitions of sampling tasks; None leaves it to the suite.
        precision: relative half-width at which sampling stops; None leaves it to the suite.
        budget: largest number of draws of a sampling case; None leaves it to the task.
        processes: processes of a timing group; None leaves it to the suite.
        rigorous: time in twice the suite's processes and rounds.
        baseline: selector of the baseline; empty means the family's.
        dtype: empty means the task's own.
        tune: trials of each method on each task; 0 shows methods untuned only.
    """

    families: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    suite: str = "quick"
    stages: tuple[Stage, ...] = STAGES
    replicates: int | None = None
    seed: int = 0
    device: str = "cpu"
    dtype: str = ""
    threads: int = 1
    precision: float | None = None
    budget: int | None = None
    processes: int | None = None
    rigorous: bool = False
    baseline: str = ""
    tune: int = 0

    def __post_init__(self) -> None:
        """Refuse values no plan can be made of."""
        if self.suite not in SUITES:
            raise UsageError(f"--suite must be one of {', '.join(SUITES)}", got=repr(self.suite))
        for name in ("replicates", "budget", "processes", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name} must be at least 1", got=str(value))
        if self.tune < 0 or (self.tune == 0 and "tune" in self.stages):
            raise UsageError("tuning needs a number of trials, at least 1", got=str(self.tune), do="write --tune 6")
        if self.budget is not None and self.budget < 2:
            raise UsageError("--budget must be at least 2 draws, or no spread can be measured", got=str(self.budget))
        if self.precision is not None and not 0 < self.precision < 1:
            raise UsageError("--precision must lie between 0 and 1", got=str(self.precision), do="write 2% or 0.02")


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """One task instance with every method that meets it there."""

    family: FamilySpec
    spec: TaskSpec
    task: Instance
    methods: tuple[Instance, ...]
    baseline: Instance | None
    timed: bool
    tunings: tuple[Case, ...] = ()


def build_plan(request: Request, registry: Registry, hooks: Hooks | None = None) -> Plan:
    """Resolve every name of the request and lay out its cases.

    Raises:
        UsageError: a name, a parameter or an option makes no sense, or nothing was selected.
    """
    families = _families(request, registry)
    cells, baselines, added = [], {}, []
    for family in families:
        methods = _methods(request, registry, family)
        tasks = _tasks(request, registry, family)
        baseline = _baseline(request, registry, family)
        if methods and tasks and not any(selectors.same(baseline, method) for method in methods):
            methods = (baseline, *methods)
            added.append(baseline.label)
        if methods and tasks:
            baselines[family.name] = baseline
        for task in tasks if methods else ():
            cell = _cell(request, registry, family, task, methods, baseline)
            cells.append(replace(cell, tunings=_tune_cases(cell, request, registry)))
    if not cells:
        raise UsageError(
            "nothing is selected: no method meets a task", do="see `kexue-bench list methods` and `list tasks`"
        )
    # Trainings take longest: started first, they leave no idle core at the end.
    cells.sort(key=lambda cell: bool(cell.spec.budgets))
    settled: list[tuple[Case, Outcome]] = []
    jobs: list[Job] = []
    for cell in cells:
        cases, refused = _screen(cell, cell.tunings, registry, hooks)
        settled.extend(refused)
        jobs.extend(Job(cases=(case,)) for case in cases)
    for cell in cells:
        cases, refused = _screen(cell, _evaluate_cases(cell, request, registry), registry, hooks)
        settled.extend(refused)
        jobs.extend(Job(cases=(case,)) for case in cases)
    for cell in cells if "verify" in request.stages else ():
        for cases in _verify_cases(cell, request, registry):
            run, refused = _screen(cell, cases, registry, hooks)
            settled.extend(refused)
            # The claims of one method share a process; a death names its claim and the others run again.
            jobs.extend([Job(cases=run)] if run else [])
    for cell in cells:
        for process in range(_processes(request) if cell.timed and "time" in request.stages else 0):
            cases, refused = _screen(cell, _time_cases(cell, request, registry, process), registry, hooks)
            settled.extend(refused)
            if cases:
                group = f"{cell.family.name}/{cell.task.label}/{request.device}"
                jobs.append(Job(cases=cases, exclusive=True, group=group))
    return Plan(
        jobs=tuple(jobs),
        settled=tuple(outcome for _, outcome in settled),
        settled_cases=tuple(case for case, _ in settled),
        baselines=baselines,
        added=tuple(dict.fromkeys(added)),
        request={key: value for key, value in asdict(request).items() if value not in (None, (), "", False)},
    )


def _families(request: Request, registry: Registry) -> list[FamilySpec]:
    if request.families:
        return [registry.family(name) for name in dict.fromkeys(request.families)]
    return list(registry.families.values())


def _methods(request: Request, registry: Registry, family: FamilySpec) -> tuple[Instance, ...]:
    if request.methods:
        return _named_methods(request.methods, request, registry, family)
    specs = registry.methods_of(family.name)
    texts = [text for spec in specs.values() for text in (spec.variants or (spec.name,))]
    return selectors.unique(
        instance for text in texts for instance in _select_methods(text, registry, family.name, specs)
    )


def _named_methods(
    values: Sequence[str], request: Request, registry: Registry, family: FamilySpec
) -> tuple[Instance, ...]:
    """The methods of a family that selectors name; each must name one somewhere."""
    _check_known(values, "method", request, registry)
    specs = registry.methods_of(family.name)
    texts = [text for value in values for text in selectors.split(value)]
    return selectors.unique(
        instance for text in texts for instance in _select_methods(text, registry, family.name, specs)
    )


def _select_methods(text: str, registry: Registry, family: str, specs: Mapping[str, MethodSpec]) -> Iterable[Instance]:
    selector = selectors.parse(text)
    if selector.family not in {"", family}:
        return
    names = selectors.matches(selector, [*specs, *registry.aliases_of(family)])
    for name in dict.fromkeys(registry.real_name(family, name) for name in names):
        yield from _expand(selector, specs[name], "method", registry)


def _tasks(request: Request, registry: Registry, family: FamilySpec) -> tuple[Instance, ...]:
    specs = registry.tasks_of(family.name)
    if not request.tasks:
        texts = [text for spec in specs.values() for text in spec.suites.get(request.suite, ())]
    else:
        _check_known(request.tasks, "task", request, registry)
        texts = [text for value in request.tasks for text in selectors.split(value)]
    found = []
    for text in texts:
        selector = selectors.parse(text)
        if selector.family in {"", family.name}:
            for name in selectors.matches(selector, specs):
                found.extend(_expand(selector, specs[name], "task", registry))
    return selectors.unique(found)


def _expand(
    selector: selectors.Selector, spec: MethodSpec | TaskSpec, kind: str, registry: Registry
) -> tuple[Instance, ...]:
    return selectors.expand(
        selector,
        name=spec.name,
        target=spec.target,
        source=registry.owner(kind, (spec.family, spec.name)),
        fields=fields_of(spec.target),
        kind=kind,
    )


def _check_known(texts: Sequence[str], kind: str, request: Request, registry: Registry) -> None:
    """Every written selector must match something in at least one chosen family."""
    families = [family.name for family in _families(request, registry)]
    for text in (part for value in texts for part in selectors.split(value)):
        selector = selectors.parse(text)
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
    specs = registry.methods_of(family.name)
    text = request.baseline or family.baseline
    found = selectors.unique(_select_methods(text, registry, family.name, specs))
    if not found and request.baseline:
        # With several families, --baseline belongs to the one that has the method.
        everywhere = [name for other in _families(request, registry) for name in registry.methods_of(other.name)]
        if not selectors.matches(selectors.parse(text), everywhere):
            raise registry.unknown("baseline method", selectors.parse(text).name, everywhere)
        found = selectors.unique(_select_methods(family.baseline, registry, family.name, specs))
    if len(found) != 1:
        raise UsageError(
            f"the baseline of family {family.name!r} must be one method",
            got=", ".join(instance.label for instance in found) or f"none for {text!r}",
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
) -> _Cell:
    spec = registry.tasks[family.name, task.name]
    texts = () if request.methods else spec.methods.get(request.suite, ())
    if texts:
        methods = selectors.unique((baseline, *_named_methods(texts, request, registry, family)))
    return _Cell(
        family=family,
        spec=spec,
        task=task,
        methods=methods,
        baseline=next((method for method in methods if selectors.same(method, baseline)), None),
        timed=bool(request.tasks) or request.suite in spec.timed,
    )


def _evaluate_cases(cell: _Cell, request: Request, registry: Registry) -> list[Case]:
    if "evaluate" not in request.stages:
        return []
    replicates = request.replicates or cell.spec.replicates.get(request.suite, 1)
    blocks = [
        tuple(range(start, min(start + cell.spec.stack, replicates))) for start in range(0, replicates, cell.spec.stack)
    ]
    return [
        _case(
            cell,
            request,
            method,
            stage="evaluate",
            replicates=block,
            options=_sampling_options(cell, request, registry.methods[cell.family.name, method.name]) | more,
        )
        for method, more in _contenders(cell)
        for block in blocks
    ]


def _contenders(cell: _Cell) -> list[tuple[Instance, dict[str, Scalar]]]:
    """Every method as it was asked for, then those that are tuned, with the option that names the search."""
    tuned: list[tuple[Instance, dict[str, Scalar]]] = [(case.method, {"tuned": case.key}) for case in cell.tunings]
    return [(method, {}) for method in cell.methods] + tuned


def _tune_cases(cell: _Cell, request: Request, registry: Registry) -> tuple[Case, ...]:
    """One case for each method that has something to turn here; each makes exactly as many trials."""
    if not request.tune or not {"tune", "evaluate", "time"} & set(request.stages):
        return ()
    cases: dict[str, Case] = {}
    for method in cell.methods:
        spec = registry.methods[cell.family.name, method.name]
        search = tuning.search(method, cell.task, spec, cell.spec, request.tune)
        if search is None or spec.needs - cell.spec.offers:
            continue
        options: dict[str, Scalar] = {"trials": request.tune, "points": json.dumps(search.trials)}
        if cell.spec.budgets:
            # All trials together draw as much as one evaluation may, and each as much as the other.
            budget = request.budget or cell.spec.budgets[request.suite]
            options |= {"metric": cell.family.precision_metric, "budget": max(2, budget // request.tune)}
            options |= {"work": cell.family.work} if cell.family.work else {}
            options |= _declared(spec)
        case = _case(cell, request, search.method, stage="tune", replicates=(0,), options=options)
        # Two selectors of one method that differ in a knob only start the same search.
        cases.setdefault(case.key, case)
    return tuple(cases.values())


def _sampling_options(cell: _Cell, request: Request, method: MethodSpec) -> dict[str, Scalar]:
    if not cell.spec.budgets:
        return {}
    options: dict[str, Scalar] = {
        "precision": request.precision or PRECISION[request.suite],
        "budget": request.budget or cell.spec.budgets[request.suite],
    }
    if cell.family.work:
        options["work"] = cell.family.work
    return options | _declared(method)


def _declared(method: MethodSpec) -> dict[str, Scalar]:
    """What a worker must know of a method's claims: a deterministic one is called once, not sampled."""
    deterministic = any(claim.name == "deterministic" and not claim.when for claim in method.claims)
    return {"deterministic": True} if deterministic else {}


def _verify_cases(cell: _Cell, request: Request, registry: Registry) -> Iterable[list[Case]]:
    """For each method, one case a claim: those it declares where they hold, and those that all must keep."""
    if not cell.spec.budgets:
        return
    everybody = [
        spec.name for spec in registry.claims.values() if spec.always and spec.family in {"", cell.family.name}
    ]
    budget = request.budget or cell.spec.budgets[request.suite]
    for method in cell.methods:
        spec = registry.methods[cell.family.name, method.name]
        scope = {"fields": method.params, "task": cell.task.params, "offers": cell.spec.offers}
        declared = [claim.name for claim in spec.claims if conditions.holds(claim.when, **scope)]
        costs: dict[str, Scalar] = {}
        if spec.cost and cell.family.work:
            declared.append("declared-cost")
            costs = {"work": cell.family.work, "declared": conditions.amount(spec.cost, **scope)}
        cases = []
        for name in dict.fromkeys([*declared, *everybody]):
            check = registry.claim(cell.family.name, name)
            if check is None:
                raise UsageError(f"method {method.name!r} claims {name!r}, which nobody can check")
            options = {"check": check.target, "budget": budget, **(costs if name == "declared-cost" else {})}
            cases.append(
                _case(
                    cell,
                    request,
                    method,
                    stage="verify",
                    replicates=(0,),
                    options=options | _declared(spec),
                    claim=name,
                )
            )
        yield cases


def _time_cases(cell: _Cell, request: Request, registry: Registry, process: int) -> list[Case]:
    """One process of a timing group: every method, and a copy of the baseline as the A/A control."""
    options: dict[str, Scalar] = {
        "rounds": ROUNDS[request.suite] * (1 + request.rigorous),
        "sample": SAMPLE_SECONDS,
    }
    members = [(method, 0, more) for method, more in _contenders(cell)]
    if cell.baseline is not None:
        members.append((cell.baseline, 1, {}))
    return [
        _case(
            cell,
            request,
            method,
            stage="time",
            replicates=(process,),
            options=options | _declared(registry.methods[cell.family.name, method.name]) | more,
            copy=copy,
        )
        for method, copy, more in members
    ]


def _case(
    cell: _Cell,
    request: Request,
    method: Instance,
    *,
    stage: Stage,
    replicates: tuple[int, ...],
    options: Mapping[str, Scalar],
    copy: int = 0,
    claim: str = "",
) -> Case:
    return Case(
        family=cell.family.name,
        task=cell.task,
        task_version=cell.spec.version,
        method=method,
        stage=stage,
        claim=claim,
        replicates=replicates,
        copy=copy,
        device=request.device,
        dtype=request.dtype or cell.spec.dtype,
        threads=request.threads,
        seed=request.seed,
        options=options,
    )


def _processes(request: Request) -> int:
    return request.processes or PROCESSES[request.suite] * (1 + request.rigorous)


def _screen(
    cell: _Cell, cases: Sequence[Case], registry: Registry, hooks: Hooks | None
) -> tuple[tuple[Case, ...], list[tuple[Case, Outcome]]]:
    """Split cases into those to run and those whose outcome is known already."""
    run, settled = [], []
    for case in cases:
        missing = sorted(registry.methods[cell.family.name, case.method.name].needs - cell.spec.offers)
        answers = hooks.call("kexue_skip", case=case) if hooks is not None and not missing else []
        reason = next((f"{answer} (plugin {name})" for name, answer in answers if answer), "")
        if missing:
            text = f"needs a task that offers: {', '.join(missing)}"
            settled.append((case, Outcome(key=case.key, status="unsupported", phase="plan", reason=text)))
        elif reason:
            settled.append((case, Outcome(key=case.key, status="skipped", phase="plan", reason=reason)))
        else:
            run.append(case)
    return tuple(run), settled
