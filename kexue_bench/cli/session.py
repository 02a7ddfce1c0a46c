"""Run a plan from the command line: engine, signals, progress, resume, and the exit code at the end."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..api import COMPLETE, Outcome, Plan
from ..catalog.plugins import Hooks
from ..catalog.registry import Registry
from ..errors import UsageError
from ..plan.plan import build_plan
from ..report.text import visible
from ..store.environment import capture, fingerprints
from ..store.results import Run, RunWriter, list_runs, load_run
from . import options
from .progress import progress_display
from .story import failures

if TYPE_CHECKING:
    from ..run.engines.local import LocalEngine
    from ..run.engines.ray import RayEngine

INCOMPLETE = 3
SAME = ("machine", "cpu", "python", "packages")
"""Facts that the outcomes of one folder share."""
STOPPING = "kexue-bench: stopping; running cases have {:g} s; Ctrl-C again ends at once"


@dataclass(frozen=True, kw_only=True)
class Session:
    """A finished (or interrupted) run, as the command line sees it."""

    run: Run
    registry: Registry
    exit_code: int


def plan_only(args: argparse.Namespace, families: Sequence[str]) -> Plan:
    """The plan of a command line, nothing run."""
    registry, hooks = options.load(args)
    return _plan(args, families, registry, hooks)


def run_session(
    args: argparse.Namespace,
    families: Sequence[str],
    *,
    check: Callable[[argparse.Namespace, Registry], object] = lambda *_: None,
) -> Session:
    """Plan, run and store.

    Args:
        check: refuses options that matter only after the run, before it.

    Raises:
        UsageError: the request makes no sense; nothing was written.
        ResultsError: the results folder cannot be written.
    """
    from ..run.runner import run, why_again
    from ..run.signals import stop_on_signals

    registry, hooks = options.load(args)
    check(args, registry)
    plan = _plan(args, families, registry, hooks)
    environment, prints = _environment(hooks), fingerprints(plan.cases)
    earlier = _earlier(args)
    previous = earlier.outcomes if earlier is not None else {}
    existing = earlier.path if earlier is not None and _goes_on(earlier, plan, environment) else None
    if earlier is not None:
        again = Counter(
            why_again(previous.get(key), print_, retry_failed=args.retry_failed) for key, print_ in prints.items()
        )
        _say(_resume_note(earlier, again, existing))
    writer: RunWriter | None = None

    def open_writer() -> RunWriter:
        nonlocal writer
        writer = (
            RunWriter.open(existing)
            if existing is not None
            else RunWriter.create(
                args.output, name=_name(plan), plan=plan, environment=environment, command=_command_line()
            )
        )
        for note in writer.notes:
            _say(note)
        return writer

    with (
        stop_on_signals(say=STOPPING.format(args.grace)) as stop,
        make_engine(args) as engine,
        progress_display(verbose=args.verbose) as display,
    ):
        try:
            run(
                plan,
                engine=engine,
                open_writer=open_writer,
                previous=previous,
                carry=existing is None,
                timeout=args.timeout,
                fingerprints=prints,
                plugins=_worker_plugins(registry),
                sys_path=tuple(path for path in sys.path if path),
                observer=display.observing(hooks),
                stop=stop,
                retry_failed=args.retry_failed,
                grace=args.grace,
            )
        finally:
            if writer is not None:
                writer.close()
    if writer is None:
        raise UsageError("nothing was run")
    for error in hooks.errors:
        _say(error)
    result = load_run(writer.path)
    return Session(run=result, registry=registry, exit_code=stop.exit_code or exit_code_of(result.outcomes))


def make_engine(args: argparse.Namespace) -> LocalEngine | RayEngine:
    """The engine of a command line; neither is imported before it is asked for."""
    if args.engine == "ray":
        from ..run.engines.ray import RayEngine

        return RayEngine(address=args.address, isolation=args.isolation, threads=args.threads, memory_limit=args.memory)
    from ..run.engines.local import LocalEngine

    return LocalEngine(
        workers=args.jobs or os.cpu_count() or 1,
        isolation=args.isolation,
        threads=args.threads,
        memory_limit=args.memory,
    )


def exit_code_of(outcomes: Mapping[str, Outcome]) -> int:
    """0 when every outcome is a result, 3 when something failed, timed out or was cancelled."""
    return 0 if all(outcome.status in COMPLETE for outcome in outcomes.values()) else INCOMPLETE


def summary(run: Run) -> str:
    """What ended badly, with its last lines, and the tally of all cases."""
    return "\n".join([*failures(run), tally(run)])


def tally(run: Run) -> str:
    """One line that always adds up: `planned 84 = ok 80 + unsupported 4`."""
    counts = Counter(
        run.outcomes[case.key].status if case.key in run.outcomes else "missing" for case in run.plan.cases
    )
    parts = [f"{name} {count}" for name, count in counts.most_common()]
    return f"planned {len(run.plan.cases)} = " + " + ".join(parts)


def _command_line() -> tuple[str, ...]:
    """The command as it can be typed again, whatever path the program was started from."""
    return ("kexue-bench", *sys.argv[1:])


def _plan(args: argparse.Namespace, families: Sequence[str], registry: Registry, hooks: Hooks) -> Plan:
    """The plan of the request, narrowed to `--case`, with the tuning that such a case rests on.

    Raises:
        UsageError: the request makes no sense, or no planned case has that key.
    """
    plan = build_plan(options.request_of(args, families), registry, hooks)
    if not args.case:
        return plan
    keys = {case.key for case in plan.cases if case.key.startswith(args.case)}
    if not keys:
        raise UsageError(
            "--case must be the beginning of the key of a planned case",
            got=repr(args.case),
            do="keys depend on every option of the run, its seed and suite included",
        )
    keys |= {str(plan.by_key[key].options.get("tuned", "")) for key in keys}
    jobs = (replace(job, cases=tuple(case for case in job.cases if case.key in keys)) for job in plan.jobs)
    return replace(
        plan,
        jobs=tuple(job for job in jobs if job.cases),
        settled=tuple(outcome for outcome in plan.settled if outcome.key in keys),
        settled_cases=tuple(case for case in plan.settled_cases if case.key in keys),
    )


def _earlier(args: argparse.Namespace) -> Run | None:
    """The run that `--resume` names; None without it, and for a bare `--resume` before the first run."""
    if args.resume is None or (args.resume == "latest" and not list_runs(args.output)):
        return None
    return load_run(args.resume, args.output)


def _goes_on(earlier: Run, plan: Plan, environment: Mapping[str, object]) -> bool:
    """Whether the folder of an earlier run can take the new outcomes: the same cases, the same software and machine."""
    same_place = all(earlier.environment.get(name) == environment.get(name) for name in SAME)
    return set(earlier.plan.by_key) == set(plan.by_key) and same_place


def _resume_note(earlier: Run, again: Counter[str], existing: Path | None) -> str:
    """`resuming 0003: 80 replayed, 4 run again (3 code or libraries changed, 1 cancelled)`."""
    reasons = ", ".join(f"{count} {why}" for why, count in again.most_common() if why)
    runs = sum(count for why, count in again.items() if why)
    todo = f"{runs} to run ({reasons})" if runs else "nothing to run"
    return f"resuming {earlier.path.name}: {again['']} replayed, {todo}{'' if existing else ', in a new folder'}"


def _say(text: str) -> None:
    print(f"kexue-bench: {visible(text)}", file=sys.stderr)


def _environment(hooks: Hooks) -> dict[str, object]:
    facts: dict[str, object] = dict(capture())
    for name, answer in hooks.call("kexue_environment"):
        facts[f"plugin:{name}"] = [dict(part) for part in answer]  # pyright: ignore[reportGeneralTypeIssues]  # a hook's list of mappings
    return facts


def _worker_plugins(registry: Registry) -> tuple[str, ...]:
    """What workers import first: the plugins of `-p`, whose modules need not be installed."""
    return tuple(record.load for record in registry.records if record.status == "ok" and not record.distribution)


def _name(plan: Plan) -> str:
    return "-".join(dict.fromkeys(case.family for case in plan.cases))
