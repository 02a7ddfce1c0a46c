"""Which planned cases do not run, and why: decided from the specs, before anything is imported.

A target that cannot be read makes a case `failed`: a row with the plugin to blame. Otherwise, in this order: a word
that the method needs and the task does not offer, a package that is not installed, and a `when` that does not hold
make a case `unsupported`; a rule of the method or the task (`Unless`) and a plugin's `kexue_skip` make it `skipped`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from ..api import Case, Instance, MethodSpec, Outcome, TaskSpec
from ..catalog import conditions
from ..catalog.conditions import RESERVED, Scope
from ..catalog.plugins import Hooks
from ..catalog.registry import Registry
from .cases import Contest


def screen(
    cell: Contest, cases: Sequence[Case], registry: Registry, hooks: Hooks | None
) -> tuple[tuple[Case, ...], list[tuple[Case, Outcome]]]:
    """Split cases into those to run and those whose outcome is already known.

    Raises:
        PluginError: a condition or rule reads something unknown.
    """
    run, settled = [], []
    said: dict[tuple[int, str, str], tuple[str, str]] = {}
    for case in cases:
        spec = registry.methods[cell.family.name, case.method.name]
        if fault := _fault(cell.spec, registry) or _fault(spec, registry):
            settled.append((case, Outcome(key=case.key, status="failed", phase="plan", reason=fault)))
            continue
        # Processes and replicates of one method share the answer.
        place = (id(case.method), case.dtype, case.claim)
        if place not in said:
            said[place] = refusal(spec, case.method, cell.spec, cell.task, dtype=case.dtype, claim=case.claim)
        unsupported, skipped = said[place]
        if not (unsupported or skipped) and hooks is not None:
            answers = hooks.call("kexue_skip", case=case)
            skipped = next((f"{answer} (plugin {name})" for name, answer in answers if answer), "")
        if unsupported:
            settled.append((case, Outcome(key=case.key, status="unsupported", phase="plan", reason=unsupported)))
        elif skipped:
            settled.append((case, Outcome(key=case.key, status="skipped", phase="plan", reason=skipped)))
        else:
            run.append(case)
    return tuple(run), settled


def _fault(spec: MethodSpec | TaskSpec, registry: Registry) -> str:
    """Why the target of a spec cannot be read, with the plugin to blame; empty if it can be."""
    found, kind = registry.fault(spec), "method" if isinstance(spec, MethodSpec) else "task"
    return f"plugin {registry.owner(kind, (spec.family, spec.name))}: {found}" if found else ""


def refusal(
    spec: MethodSpec, method: Instance, task_spec: TaskSpec, task: Instance, *, dtype: str, claim: str = ""
) -> tuple[str, str]:
    """Why a method is unsupported on a task, and why it is skipped there; empty if it is not.

    Raises:
        PluginError: a condition or rule reads something unknown.
    """
    unsupported = unfit(spec, task_spec) or absent(spec)
    if unsupported or not (spec.when or spec.unless or task_spec.unless):
        return unsupported, ""
    scope = conditions.scope_of(spec, method, task_spec, task, dtype=dtype, claim=claim)
    unsupported = unmet(spec, scope)
    return unsupported, "" if unsupported else forbidden(spec, task_spec, scope)


def unfit(spec: MethodSpec, task: TaskSpec) -> str:
    """The words that a method needs and a task does not offer; empty if there are none."""
    missing = sorted(spec.needs - task.offers)
    return f"needs a task that offers: {', '.join(missing)}" if missing else ""


def absent(spec: MethodSpec) -> str:
    """Why a method cannot run on this machine, whatever the task; empty if it can. Imports nothing."""
    if not spec.requires or importlib.util.find_spec(spec.requires) is not None:
        return ""
    return f"needs the package {spec.requires}, which is not installed" + (f": {spec.install}" if spec.install else "")


def unmet(spec: MethodSpec, scope: Scope) -> str:
    """The method's `when` if it does not hold; empty if it does.

    Raises:
        PluginError: it reads something unknown.
    """
    conditions.check(
        spec.when, what=f"the condition of method {spec.name!r}", names=frozenset({*scope.fields, *RESERVED})
    )
    return "" if conditions.holds(spec.when, scope) else f"runs only if {spec.when}"


def forbidden(spec: MethodSpec, task: TaskSpec, scope: Scope) -> str:
    """The reason of the first rule that holds, the method's before the task's; empty if none does.

    Raises:
        PluginError: a rule or its reason reads something unknown.
    """
    names = frozenset({*scope.fields, *RESERVED})
    for rule in spec.unless:
        conditions.check(rule.when, what=f"a rule of method {spec.name!r}", names=names)
        conditions.check_sentence(rule.because, what=f"a reason of method {spec.name!r}", names=names)
    return next(
        (
            conditions.sentence(rule.because, scope)
            for rule in (*spec.unless, *task.unless)
            if conditions.holds(rule.when, scope)
        ),
        "",
    )
