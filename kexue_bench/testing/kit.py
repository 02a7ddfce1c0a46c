"""`check_method`, `check_task`, `check_family` and `check_package`: lists of findings, each with what to change.

Declarations are read, objects are built, and what they do is left to `verify` and `compare`, in this process: the same
workers' code, claims and statuses as on the command line.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from .. import session
from ..api import STAGES, STATUSES, FamilySpec, MethodSpec, Stage, TaskSpec
from ..catalog import selectors
from ..catalog.fields import fields_of
from ..catalog.plugins import PluginRecord
from ..catalog.registry import Registry
from ..errors import UnknownNameError, UsageError
from ..run.engines.server import PRELOAD
from ..session import Comparison, Verification
from ..session.entry import Dtype
from ..session.options import Isolation
from . import objects, statements
from .findings import Finding, finding

Spec = TypeVar("Spec", FamilySpec, MethodSpec, TaskSpec)
DTYPES: tuple[Dtype, ...] = ("float32", "float64")
BUDGET = 4096
"""Draws of a task that is tried out."""
_ADVICE = {
    "repeatable": "take every random number from the noise that is given, and keep nothing between calls",
    "own-stream": "draw from the noise that is given, never from torch, numpy or random themselves",
    "pure": "write to no input (copy it before an operation in place), and leave global settings as they were",
    "shape-and-dtype": "return the shape of the truth, and create tensors with the dtype and device of the input",
    "finite": "guard against logarithms and quotients of 0",
    "independent-rows": "draw each of the R rows with noise of its own",
    "stacked": "sum over a replicate's own entries only",
}
_CLAIMED = "correct the method, or drop the claim"


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How what a method or a task does is checked.

    Args:
        dtypes: dtypes in which claims are checked.
        tasks: selectors of the tasks on which they are checked; empty means those of `kexue-bench verify`.
        plugins: modules or files of plugins that are not installed.
        isolation: a process for each `case` or `worker`, or `none` for this process.
    """

    dtypes: tuple[Dtype, ...] = DTYPES
    tasks: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    isolation: Isolation = "none"


def check_method(
    method: object,
    family: str = "",
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    tasks: str | Sequence[str] = (),
    plugins: str | Sequence[str] = (),
) -> list[Finding]:
    """Everything that a method must keep, for the hyper-parameters of this object.

    Args:
        method: an object of a class that a plugin registers.
        family: name of its family, if the class is registered in several.
        dtypes: dtypes in which claims are checked.
        tasks: selectors of the tasks on which they are checked; empty means those of `kexue-bench verify`.
        plugins: modules or files of plugins that are not installed.

    Returns:
        One finding for each check: `registered` alone if no plugin has the class.
    """
    conduct = Conduct(dtypes=tuple(dtypes), tasks=_texts(tasks), plugins=_texts(plugins))
    registry, _ = session.load(conduct.plugins)
    found = [spec for spec in registry.methods.values() if _is_of(spec, method, family)]
    if not found:
        return [_unregistered("method", method)]
    spec = found[0]
    subject = f"{spec.family}/{spec.name}"
    return [
        finding("registered", subject),
        *statements.of_method(spec, registry),
        *objects.of_method(method, registry.families[spec.family].contract, subject),
        *claims([_selector(spec, method)], conduct),
    ]


def check_task(
    task: object, family: str = "", *, methods: str | Sequence[str] = (), plugins: str | Sequence[str] = ()
) -> list[Finding]:
    """Everything that a task must keep, for the parameters of this object.

    Args:
        task: an object of a class that a plugin registers.
        family: name of its family, if the class is registered in several.
        methods: selectors of the methods that try it out; empty means the baseline.
        plugins: modules or files of plugins that are not installed.

    Returns:
        One finding for each check: `registered` alone if no plugin has the class.
    """
    conduct = Conduct(dtypes=("",), plugins=_texts(plugins))
    registry, _ = session.load(conduct.plugins)
    found = [spec for spec in registry.tasks.values() if _is_of(spec, task, family)]
    if not found:
        return [_unregistered("task", task)]
    spec = found[0]
    subject = f"{spec.family}/{spec.name}"
    baseline = spec.baseline or registry.families[spec.family].baseline
    return [
        finding("registered", subject),
        *statements.of_task(spec, registry),
        *objects.of_task(task, spec, subject),
        *trials(_selector(spec, task), _texts(methods) or (f"{spec.family}/{baseline}",), subject, conduct),
    ]


