"""Run a plan from the command line: engine, signals, progress, resume, and the exit code at the end."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..api import COMPLETE, Outcome, Plan
from ..environment import capture, fingerprints
from ..errors import UsageError
from ..plan import build_plan
from ..plugins import Hooks
from ..registry import Registry
from ..results import Run, RunWriter, list_runs, load_run
from . import options
from .progress import progress_display

INCOMPLETE = 3


@dataclass(frozen=True, kw_only=True)
class Session:
    """A finished (or interrupted) run, as the command line sees it."""

    run: Run
    registry: Registry
    exit_code: int


def plan_only(args: argparse.Namespace, families: Sequence[str]) -> Plan:
    """The plan of a command line, nothing run."""
    registry, hooks = options.load(args)
    return build_plan(options.request_of(args, families), registry, hooks)


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
    from ..engines.local import LocalEngine
    from ..runner import run
    from ..signals import stop_on_signals

    registry, hooks = options.load(args)
    check(args, registry)
    plan = build_plan(options.request_of(args, families), registry, hooks)
    previous, existing = _previous(args, plan)
    writer: RunWriter | None = None

    def open_writer() -> RunWriter:
        nonlocal writer
        writer = (
            RunWriter.open(existing)
            if existing is not None
            else RunWriter.create(
                args.output, name=_name(plan), plan=plan, environment=_environment(hooks), command=_command_line()
            )
        )
        return writer

    with (
        stop_on_signals() as stop,
        LocalEngine(workers=args.jobs or os.cpu_count() or 1, isolation=args.isolation, threads=args.threads) as engine,
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
                fingerprints=fingerprints(plan.cases),
                plugins=_worker_plugins(registry),
                sys_path=tuple(path for path in sys.path if path),
                observer=display.observing(hooks),
                stop=stop,
                retry_failed=args.retry_failed,
            )
        finally:
            if writer is not None:
                writer.close()
    if writer is None:
        raise UsageError("nothing was run")
    for error in hooks.errors:
        print(f"kexue-bench: {error}", file=sys.stderr)
    result = load_run(writer.path)
    return Session(run=result, registry=registry, exit_code=stop.exit_code or exit_code_of(result.outcomes))


def exit_code_of(outcomes: Mapping[str, Outcome]) -> int:
    """0 when every outcome is a result, 3 when something failed, timed out or was cancelled."""
    return 0 if all(outcome.status in COMPLETE for outcome in outcomes.values()) else INCOMPLETE


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


def _previous(args: argparse.Namespace, plan: Plan) -> tuple[Mapping[str, Outcome], Path | None]:
    """Outcomes to replay, and the folder to go on in when the plan is the same."""
    if args.resume is None or (args.resume == "latest" and not list_runs(args.output)):
        return {}, None
    run = load_run(args.resume, args.output)
    same = set(run.plan.by_key) == set(plan.by_key)
    return run.outcomes, run.path if same else None


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
