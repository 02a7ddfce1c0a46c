"""What the core does with a task of each kind: one table, read when a case is planned and when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..api import SUITES, Case, Kind, Of, TaskSpec

_STAGES = "kexue_bench.lab.stages"

BUDGETS: Mapping[str, int] = {"tour": 2**14, "quick": 2**14, "standard": 2**16, "full": 2**18}
"""Largest number of draws of a sampled case if its task declares no budget."""


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """How tasks of one kind are handled.

    A target is `module:function`, called as `(task, method, ctx)`, and is imported in workers only. A task of any kind
    may have `workload(method, ctx)`, which replaces `timed`, and `score(method, ctx)`, which replaces `scored` as the
    value that tuning maximizes.

    Args:
        needs: what an object of the task's class must have.
        evaluated: target that measures and records; returns why sampling stopped, or nothing.
        timed: target that returns the `Workload` of a task without `workload`.
        scored: target that returns the score of a task without `score`; empty if tuning needs the task's own.
        checked: what the checks of claims may be given, in order of preference -> target that makes it.
        promises: what the core's promises are checked on; None if nothing is verified.
        sampled: cases get a precision, a budget of draws, and the method's declared work.
        readings: cases get the readings of the family.
    """

    needs: tuple[str, ...]
    evaluated: str
    timed: str
    scored: str = ""
    checked: Mapping[Of, str]
    promises: Of | None
    sampled: bool
    readings: bool


KINDS: Mapping[Kind, Treatment] = {
    "sampling": Treatment(
        needs=("problem",),
        evaluated=f"{_STAGES}:sample",
        timed=f"{_STAGES}:batch",
        scored="kexue_bench.lab.trials:efficiency",
        checked={"draws": f"{_STAGES}:problem", "subject": f"{_STAGES}:subject"},
        promises="draws",
        sampled=True,
        readings=False,
    ),
    "trained": Treatment(
        needs=("build", "measure", "steps"),
        evaluated=f"{_STAGES}:train",
        timed=f"{_STAGES}:period",
        checked={"training": f"{_STAGES}:training"},
        promises="training",
        sampled=False,
        readings=True,
    ),
    "subject": Treatment(
        needs=("subject", "evaluate"),
        evaluated=f"{_STAGES}:examine",
        timed=f"{_STAGES}:examination",
        checked={"subject": f"{_STAGES}:subject"},
        promises="subject",
        sampled=True,
        readings=True,
    ),
    "record": Treatment(
        needs=("evaluate",),
        evaluated=f"{_STAGES}:take_records",
        timed=f"{_STAGES}:recording",
        checked={},
        promises=None,
        sampled=False,
        readings=True,
    ),
}


def kind_of(case: Case, task: object) -> Kind:
    """The kind of a case's task; if the case (made by hand) has none, the first whose functions the task has.

    Raises:
        TypeError: the case has no kind, and the task has the functions of no kind.
    """
    if case.task.kind:
        return case.task.kind
    if fitting := _fitting(task):
        return fitting[0]
    known = "; ".join(f"{name}: {_listed(treatment.needs)}" for name, treatment in KINDS.items())
    raise TypeError(f"a task has the functions of its kind ({known}), got {type(task).__name__}")


def suite_of(spec: TaskSpec, suite: str) -> str:
    """The suite whose defaults a task has: the requested one if it runs the task, or else the smallest that does."""
    return next((name for name in (suite, *SUITES) if name in spec.suites), suite)


def budget_of(spec: TaskSpec, suite: str) -> int:
    """The largest number of draws of a sampled case.

    A task that declares budgets only for other suites gets that of the smallest of them; a task that declares none gets
    the default of its suite.
    """
    declared = [spec.budgets[name] for name in (suite, *SUITES) if name in spec.budgets]
    return declared[0] if declared else BUDGETS[suite_of(spec, suite)]


def replicates_of(spec: TaskSpec, suite: str) -> int:
    """The number of replicates, 1 if a suite that runs the task declares none.

    A task that the suite does not run, and that declares replicates only for others, has those of the smallest of them.
    """
    names = (suite,) if suite in spec.suites else (suite, *SUITES)
    return next((spec.replicates[name] for name in names if name in spec.replicates), 1)


def refusal(kind: Kind, task: object) -> str:
    """Why an object cannot be a task of this kind; empty if it can."""
    lacking = [name for name in KINDS[kind].needs if not hasattr(task, name)]
    if not lacking:
        return ""
    fitting = _fitting(task)
    return (
        f"a task of kind {kind!r} must have {_listed(KINDS[kind].needs)}, got a {type(task).__name__} without "
        f"{_listed(lacking)}; write what is missing"
        + (f", or declare kind={' or '.join(map(repr, fitting))}, whose functions it has" if fitting else "")
    )


def _fitting(task: object) -> list[Kind]:
    return [name for name, treatment in KINDS.items() if all(hasattr(task, need) for need in treatment.needs)]


def _listed(names: tuple[str, ...] | list[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