def check_family(family: str, *, plugins: str | Sequence[str] = ()) -> list[Finding]:
    """What a family declares: its contract, its baseline, its columns and a task in quick.

    Args:
        family: its name.
        plugins: modules or files of plugins that are not installed.

    Raises:
        UnknownNameError: no loaded plugin registers it.
    """
    registry, _ = session.load(_texts(plugins))
    return list(_family(registry.family(family), registry))


def check_package(
    package: str,
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    tasks: str | Sequence[str] = (),
    plugins: str | Sequence[str] = (),
    isolation: Isolation = "none",
    measured: bool = True,
) -> list[Finding]:
    """Everything that the families, methods and tasks of a package must keep, with their defaults.

    Args:
        package: name of a plugin, of its distribution or of its package.
        dtypes: dtypes in which claims are checked.
        tasks: selectors of the tasks on which they are checked; empty means those of `kexue-bench verify`.
        plugins: modules or files of plugins that are not installed.
        isolation: a process for each `case` or `worker`, or `none` for this process.
        measured: also check claims, and try out the tasks; else only read declarations and build objects.

    Raises:
        UnknownNameError: no plugin belongs to such a package.
    """
    conduct = Conduct(dtypes=tuple(dtypes), tasks=_texts(tasks), plugins=_texts(plugins), isolation=isolation)
    registry, _ = session.load(conduct.plugins)
    records = records_of(package, registry)
    findings = [found for record in records for found in statements.of_plugin(record, registry)]
    for spec in owned(FamilySpec, records, registry):
        findings += _family(spec, registry)
    methods, tasks_ = owned(MethodSpec, records, registry), owned(TaskSpec, records, registry)
    for spec in methods:
        findings += declared(spec, registry)
    for spec in tasks_:
        findings += declared(spec, registry)
    if measured:
        findings += claims([f"{spec.family}/{spec.name}" for spec in methods], conduct)
        for spec in (spec for spec in tasks_ if registry.fault(spec) or not statements.needs_a_file(spec)):
            subject = f"{spec.family}/{spec.name}"
            baseline = spec.baseline or registry.families[spec.family].baseline
            findings += trials(subject, (f"{spec.family}/{baseline}",), subject, conduct)
    return findings


def records_of(package: str, registry: Registry) -> list[PluginRecord]:
    """The plugins of a package.

    Raises:
        UnknownNameError: there is none.
    """
    names = {
        record.name: {record.name, record.origin, record.load.partition(".")[0], record.distribution.partition(" ")[0]}
        for record in registry.records
    }
    found = [record for record in registry.records if package in names[record.name]]
    if not found:
        known = {name for each in names.values() for name in each if name}
        raise UnknownNameError("package", package, known, hint="install it, or load it with -p")
    return found


def owned(kind: type[Spec], records: Iterable[PluginRecord], registry: Registry) -> list[Spec]:
    """What some plugins registered, without the names that they lost to others."""
    tables: dict[type, dict[Any, Any]] = {
        FamilySpec: registry.families,
        MethodSpec: registry.methods,
        TaskSpec: registry.tasks,
    }
    kept = {id(spec) for spec in tables[kind].values()}
    return [spec for record in records for spec in record.of(kind) if id(spec) in kept]


# -- what is measured -------------------------------------------------------------------------------------------------


