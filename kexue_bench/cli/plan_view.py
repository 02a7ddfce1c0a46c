"""What `--dry-run` prints: the number of cases of each task in each stage, and those that will not run."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..api import STAGES, Plan, Stage
from ..plan.forecast import Forecast
from ..plan.suites import told
from ..report import numbers
from ..report.text import visible


def print_plan(plan: Plan, expected: Forecast | None = None) -> None:
    """Print the plan as a table, one row a task, and what it is expected to take."""
    console = Console()
    table = Table(title=f"plan: {len(plan.cases)} cases in {len(plan.jobs)} jobs", box=None, title_justify="left")
    table.add_column("task")
    table.add_column("methods", justify="right")
    planned = {case.stage for case in plan.cases}
    shown = [stage for stage in get_args(Stage) if stage in {*STAGES, *planned}]
    for stage in shown:
        table.add_column(stage, justify="right")
    table.add_column("not run", justify="right")
    settled = {case.key for case in plan.settled_cases}
    tasks = dict.fromkeys((case.family, case.task.label) for case in plan.cases)
    for family, label in tasks:
        cases = [case for case in plan.cases if (case.family, case.task.label) == (family, label)]
        stages = Counter(case.stage for case in cases if case.key not in settled)
        table.add_row(
            Text(visible(f"{family}/{label}")),
            str(len({case.method.label for case in cases})),
            *(str(stages[stage]) for stage in shown),
            str(sum(case.key in settled for case in cases) or ""),
        )
    console.print(table)
    for place, baseline in plan.baselines.items():
        note = " (added)" if baseline.label in plan.added else ""
        console.print(Text(visible(f"baseline of {place}: {baseline.label}{note}")))
    if left := told(plan):
        console.print(Text(visible(left)), soft_wrap=True)
    if expected is not None:
        console.print(Text(f"time: {seconds_told(expected)}"))
        console.print(Text(f"memory: {_memory_told(expected)}"))


def seconds_told(expected: Forecast) -> str:
    """How long a plan will take, in words."""
    if expected.seconds is None:
        return "unknown, no stored run has these tasks"
    minutes, seconds = divmod(round(expected.seconds), 60)
    text = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
    return f"about {text}, as measured on {expected.known} of {expected.of} cases in stored runs"


def _memory_told(expected: Forecast) -> str:
    if expected.bytes is None:
        return "unknown, no stored run has these tasks"
    at_once = f", {expected.workers} at once" if expected.workers > 1 else ""
    known = f"as measured on {expected.weighed} of {expected.of} cases in stored runs"
    return f"up to {numbers.size(expected.bytes)} in a process{at_once}, {known}"
