"""The live progress display on stderr: gone when the run ends, silent in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..api import COMPLETE, Case, Outcome, Plan
from ..catalog.plugins import Hooks
from ..report.text import visible


class Display:
    """Counts outcomes on a progress bar, or prints one line each with `-v`."""

    def __init__(self, progress: Progress, *, verbose: bool) -> None:
        self._progress, self._verbose = progress, verbose
        self._task = progress.add_task("starting", total=None)
        self._statuses: dict[str, str] = {}

    def observing(self, hooks: Hooks) -> Announcer:
        """The observer of a run: this display, and the plugins that listen."""
        return Announcer(self, hooks)

    def started(self, plan: Plan) -> None:
        """The number of cases is known."""
        self._progress.update(self._task, total=len(plan.cases), description="running")

    def finished(self, outcome: Outcome, case: Case) -> None:
        """One more outcome is safe on disk."""
        # A lost attempt is followed by another outcome of the same case.
        self._statuses[outcome.key] = outcome.status
        bad = sum(status not in COMPLETE for status in self._statuses.values())
        what = f"{case.family}/{case.task.label} {case.method.label} {case.stage}"
        self._progress.update(
            self._task, completed=len(self._statuses), description=f"{bad} failed · {what}" if bad else what
        )
        if self._verbose:
            # A reader that went away must not cost the run.
            with suppress(OSError):
                print(visible(f"{outcome.status:<12} {outcome.seconds:7.2f} s  {case.key}  {what}"), file=sys.stderr)


class Announcer:
    """Tells the display and every plugin; a plugin's error is collected and changes nothing."""

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
def progress_display(*, verbose: bool) -> Iterator[Display]:
    """A progress bar for as long as the run lasts."""
    console = Console(stderr=True)
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    shown = console.is_terminal and not verbose
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        yield Display(progress, verbose=verbose)