def claims(methods: Sequence[str], conduct: Conduct) -> Iterator[Finding]:
    """The claims of methods and the promises of all methods, in each dtype."""
    for dtype in conduct.dtypes if methods else ():
        try:
            with _here(conduct):
                verified = session.verify(
                    _families(methods),
                    methods=methods,
                    tasks=conduct.tasks,
                    dtype=dtype,
                    plugins=conduct.plugins,
                    isolation=conduct.isolation,
                    output=None,
                    quiet=True,
                )
        except UsageError as error:
            yield Finding(check="claims", subject=", ".join(methods), ok=None, message=str(error), place=dtype)
        else:
            yield from _read_claims(verified)


def trials(task: str, methods: Sequence[str], subject: str, conduct: Conduct) -> Iterator[Finding]:
    """Whether methods can be measured and timed on a task, twice with the same numbers, and keep their promises."""
    try:
        with _here(conduct):
            runs = [_tried(task, methods, stages, conduct) for stages in (STAGES, STAGES[:1])]
    except UsageError as error:
        yield finding("measured", subject, str(error))
        return
    failed = [f"{row['method']}, {row['stage']}: {row['reason']}" for row in runs[0].failures]
    done = runs[0].statuses.get("ok", 0)
    idle = "" if done or failed else f"no method of {', '.join(methods)} fits it: {_reasons(runs[0])}"
    yield replace(finding("measured", subject, *dict.fromkeys(failed), idle), finished=not failed)
    if failed or idle:
        return
    first, second = (_values(run) for run in runs)
    same = "" if first == second else "two runs gave different numbers: take all randomness from streams of ctx"
    yield finding("repeatable", subject, same)
    yield finding("global-state", subject, *_leaks(runs))
    yield from (found for found in claims(methods, replace(conduct, dtypes=("",), tasks=(task,))) if found.ok is False)


def _tried(task: str, methods: Sequence[str], stages: Sequence[Stage], conduct: Conduct) -> Comparison:
    return session.compare(
        _families(methods),
        methods=methods,
        tasks=task,
        stages=stages,
        budget=BUDGET,
        processes=1,
        replicates=1,
        plugins=conduct.plugins,
        isolation=conduct.isolation,
        output=None,
        quiet=True,
    )


def _families(methods: Iterable[str]) -> list[str]:
    """The families that selectors such as `means/one-entry` name: the faults of others are not theirs."""
    return sorted({method.rpartition("/")[0] for method in methods} - {""})


@contextmanager
def _here(conduct: Conduct) -> Iterator[None]:
    """Run in this process, if that is asked for, and leave its settings and generators as they were.

    What workers import beforehand is imported here too: a setting that an import changes is not the method's.
    """
    if conduct.isolation != "none":
        yield
        return
    for name in PRELOAD:
        importlib.import_module(name)
    state = importlib.import_module("kexue_bench.lab.state")
    before = state.snapshot()
    try:
        with state.global_seed(0):
            yield
    finally:
        state.restore(before)


def _read_claims(verified: Verification) -> Iterator[Finding]:
    for row in verified.findings:
        case, outcome = row.case, row.outcome
        if outcome is None or STATUSES[outcome.status].left_out:
            continue
        note = row.evidence.note if row.evidence is not None else outcome.reason
        ok = {"PASS": True, "UNDECIDED": None}.get(row.verdict, False)
        finished = STATUSES[outcome.status].result
        advice = _ADVICE.get(case.claim, _CLAIMED) if finished else "correct the error"
        yield Finding(
            check=case.claim,
            subject=f"{case.family}/{case.method.plain}",
            ok=ok,
            message="" if ok else f"{note}; {advice if ok is False else 'not decided: raise the budget'}",
            place=f"{case.task.label}, {case.dtype}",
            finished=finished,
        )
    for subject, left in _left(verified):
        yield finding("global-state", subject, f"put back what it changes: {left}" if left else "")


