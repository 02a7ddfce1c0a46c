"""The progress of a run: a bar on a terminal, lines in a notebook, nothing in a pipe or if quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ..api import STATUSES, Case, Outcome, Plan
from ..catalog.plugins import Hooks
from .text import visible

LINES = 10
"""Number of lines that a notebook shows during a run."""


class Display:
    """Counts outcomes on a progress bar, or prints lines.

    Args:
        progress: the bar; it may be disabled.
        verbose: print one line for each outcome to standard error.
        lines: print the progress `LINES` times to standard output.
    """

    def __init__(self, progress: Progress, *, verbose: bool = False, lines: bool = False) -> None:
        self._progress, self._verbose, self._lines = progress, verbose, lines
        self._task = progress.add_task("starting", total=None)
        self._statuses: dict[str, str] = {}
        self._total, self._told = 0, 0

    def observing(self, hooks: Hooks) -> Announcer:
        """The observer of a run: this display and the plugins' hooks."""
        return Announcer(self, hooks)

    def started(self, plan: Plan) -> None:
        """The number of cases is known."""
        self._total = len(plan.cases)
        self._progress.update(self._task, total=self._total, description="running")

    def finished(self, outcome: Outcome, case: Case) -> None:
        """One more outcome is safe on disk."""
        # A lost attempt is followed by another outcome of the same case.
        self._statuses[outcome.key] = outcome.status
        done, bad = len(self._statuses), sum(not STATUSES[status].result for status in self._statuses.values())
        what = f"{case.family}/{case.task.label} {case.method.label} {case.stage}"
        self._progress.update(self._task, completed=done, description=f"{bad} failed · {what}" if bad else what)
        if self._verbose:
            _tell(sys.stderr, f"{outcome.status:<12} {outcome.seconds:7.2f} s  {case.key}  {what}")
        if self._lines and (part := done * LINES // max(self._total, 1)) > self._told:
            self._told = part
            _tell(sys.stdout, f"{done} of {self._total} cases done" + (f", {bad} failed" if bad else ""))


class Announcer:
    """Notifies the display and every plugin; errors in plugins are collected and do not affect the run."""

    def __init__(self, display: Display, hooks: Hooks) -> None:
        self._display, self._hooks = display, hooks

    def started(self, plan: Plan) -> None:
        """Before the first case."""
        self._display.started(plan)
        self._hooks.call("kexue_run_started", plan=plan)

    def finished(self, outcome: Outcome, case: Case) -> None:
        """After an outcome is safe on disk."""
        self._display.finished(outcome, case)
        self._hooks.call("kexue_case_finished", case=case, outcome=outcome)

    def done(self, path: str) -> None:
        """At the end."""
        self._hooks.call("kexue_run_finished", path=path)


@contextmanager
def progress_display(*, verbose: bool = False, quiet: bool = False) -> Iterator[Display]:
    """Show the progress while the run lasts.

    Args:
        verbose: one line for each outcome instead of the bar.
        quiet: show nothing.
    """
    console = Console(stderr=True)
    # The bar of rich needs ipywidgets in a notebook, and leaves an empty output cell behind.
    notebook = console.is_jupyter
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    shown = console.is_terminal and not (notebook or verbose or quiet)
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        yield Display(progress, verbose=verbose and not quiet, lines=notebook and not (verbose or quiet))


def _tell(stream: TextIO, line: str) -> None:
    # A closed output must not end the run.
    with suppress(OSError):
        stream.write(visible(line) + "\n")
        stream.flush()
