"""Shared by the verbs that run cases: the plan and the run of a command line, its final lines and its exit code."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from ..api import STATUSES, Outcome, Plan
from ..catalog.plugins import Hooks
from ..catalog.registry import Registry
from ..plan.forecast import Forecast, forecast, measured
from ..plan.suites import told
from ..report.text import visible
from ..run.signals import stop_on_signals
from ..session import ReadOptions, Session, plan_session, run_session
from ..store.results import Run, list_runs, load_run
from . import options
from .story import failures

INCOMPLETE = 3
_NEWEST = 5
"""Stored runs that a forecast reads."""
STOPPING = "kexue-bench: stopping; running cases have {:g} s to finish; press Ctrl-C again to stop at once"


def plan_only(args: argparse.Namespace, families: Sequence[str], registry: Registry, hooks: Hooks) -> Plan:
    """The plan of a command line, without running it."""
    return plan_session(options.request_of(args, families), options.run_options_of(args), registry, hooks)


def expected(plan: Plan, output: Path, *, jobs: int | None = None) -> Forecast:
    """What a plan will take here, from the newest stored runs."""
    stored = [load_run(info.path, output) for info in list_runs(output)[-_NEWEST:]]
    pairs = [(run.plan.by_key[key], outcome) for run in stored for key, outcome in run.outcomes.items()]
    return forecast(plan, measured(pairs), workers=jobs or os.cpu_count() or 1)


def run_request(
    args: argparse.Namespace,
    families: Sequence[str],
    registry: Registry,
    hooks: Hooks,
    *,
    reading: ReadOptions | None = None,
) -> Session:
    """Run and store what a command line asks for; after a signal the finished cases are still reported.

    Args:
        reading: how the run will be read, where first verdicts are shown while it goes.
    """
    return run_session(
        options.request_of(args, families),
        options.run_options_of(args),
        registry,
        hooks,
        reading=reading,
        stopping=partial(stop_on_signals, say=STOPPING.format(args.grace)),
    )


def exit_code(finished: Session) -> int:
    """128 plus the signal that stopped the run (130 for SIGINT), or the exit code of its outcomes."""
    return 128 + finished.signal if finished.signal else exit_code_of(finished.run.outcomes)


def exit_code_of(outcomes: Mapping[str, Outcome]) -> int:
    """0 when every outcome is a result, 3 when something failed, timed out or was cancelled."""
    return 0 if all(STATUSES[outcome.status].result for outcome in outcomes.values()) else INCOMPLETE


def summary(run: Run) -> str:
    """The cases that failed, with their last lines, what the suite left out, and the tally of all cases."""
    return "\n".join([*failures(run), *filter(None, [visible(told(run.plan))]), tally(run)])


def tally(run: Run) -> str:
    """One line that always adds up: `planned 84 = ok 80 + unsupported 4`."""
    counts = Counter(
        run.outcomes[case.key].status if case.key in run.outcomes else "missing" for case in run.plan.cases
    )
    parts = [f"{name} {count}" for name, count in counts.most_common()]
    return f"planned {len(run.plan.cases)} = " + " + ".join(parts)
