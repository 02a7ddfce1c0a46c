"""The hooks a plugin may implement. The project name and the entry-point group are both `kexue_bench`.

Registration hooks take no arguments and return light, frozen specs whose targets are strings, so that a plugin module
imports neither torch nor the code that it describes. Plugins are called separately, so a bad one affects only itself.

Example::

    from kexue_bench import MethodSpec, hookimpl

    @hookimpl
    def kexue_methods():
        return [MethodSpec(name="half", family="gradients", target="my_package.half:Half", summary="...")]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ..api import (
        Case,
        ClaimSpec,
        CommandSpec,
        FamilySpec,
        MethodSpec,
        MetricSpec,
        Outcome,
        Plan,
        PublishedSpec,
        ReadingSpec,
        ReporterSpec,
        TaskSpec,
    )

    AnySpec = (
        FamilySpec
        | MethodSpec
        | TaskSpec
        | MetricSpec
        | ClaimSpec
        | ReadingSpec
        | PublishedSpec
        | ReporterSpec
        | CommandSpec
    )

PROJECT = "kexue_bench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def kexue_specs() -> Sequence[AnySpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Specs of any kind at once, such as `[FAMILY, *discover(__package__, family=FAMILY.name)]`. Since 0.2."""


@hookspec
def kexue_families() -> Sequence[FamilySpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Families that this plugin owns. Since 0.1."""


@hookspec
def kexue_methods() -> Sequence[MethodSpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Methods, of its own families or of any other. Since 0.1."""


@hookspec
def kexue_tasks() -> Sequence[TaskSpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Tasks, of its own families or of any other. Since 0.1."""


@hookspec
def kexue_metrics() -> Sequence[MetricSpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Metrics that its tasks record besides the core's. Since 0.1."""


@hookspec
def kexue_claims() -> Sequence[ClaimSpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Checks of claims that methods declare. Since 0.1."""


@hookspec
def kexue_readings() -> Sequence[ReadingSpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Rules applied to trained scores. Since 0.1."""


@hookspec
def kexue_published() -> Sequence[PublishedSpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Published figures, with the range that counts as reproduced. Since 0.1."""


@hookspec
def kexue_reporters() -> Sequence[ReporterSpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Output formats for `--format`. Since 0.1."""


@hookspec
def kexue_commands() -> Sequence[CommandSpec]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Further verbs of the command line. Since 0.1."""


@hookspec(firstresult=True)
def kexue_skip(case: Case) -> str | None:
    """A reason to skip this case on this machine, shown in the table; None to run it. Since 0.1."""


@hookspec
def kexue_environment() -> Mapping[str, str]:  # pyright: ignore[reportReturnType]  # a hook specification has no body
    """Facts about the machine that belong in the run's record. Since 0.1."""


@hookspec
def kexue_run_started(plan: Plan) -> None:
    """Told once before the first case; cannot change anything. Since 0.1."""


@hookspec
def kexue_case_finished(case: Case, outcome: Outcome) -> None:
    """Told after an outcome is safe on disk. Since 0.1."""


@hookspec
def kexue_run_finished(path: str) -> None:
    """Told once at the end, with the run's folder. Since 0.1."""
