"""Run a request and store the results."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..api import STAGES, Plan, Stage
from ..catalog.plugins import Hooks, load_plugins
from ..catalog.registry import Registry
from ..errors import UsageError
from ..plan.plan import Request, build_plan
from ..report.progress import Verdict, progress_display
from ..report.text import visible
from ..run.signals import Stop, stop_on_interrupt
from ..store.environment import capture, fingerprints
from ..store.folder import Head, read_head
from ..store.results import Run, RunWriter, find_run, list_runs, load_run
from ..store.sources import edited
from .options import ReadOptions, RunOptions

if TYPE_CHECKING:
    from ..run.engines.local import LocalEngine
    from ..run.engines.ray import RayEngine

CHECKS: tuple[Stage, ...] = ("verify",)
"""Stages of a run that checks claims."""
SAME = ("machine", "cpu", "python", "packages")
"""Facts of the environment that all outcomes in one folder share."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """A finished or interrupted run.

    Args:
        run: what is stored.
        notes: remarks for the user on the run, which are also printed unless `RunOptions.quiet`.
        signal: number of the signal that stopped it; 0 for none.
    """

    run: Run
    notes: tuple[str, ...] = ()
    signal: int = 0


def load(plugins: Sequence[str] = ()) -> tuple[Registry, Hooks]:
    """The installed plugins and those named here.

    Raises:
        UsageError: no family is registered.
        PluginError: a plugin that was named cannot be loaded.
    """
    records = load_plugins(plugins)
    registry = Registry(records)
    if not registry.families:
        raise UsageError("no family is registered", do="see `kexue-bench plugins`")
    return registry, Hooks(records)


def plan_of(request: Request, registry: Registry, hooks: Hooks, *, case: str = "") -> Plan:
    """The plan of a request, narrowed to `case` and the tuning that this case depends on.

    Raises:
        UsageError: the request is invalid, or no planned case has that key.
    """
    plan = build_plan(request, registry, hooks)
    if not case:
        return plan
    keys = {planned.key for planned in plan.cases if planned.key.startswith(case)}
    if not keys:
        raise UsageError(
            "--case must be the beginning of the key of a planned case",
            got=repr(case),
            do="keys depend on every option of the run, including seed and suite",
        )
    keys |= {str(plan.by_key[key].options.get("tuned", "")) for key in keys}
    jobs = (replace(job, cases=tuple(planned for planned in job.cases if planned.key in keys)) for job in plan.jobs)
    return replace(
        plan,
        jobs=tuple(job for job in jobs if job.cases),
        settled=tuple(outcome for outcome in plan.settled if outcome.key in keys),
        settled_cases=tuple(planned for planned in plan.settled_cases if planned.key in keys),
    )


def taken_over(request: Request, options: RunOptions) -> Request:
    """The request of the run to resume, if this one asks for nothing itself; otherwise this one.

    Raises:
        UsageError: the stored request cannot be read, or the run to resume checked claims and this one does not.
        ResultsError: there is no such run.
    """
    place = _place(options)
    if place is None or request != Request(stages=request.stages) or request.stages not in {STAGES, CHECKS}:
        return request
    stored = Request.of(read_head(place).plan.request)
    if stored.stages == CHECKS and request.stages != CHECKS:
        raise UsageError("the run to resume checked claims", got=place.name, do="write `kexue-bench verify --resume`")
    return request if stored.stages != CHECKS and request.stages == CHECKS else stored


def plan_session(request: Request, options: RunOptions, registry: Registry, hooks: Hooks) -> Plan:
    """What `run_session` would run, which refuses what that would refuse; nothing is written.

    Raises:
        UsageError: the request is invalid, or a method or task refuses its parameters.
        ResultsError: there is no such run to resume.
    """
    from ..run.runner import refuse

    request = taken_over(request, options)
    plan = plan_of(request, registry, hooks, case=options.case)
    with stop_on_interrupt() as stop, make_engine(options, threads=request.threads) as engine:
        refuse(
            plan,
            engine=engine,
            timeout=options.timeout,
            plugins=_worker_plugins(registry),
            sys_path=tuple(path or str(Path.cwd()) for path in sys.path),
            stop=stop,
        )
    if stop.is_set():
        raise KeyboardInterrupt
    return plan


def run_session(
    request: Request,
    options: RunOptions,
    registry: Registry,
    hooks: Hooks,
    *,
    reading: ReadOptions | None = None,
    stopping: Callable[[], AbstractContextManager[Stop]] = stop_on_interrupt,
) -> Session:
    """Plan, run and store.

    Args:
        reading: how the run will be read, where first verdicts are shown while it goes.
        stopping: context that may stop the run early.

    Raises:
        UsageError: the request is invalid; nothing was written.
        ResultsError: the results folder cannot be written.
    """
    from ..run.runner import run, why_again

    notes: list[str] = []

    def say(text: str) -> None:
        notes.append(text)
        if not options.quiet:
            print(f"kexue-bench: {visible(text)}", file=sys.stderr)  # noqa: T201  # unless quiet is asked for

    place, command = _place(options), options.command
    asked = taken_over(request, options)
    if place is not None and asked != request:
        # The command that says what was asked for; a case is run again by it.
        command = read_head(place).command
    plan = plan_of(asked, registry, hooks, case=options.case)
    environment, prints = _environment(hooks), fingerprints(plan.cases)
    writer: RunWriter | None = None
    if place is not None and _goes_on(read_head(place), plan, environment):
        # Locked before it is read, so that no other process adds outcomes in between.
        writer = RunWriter(place)
    existing = writer is not None

    def open_writer() -> RunWriter:
        nonlocal writer
        if writer is None:
            writer = RunWriter.create(
                options.output, name=_name(plan), plan=plan, environment=environment, command=command
            )
            if earlier is not None:
                writer.adopt(earlier.path, (previous[key] for key in plan.by_key if key in previous))
        for note in writer.notes:
            say(note)
        return writer

    try:
        earlier = load_run(place) if place is not None else None
        previous = earlier.outcomes if earlier is not None else {}
        changed: frozenset[str] = frozenset()
        if earlier is not None:
            changed = edited(earlier.path, previous.values())
            again = Counter(
                why_again(previous.get(key), print_, edited=changed, retry_failed=options.retry_failed)
                for key, print_ in prints.items()
            )
            say(_resume_note(earlier, again, in_place=existing))
        with (
            stopping() as stop,
            make_engine(options, threads=asked.threads) as engine,
            progress_display(
                verbose=options.verbose,
                quiet=options.quiet,
                verdict=None if reading is None else lambda: _first_verdicts(plan, registry, reading),
            ) as display,
        ):
            run(
                plan,
                engine=engine,
                open_writer=open_writer,
                previous=previous,
                carry=not existing,
                timeout=options.timeout,
                fingerprints=prints,
                edited=changed,
                plugins=_worker_plugins(registry),
                sys_path=tuple(path or str(Path.cwd()) for path in sys.path),
                observer=display.observing(hooks),
                stop=stop,
                retry_failed=options.retry_failed,
                grace=options.grace,
            )
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise UsageError("nothing was run")
    for error in hooks.errors:
        say(error)
    return Session(run=load_run(writer.path), notes=tuple(notes), signal=stop.signal)


def _first_verdicts(plan: Plan, registry: Registry, reading: ReadOptions) -> Verdict:
    from .early import FirstVerdicts

    return FirstVerdicts(plan, registry, reading).finished


def make_engine(options: RunOptions, *, threads: int) -> LocalEngine | RayEngine:
    """The requested engine, imported only here.

    Args:
        threads: number of threads that the workers' numerical libraries are started with.
    """
    if options.engine == "ray":
        from ..run.engines.ray import RayEngine

        return RayEngine(
            address=options.address, isolation=options.isolation, threads=threads, memory_limit=options.memory
        )
    from ..run.engines.local import LocalEngine

    return LocalEngine(
        workers=options.jobs,
        isolation=options.isolation,
        threads=threads,
        memory_limit=options.memory,
    )


def _place(options: RunOptions) -> Path | None:
    """The folder of the run to resume; None without one, and for `latest` if there is no run yet."""
    if options.resume is None or (options.resume == "latest" and not list_runs(options.output)):
        return None
    return find_run(options.resume, options.output)


def _goes_on(earlier: Head, plan: Plan, environment: Mapping[str, object]) -> bool:
    """Whether the folder of an earlier run can take the new outcomes: same cases, files, software and machine."""
    same_place = all(earlier.environment.get(name) == environment.get(name) for name in SAME)
    files = {key: (case.task.files, case.method.files) for key, case in plan.by_key.items()}
    known = {key: (case.task.files, case.method.files) for key, case in earlier.plan.by_key.items()}
    return known == files and same_place


def _resume_note(earlier: Run, again: Counter[str], *, in_place: bool) -> str:
    """`resuming 0003: 80 replayed, 4 run again (3 code or libraries changed, 1 cancelled)`."""
    reasons = ", ".join(f"{count} {why}" for why, count in again.most_common() if why)
    runs = sum(count for why, count in again.items() if why)
    todo = f"{runs} to run ({reasons})" if runs else "nothing to run"
    return f"resuming {earlier.path.name}: {again['']} replayed, {todo}{'' if in_place else ', in a new folder'}"


def _environment(hooks: Hooks) -> dict[str, object]:
    facts: dict[str, object] = dict(capture())
    for name, answer in hooks.call("kexue_environment"):
        facts[f"plugin:{name}"] = [dict(part) for part in answer]  # pyright: ignore[reportGeneralTypeIssues]  # a hook's list of mappings
    return facts


def _worker_plugins(registry: Registry) -> tuple[str, ...]:
    """What workers import first: plugins that are not installed, files by absolute path."""
    loads = [record.load for record in registry.records if record.status == "ok" and not record.distribution]
    return tuple(str(Path(load).resolve()) if load.endswith(".py") else load for load in loads)


def _name(plan: Plan) -> str:
    return "-".join(dict.fromkeys(case.family for case in plan.cases))
