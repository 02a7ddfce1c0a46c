"""The plugin of `doctor`. It has no entry point, so that no other verb loads it."""

from __future__ import annotations

from ..api import Claimed, FamilySpec, MethodSpec, TaskSpec
from ..catalog.hookspecs import hookimpl

FAMILY = "selfcheck"
_WORK = "kexue_bench.selfcheck.work"


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family; its baseline is the first of the identical methods."""
    return [
        FamilySpec(
            name=FAMILY,
            title="Self-check",
            summary="known work and known answers",
            contract=f"{_WORK}:Known",
            precision_metric="mse",
            baseline="spin",
            headline=("mse", "time"),
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Identical methods that differ only in a number, one that does nothing, and one that knows the answer."""
    return [
        MethodSpec(
            name="spin", family=FAMILY, target=f"{_WORK}:Spin", summary="normal draws, and a fixed piece of work"
        ),
        MethodSpec(name="null", family=FAMILY, target=f"{_WORK}:Null", summary="returns 0 and does no work"),
        MethodSpec(
            name="oracle",
            family=FAMILY,
            target=f"{_WORK}:Oracle",
            summary="returns the exact answer",
            claims=(Claimed(name="deterministic"),),
        ),
    ]


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """One task to measure and time, and one whose cases cost nothing."""
    return [
        TaskSpec(
            name="known",
            family=FAMILY,
            target=f"{_WORK}:Known",
            summary="estimation of 1 from normal draws, with fixed work to time",
            version=1,
            kind="subject",
            suites={"quick": ("known",)},
            budgets={"quick": 4096},
        ),
        TaskSpec(
            name="nothing",
            family=FAMILY,
            target=f"{_WORK}:Nothing",
            summary="recording of one number",
            version=1,
            kind="record",
            suites={"quick": ("nothing",)},
        ),
    ]
