"""The cases of one task: what each stage runs for every method on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast, get_args

from ..api import STAGES, SUITES, Case, ClaimSpec, FamilySpec, Instance, MethodSpec, Of, Scalar, Stage, TaskSpec
from ..catalog import conditions, selectors
from ..catalog.core_claims import COST
from ..catalog.registry import Registry
from ..catalog.selectors import Selector
from ..errors import UsageError
from . import tuning
from .kinds import KINDS, Treatment, budget_of, replicates_of

PRECISION = {"tour": 0.05, "quick": 0.05, "standard": 0.02, "full": 0.01}
PROCESSES = {"tour": 3, "quick": 5, "standard": 10, "full": 20}
ROUNDS = {"tour": 30, "quick": 60, "standard": 100, "full": 100}
SAMPLE_SECONDS = 0.002
GROUP_SECONDS = {"tour": 0.4, "quick": 1.5, "standard": 6.0, "full": 30.0}
"""Seconds of samples after which a process of a timing group starts no further round."""


_RECORDED: Mapping[str, type] = {
    **dict.fromkeys(("families", "methods", "tasks", "stages"), tuple),
    **dict.fromkeys(("suite", "device", "dtype", "baseline"), str),
    **dict.fromkeys(("replicates", "seed", "threads", "budget", "processes", "tune"), int),
    "precision": float,
    "rigorous": bool,
}
"""Option of a stored request -> type of its value."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for, before any name is resolved.

    Selectors may be given as texts, several in one with commas; they are parsed here, once.

    Args:
        families: names; empty means every family.
        methods: selectors of `-m`; empty means the suite's.
        tasks: selectors of `-t`; empty means the suite's.
        suite: tour, quick, standard or full; empty means `tour` if nothing is named and no claim is checked, else
            `quick`.
        stages: stages to run.
        replicates: seeds of trained tasks and repetitions of sampling tasks; None leaves it to the suite.
        precision: relative half-width at which sampling stops; None leaves it to the suite.
        budget: largest number of draws of a sampling case; None leaves it to the task.
        processes: processes of a timing group; None leaves it to the suite.
        rigorous: time in twice the suite's processes and rounds.
        baseline: selector of the baseline; None, or the empty text, means the family's.
        dtype: empty means the task's own.
        tune: trials of each method on each task; 0 shows methods untuned only.
    """

    families: tuple[str, ...] = ()
    methods: tuple[Selector, ...] = ()
    tasks: tuple[Selector, ...] = ()
    suite: str = ""
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
    baseline: Selector | None = None
    tune: int = 0

    def __post_init__(self) -> None:
        """Parse selectors given as text, and reject values with which no plan can be made."""
        object.__setattr__(self, "methods", selectors.read(self.methods))
        object.__setattr__(self, "tasks", selectors.read(self.tasks))
        object.__setattr__(self, "baseline", selectors.one(self.baseline))
        if not self.suite:
            named = self.families or self.methods or self.tasks or "verify" in self.stages
            object.__setattr__(self, "suite", "quick" if named else "tour")
        if self.suite not in SUITES:
            raise UsageError(f"--suite must be one of {', '.join(SUITES)}", got=repr(self.suite))
        if self.dtype not in {"", "float32", "float64"}:
            raise UsageError("--dtype must be float32 or float64", got=repr(self.dtype))
        for name in ("replicates", "budget", "processes", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name} must be at least 1", got=str(value))
        for name in ("seed", "replicates", "budget", "processes", "threads", "tune"):
            if abs(getattr(self, name) or 0) >= 2**63:
                raise UsageError(f"--{name} must fit into 64 bits", got=str(getattr(self, name)))
        if self.tune < 0 or (self.tune == 0 and "tune" in self.stages):
            raise UsageError("tuning needs a number of trials, at least 1", got=str(self.tune), do="write --tune 6")
        if self.budget is not None and self.budget < 2:
            raise UsageError("--budget must be at least 2 draws, or no spread can be measured", got=str(self.budget))
        if self.precision is not None and not 0 < self.precision < 1:
            raise UsageError("--precision must lie between 0 and 1", got=str(self.precision), do="write 2% or 0.02")

    def record(self) -> dict[str, object]:
        """What is stored with a run: every option that was given, selectors as they were written."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        plain |= {name: tuple(selector.text for selector in plain[name]) for name in ("methods", "tasks")}
        plain["baseline"] = self.baseline.text if self.baseline is not None else ""
        return {name: value for name, value in plain.items() if value not in (None, (), "", False)}

    @classmethod
    def of(cls, record: Mapping[str, object]) -> Request:
        """The request of a stored record.

        Raises:
            UsageError: an option is unknown or invalid, as in a run of another version.
        """
        given: dict[str, Any] = {}
        for name, value in record.items():
            found = tuple(cast("list[object]", value)) if isinstance(value, (list, tuple)) else value
            # A bool is an int to Python, and JSON writes 1.0 for a float.
            fits = type(found) is _RECORDED.get(name) and (
                not isinstance(found, tuple) or set(map(type, found)) <= {str}
            )
            if not fits or (name == "stages" and not set(cast("tuple[str, ...]", found)) <= set(get_args(Stage))):
                raise UsageError(
                    "the stored request cannot be taken over", got=f"{name}={value!r}", do="write its options again"
                )
            given[name] = found
        return cls(**given)


