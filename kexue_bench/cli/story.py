"""Everything about one case of a stored run, and the command that reruns just this case.

The folder may come from a third party, so each field is escaped separately and none can forge a line.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from ..api import STATUSES, Case, Outcome
from ..report.text import visible
from ..store.results import Run

RERUN = ("compare", "run", "verify")
"""Verbs that take `--case`."""
LAST_LINES = 3
"""Lines of a trace that the summary of a run prints."""
SHOWN = 10
"""Failures that the summary of a run prints."""
_DROPPED = frozenset({"--retry-failed", "-n", "--dry-run"})
_DROPPED_WITH_VALUE = frozenset({"--case", "--resume"})


def story(run: Run, case: Case) -> str:
    """Everything about a case: what it is, how it ended, what it printed, every attempt and every number."""
    outcome = run.outcomes.get(case.key)
    lines = [
        f"case {case.key} of {visible(run.path.name)}",
        f"  {visible(case.family)}/{visible(case.task.label)}   {visible(case.method.label)}   {_stage(case)}",
        f"  {visible(case.device)}, {case.threads} thread(s), {visible(case.dtype)}, seed {case.seed}",
    ]
    for instance in (case.task, case.method):
        lines += [
            visible(f"  {name}: {instance.params.get(name)}   {file.size:,} B   content {file.digest}")
            for name, file in instance.files.items()
        ]
    lines += _ending(run, outcome) if outcome else ["  no outcome: the run ended before this case did"]
    lines += [f"  note: {visible(note)}" for note in run.notes]
    command = rerun_command(run, case)
    lines += ["", f"rerun this case:  {visible(command)}"] if command else []
    return "\n".join([*lines, ""])


def failures(run: Run) -> list[str]:
    """For each case that failed: where, why, the last lines of its trace, and how to see the rest."""
    bad = [o for o in run.outcomes.values() if not STATUSES[o.status].result]
    lines: list[str] = []
    for outcome in bad[:SHOWN]:
        case = run.plan.by_key[outcome.key]
        where = f"{case.family}/{case.task.label} {case.method.label}"
        lines.append(visible(f"{outcome.status} in {outcome.phase or case.stage}: {where}: {outcome.reason}"))
        last = [line for line in outcome.trace.splitlines() if line.strip()][-LAST_LINES:]
        lines += [f"  | {visible(line)}" for line in last]
        lines.append(f"  kexue-bench show {outcome.key}")
    if len(bad) > SHOWN:
        lines.append(f"and {len(bad) - SHOWN} more; `kexue-bench report` shows all of them")
    return lines


def rerun_command(run: Run, case: Case) -> str:
    """The command of the run, narrowed to one case; empty if the run was not made by a command.

    It keeps every option of that command, so that the plan has the case under the same key.
    """
    if len(run.command) < 2 or run.command[1] not in RERUN:
        return ""
    return shlex.join(["kexue-bench", *_kept(run.command[1:]), "--case", case.key])


def _kept(words: Sequence[str]) -> Iterator[str]:
    """The words of a command without the options that decide how much of the plan runs."""
    waiting = iter(words)
    for word in waiting:
        name, equals, _ = word.partition("=")
        if word in _DROPPED:
            continue
        if name in _DROPPED_WITH_VALUE:
            # A bare `--resume` has no value: it means the latest run.
            if not equals and name != "--resume":
                next(waiting, None)
            continue
        yield word


def _stage(case: Case) -> str:
    words = [case.stage]
    words += [f"claim {visible(case.claim)}"] if case.claim else []
    words += [f"replicates {', '.join(map(str, case.replicates))}"] if case.replicates != (0,) else []
    words += ["copy of the baseline"] if case.copy else []
    return "   ".join(words)


def _ending(run: Run, outcome: Outcome) -> list[str]:
    stop = f", stopped by {visible(outcome.stop)}" if outcome.stop else ""
    where = f" in {visible(outcome.phase)}" if outcome.phase else ""
    lines = [f"  {outcome.status}{where}{stop}   {outcome.seconds:.2f} s   attempt {outcome.attempt}"]
    lines += [f"  {visible(outcome.reason)}"] if outcome.reason else []
    leaks = ", ".join(outcome.state_leak)
    lines += [f"  process settings that it changed (restored): {visible(leaks)}"] if leaks else []
    lines += [
        f"  attempt {other.attempt}: {other.status}: {visible(other.reason)}"
        for other in run.ledger
        if other.key == outcome.key and other.attempt != outcome.attempt
    ]
    lines += ["", *(f"  | {visible(line)}" for line in outcome.trace.splitlines())] if outcome.trace else []
    rows = [m for m in outcome.measurements if m.point is None]
    lines += [""] if rows else []
    for m in rows:
        labels = "".join(f" {key}={value}" for key, value in sorted(m.labels.items()))
        replicate = f" replicate {m.replicate}" if m.replicate is not None else ""
        number = f"{m.value!r:<24} [{m.low!r}, {m.high!r}]  n={m.n}"
        lines.append(visible(f"  {m.metric:<16} {number} {m.unit} {' '.join(sorted(m.flags))}{labels}{replicate}"))
    lines += [f"  {visible(name)}: details/{visible(digest)}.json" for name, digest in outcome.details.items()]
    return lines
