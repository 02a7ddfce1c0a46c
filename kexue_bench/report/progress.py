"""The progress of a run: first verdicts and a bar on a terminal, lines in a notebook, nothing in a pipe or if quiet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ..api import STATUSES, Case, Outcome, Plan
from ..catalog.plugins import Hooks
from .text import visible

LINES = 10
"""Number of lines that a notebook shows during a run."""
_NEWEST = 10
"""Verdicts that stay above the bar."""
Verdict = Callable[[Outcome, Case], str]
"""What an outcome decides, in one line; empty for most."""


class Bar(Progress):
    """A progress bar below the newest verdicts, which are gone at the end together with it."""

    verdicts: tuple[str, ...] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The lines of verdicts, cut to the width of the terminal, then the bar."""
        if self.verdicts:
            yield Text(f"so far, on {len(self.verdicts)} task{'s' * (len(self.verdicts) > 1)}", style="bold")
        for line in self.verdicts[-_NEWEST:]:
            yield Text(f"  {visible(line)}", no_wrap=True, overflow="ellipsis")
        yield from super().get_renderables()


class Display:
    """Counts outcomes on a progress bar, or prints lines.

    Args:
        progress: the bar; it may be disabled.
        verbose: print one line for each outcome to standard error.
        lines: print the progress `LINES` times to standard output.
        verdict: what an outcome decides; shown above the bar, or as a line for each if `verbose`.
    """

    def __init__(
        self, progress: Bar, *, verbose: bool = False, lines: bool = False, verdict: Verdict | None = None
    ) -> None:
        self._progress, self._verbose, self._lines, self._verdict = progress, verbose, lines, verdict
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
        self._count(outcome, case)
        if line := self._decided(outcome, case):
            self._progress.verdicts = (*self._progress.verdicts, line)
            if self._verbose:
                _tell(sys.stderr, f"so far: {line}")

    def _decided(self, outcome: Outcome, case: Case) -> str:
        if self._verdict is None:
            return ""
        try:
            return self._verdict(outcome, case)
        except Exception:  # noqa: BLE001  # a run outlives what is wrong with its reading; the report will say it
            self._verdict = None
            return ""

    def _count(self, outcome: Outcome, case: Case) -> None:
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
def progress_display(
    *, verbose: bool = False, quiet: bool = False, verdict: Callable[[], Verdict] | None = None
) -> Iterator[Display]:
    """Show the progress while the run lasts.

    Args:
        verbose: one line for each outcome instead of the bar.
        quiet: show nothing.
        verdict: makes what says what an outcome decides; called only if that is shown.
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
    verbose = verbose and not quiet
    with Bar(*columns, console=console, transient=True, disable=not shown) as progress:
        yield Display(
            progress,
            verbose=verbose,
            lines=notebook and not (verbose or quiet),
            verdict=verdict() if verdict is not None and (shown or verbose) else None,
        )


def _tell(stream: TextIO, line: str) -> None:
    # A closed output must not end the run.
    with suppress(OSError):
        stream.write(visible(line) + "\n")
        stream.flush()