@dataclass(frozen=True, kw_only=True)
class Contest:
    """One task instance with every method that runs on it."""

    family: FamilySpec
    spec: TaskSpec
    task: Instance
    methods: tuple[Instance, ...]
    baseline: Instance | None
    timed: bool
    tunings: tuple[Case, ...] = ()

    @property
    def treatment(self) -> Treatment:
        """How tasks of its kind are handled."""
        return KINDS[self.spec.kind]


def evaluate_cases(cell: Contest, request: Request, registry: Registry) -> list[Case]:
    """One case for each method, tuned ones too, and block of replicates."""
    if "evaluate" not in request.stages:
        return []
    replicates = request.replicates or replicates_of(cell.spec, request.suite)
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
            options=_sampling_options(cell, request, registry.methods[cell.family.name, method.name])
            | _readings(cell, registry)
            | more,
        )
        for method, more in _contenders(cell)
        for block in blocks
    ]


def _contenders(cell: Contest) -> list[tuple[Instance, dict[str, Scalar]]]:
    """Every method as requested, then the tuned ones, with the option that names the search."""
    tuned: list[tuple[Instance, dict[str, Scalar]]] = [(case.method, {"tuned": case.key}) for case in cell.tunings]
    return [(method, {}) for method in cell.methods] + tuned