def _left(verified: Verification) -> Iterator[tuple[str, str]]:
    """What each method left changed in its process."""
    left: dict[str, dict[str, None]] = {}
    for row in verified.findings:
        names = left.setdefault(f"{row.case.family}/{row.case.method.plain}", {})
        names.update(dict.fromkeys(row.outcome.state_leak if row.outcome else ()))
    return ((subject, ", ".join(names)) for subject, names in left.items())


def _leaks(runs: Sequence[Comparison]) -> list[str]:
    left = {name for found in runs for run in found.runs for out in run.outcomes.values() for name in out.state_leak}
    return [f"put back what it changes: {', '.join(sorted(left))}"] if left else []


def _values(found: Comparison) -> list[tuple[object, ...]]:
    """What the evaluations measured; equal if and only if all bits are."""
    (run,) = found.runs
    keys = [case.key for case in run.plan.cases if case.stage == "evaluate"]
    return [
        (key, row.metric, row.replicate, row.point, tuple(sorted(row.labels.items())), repr(row.value))
        for key in keys
        for row in run.outcomes[key].measurements
    ]


def _reasons(found: Comparison) -> str:
    return "; ".join(dict.fromkeys(out.reason for run in found.runs for out in run.outcomes.values()))


# -- what is read and built -------------------------------------------------------------------------------------------


def _family(spec: FamilySpec, registry: Registry) -> Iterator[Finding]:
    yield from statements.of_family(spec, registry)
    try:
        parts = objects.parts(objects.target(spec.contract))
    except (ImportError, AttributeError, ValueError) as error:
        yield finding("contract", spec.name, f"name its Protocol as module:Class in contract=: {error}")
        return
    silent = [part.__name__ for part in parts if not part.__doc__]
    yield finding("contract", spec.name, *(f"say in the docstring of {name} what a method is given" for name in silent))


def declared(spec: MethodSpec | TaskSpec, registry: Registry) -> Iterator[Finding]:
    """The checks of a declaration, and of an object of it with its defaults if it needs no file of the user's."""
    if isinstance(spec, MethodSpec):
        yield from statements.of_method(spec, registry)
    else:
        yield from statements.of_task(spec, registry)
    subject = f"{spec.family}/{spec.name}"
    if not registry.fault(spec) and statements.needs_a_file(spec):
        return
    try:
        built = objects.build(spec)
        if isinstance(spec, MethodSpec):
            found = list(objects.of_method(built, registry.families[spec.family].contract, subject))
        else:
            found = list(objects.of_task(built, spec, subject))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # importing and building third-party code may raise anything
        found = [finding("contract", subject, f"{type(error).__name__}: {error}; its defaults must give an object")]
    yield from found


def _is_of(spec: MethodSpec | TaskSpec, thing: object, family: str) -> bool:
    """Whether an object is one of a spec: of its class, with the values that it fixes."""
    kind = type(thing)
    fixed = all(getattr(thing, name, None) == value for name, value in spec.fixed.items())
    return spec.target == f"{kind.__module__}:{kind.__qualname__}" and family in {"", spec.family} and fixed


def _selector(spec: MethodSpec | TaskSpec, thing: object) -> str:
    """The selector of an object: the fields that differ from the defaults of its spec."""
    defaults = {field.name: field.default for field in fields_of(spec)}
    given = {field.name: getattr(thing, field.name) for field in fields(thing)} if is_dataclass(thing) else {}
    written = [
        f"{name}={selectors.text(given[name])}"
        for name, default in defaults.items()
        if name in given and given[name] != default
    ]
    return f"{spec.family}/{spec.name}" + (f"[{','.join(written)}]" if written else "")


def _unregistered(kind: str, thing: object) -> Finding:
    name, module = type(thing).__name__, type(thing).__module__
    message = (
        f"no plugin registers this class: write @kexue_bench.{kind}(...) above it, return discover(...) of its module "
        f"from kexue_specs, and install the plugin or name it in plugins="
    )
    return finding("registered", f"{module}:{name}", message)


def _texts(values: str | Sequence[str]) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)