def tune_cases(cell: Contest, request: Request, registry: Registry) -> tuple[Case, ...]:
    """One case for each method with a knob to tune here; all have the same number of trials."""
    if not request.tune or not {"tune", "evaluate", "time"} & set(request.stages):
        return ()
    cases: dict[str, Case] = {}
    for method in cell.methods:
        spec = registry.methods[cell.family.name, method.name]
        search = tuning.search(method, cell.task, spec, cell.spec, request.tune)
        if search is None or spec.needs - cell.spec.offers or not _meets(cell, request, spec, method):
            continue
        options: dict[str, Scalar] = {"trials": request.tune, "points": json.dumps(search.trials)}
        if cell.treatment.scored:
            # All trials together may draw as much as one evaluation, in equal parts.
            budget = request.budget or budget_of(cell.spec, request.suite)
            options |= {"metric": cell.family.precision_metric, "budget": max(2, budget // request.tune)}
            options |= {"work": cell.family.work} if cell.family.work else {}
            options |= _declared(spec)
        case = _case(cell, request, search.method, stage="tune", replicates=(0,), options=options)
        # Two selectors of one method that differ only in a knob start the same search.
        cases.setdefault(case.key, case)
    return tuple(cases.values())


def _meets(cell: Contest, request: Request, spec: MethodSpec, method: Instance) -> bool:
    """Whether the method's `when` holds here."""
    dtype = request.dtype or cell.spec.dtype
    return not spec.when or conditions.holds(
        spec.when, conditions.scope_of(spec, method, cell.spec, cell.task, dtype=dtype)
    )


def _sampling_options(cell: Contest, request: Request, method: MethodSpec) -> dict[str, Scalar]:
    if not cell.treatment.sampled:
        return {}
    options: dict[str, Scalar] = {
        "precision": request.precision or PRECISION[request.suite],
        "budget": request.budget or budget_of(cell.spec, request.suite),
    }
    if cell.family.work:
        options["work"] = cell.family.work
    return options | _declared(method)


def _readings(cell: Contest, registry: Registry) -> dict[str, Scalar]:
    """Name -> target of every reading of the family, as JSON: a trained score is measured under all of them."""
    found = {name: spec.target for (family, name), spec in registry.readings.items() if family == cell.family.name}
    return {"readings": json.dumps(found)} if found and cell.treatment.readings else {}


def _declared(method: MethodSpec) -> dict[str, Scalar]:
    """What a worker must know about a method's claims: a deterministic method is called once, not sampled."""
    deterministic = any(claim.name == "deterministic" and not claim.when for claim in method.claims)
    return {"deterministic": True} if deterministic else {}


def verify_cases(cell: Contest, request: Request, registry: Registry, *, promises: bool) -> Iterable[list[Case]]:
    """For each method, one case per claim: the claims that it declares, if their condition holds, and the promises.

    A claim about something that this task does not provide (a training, on a sampling task) has no case here.

    Args:
        promises: also check the promises of all methods; in a suite, once per task is enough, whatever its parameters.
    """
    family, given = cell.family.name, tuple(cell.treatment.checked)
    if not given:
        return
    everybody = [spec.name for spec in registry.claims.values() if promises and _promised(spec, cell)]
    sampled = {"budget": request.budget or budget_of(cell.spec, request.suite)} if cell.treatment.sampled else {}
    for method in cell.methods:
        spec = registry.methods[family, method.name]
        dtype = request.dtype or cell.spec.dtype
        scope = conditions.scope_of(spec, method, cell.spec, cell.task, dtype=dtype)
        declared = [
            claim.name
            for claim in spec.claims
            if not _only_elsewhere(claim.name, cell, registry) and conditions.holds(claim.when, scope)
        ]
        costs: dict[str, Scalar] = {}
        if spec.cost and cell.family.work and "draws" in given:
            declared.append(COST)
            costs = {"work": cell.family.work, "declared": conditions.amount(spec.cost, scope)}
        cases = []
        for name in dict.fromkeys([*declared, *everybody]):
            check = registry.claim(family, name, *given)
            if check is None:
                raise UsageError(f"method {method.name!r}: no check is registered for its claim {name!r}")
            options = {"check": check.target, **sampled, **(costs if name == COST else {})}
            cases.append(
                _case(
                    cell,
                    request,
                    method,
                    stage="verify",
                    # Two replicates show whether a stack mixes them, at little more than the cost of one.
                    replicates=tuple(range(min(2, cell.spec.stack))) if check.of == "training" else (0,),
                    options=options | (_declared(spec) if sampled else {}),
                    claim=name,
                    of=check.of,
                )
            )
        yield cases


def _promised(spec: ClaimSpec, cell: Contest) -> bool:
    """Whether the claim is a promise on tasks of this kind; a single training has no stack to compare."""
    if not spec.always or (spec.of == "training" and spec.name == "stacked" and cell.spec.stack == 1):
        return False
    if spec.family:
        return spec.family == cell.family.name and spec.of in cell.treatment.checked
    return spec.of == cell.treatment.promises


def _only_elsewhere(claim: str, cell: Contest, registry: Registry) -> bool:
    """Whether a claim can be checked, but not on anything that this task provides."""
    here, anywhere = (
        registry.claim(cell.family.name, claim, *given) for given in (cell.treatment.checked, get_args(Of))
    )
    return here is None and anywhere is not None


def time_cases(cell: Contest, request: Request, registry: Registry, process: int) -> list[Case]:
    """One process of a timing group: every method, and a copy of the baseline as the A/A control."""
    options: dict[str, Scalar] = {
        "rounds": ROUNDS[request.suite] * (1 + request.rigorous),
        "sample": SAMPLE_SECONDS,
        "seconds": GROUP_SECONDS[request.suite] * (1 + request.rigorous),
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
    cell: Contest,
    request: Request,
    method: Instance,
    *,
    stage: Stage,
    replicates: tuple[int, ...],
    options: Mapping[str, Scalar],
    copy: int = 0,
    claim: str = "",
    of: Of = "draws",
) -> Case:
    return Case(
        family=cell.family.name,
        task=cell.task,
        task_version=cell.spec.version,
        method=method,
        stage=stage,
        claim=claim,
        of=of,
        replicates=replicates,
        copy=copy,
        device=request.device,
        dtype=request.dtype or cell.spec.dtype,
        threads=request.threads,
        seed=request.seed,
        options=options,
    )


def processes_of(request: Request) -> int:
    """How many processes a timing group has."""
    return request.processes or PROCESSES[request.suite] * (1 + request.rigorous)
