"""The results of a run, as values that can be displayed, converted to frames and saved."""

from __future__ import annotations

import io
import re
import shlex
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult

from ..analysis.comparison import read
from ..analysis.findings import Finding, read_findings
from ..analysis.published import Figure, figures
from ..analysis.recommend import Have, Limit, Need, Recommendation, Specs, recommend
from ..analysis.tables import Table, Tabulation
from ..api import STATUSES, Case, Evidence, FamilySpec, Outcome, RunLike, TaskSpec
from ..catalog.core_claims import ALPHA
from ..catalog.registry import Registry
from ..errors import UsageError
from ..report import formats
from ..report.formats import Document
from ..report.verification import FindingsReport
from ..store.codec import encode
from ..store.frame import to_frame
from ..store.results import Run
from .options import ReadOptions

if TYPE_CHECKING:
    import pandas as pd

Spec = TypeVar("Spec", FamilySpec, TaskSpec)
WIDTH = 120
"""Terminal width that is used in a notebook."""


def tabulate(runs: Sequence[Run], registry: Registry, options: ReadOptions) -> Tabulation:
    """Read runs statistically; notes on them are in `notes` of the tabulation.

    Raises:
        UnknownNameError: a metric or the baseline is unknown.
        UsageError: a margin or a level is out of range.
    """
    options.check(registry)
    known, unresolved = figures(registry)
    tabulation = reader(registry, options, published=known)(runs)
    return replace(tabulation, notes=(*(f"{run.path.name}: {note}" for run in runs for note in run.notes), *unresolved))


def reader(
    registry: Registry, options: ReadOptions, *, published: Sequence[Figure] = ()
) -> Callable[[Sequence[RunLike]], Tabulation]:
    """What reads runs as the options say.

    Args:
        published: figures to show beside ours.
    """
    return partial(
        read,
        metrics=registry.metrics,
        families={
            name: replace(_shown(spec, _meant(options.columns, name)), uses=options.uses(name) or spec.uses)
            for name, spec in registry.families.items()
        },
        tasks={
            key: _shown(_sorted(spec, _meant((options.sort,), spec.family)), _meant(options.columns, spec.family))
            for key, spec in registry.tasks.items()
        },
        baseline=options.baseline or None,
        margin=options.margin,
        alpha=options.alpha,
        correction=options.correction,
        published=published,
        backward_cost=options.backward_cost,
        sorted_by={name: asked[0] for name in registry.families if (asked := _meant((options.sort,), name))},
    )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Result(ABC):
    """What `compare` and `verify` return: runs, and ways to display and save their results.

    Args:
        runs: the stored runs.
        notes: remarks on how they were made and read.
    """

    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()

    @abstractmethod
    def rows(self) -> list[dict[str, object]]:
        """Flat rows of plain JSON data."""

    @abstractmethod
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What the command line prints."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """A fragment for a notebook."""

    @property
    def statuses(self) -> Mapping[str, int]:
        """Status -> number of planned cases, the most frequent first; `missing` for those without an outcome."""
        return dict(Counter(status for _, status, _ in self._endings()).most_common())

    @property
    def failures(self) -> tuple[dict[str, object], ...]:
        """One flat row for each failed case: what it was, its status, phase, reason and key."""
        return tuple(
            {
                "family": case.family,
                "task": case.task.label,
                "method": case.method.label,
                "stage": case.stage,
                "claim": case.claim,
                "status": status,
                "phase": outcome.phase if outcome else "",
                "reason": outcome.reason if outcome else "the run ended before this case did",
                "trace": outcome.trace if outcome else "",
                "key": case.key,
            }
            for case, status, outcome in self._endings()
            if outcome is None or not STATUSES[outcome.status].result
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each measurement of every run, as in `Run.to_frame`."""
        return to_frame(self.runs)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write to a file in the format of its suffix: `.txt` and `.html` as displayed, `.csv`, `.json`, `.md`, `.tex`
        and `.parquet` as `rows()`.

        Raises:
            UsageError: no format has that suffix.
            ResultsError: the file cannot be written.
        """
        target, document = Path(path), self.document()
        formats.write(document, formats.by_suffix(target, document.parts), target)
        return target

    def document(self) -> Document:
        """The result as a document, for any format that its parts allow."""
        return Document(
            parts={"view": lambda: self, "rows": self.rows, "page": self._page},
            runs=[run.path.name for run in self.runs],
        )

    @abstractmethod
    def _page(self) -> str:
        """A whole HTML page."""

    def _endings(self) -> list[tuple[Case, str, Outcome | None]]:
        found = [(case, run.outcomes.get(case.key)) for run in self.runs for case in run.plan.cases]
        return [(case, outcome.status if outcome else "missing", outcome) for case, outcome in found]

    def _named(self) -> str:
        return ", ".join(run.path.name for run in self.runs)

    def _counted(self) -> str:
        statuses = self.statuses
        return f"{sum(statuses.values())} cases = " + " + ".join(f"{name} {count}" for name, count in statuses.items())

    def __str__(self) -> str:
        return self._text()

    def _text(self, *, width: int | None = None) -> str:
        """What the command line prints, without colors."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace", newline="")
        Console(file=out, width=width, color_system=None, force_jupyter=False).print(self)
        out.flush()
        return out.buffer.getvalue().decode(encoding).rstrip("\n")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002  # IPython's signature
        return {"text/plain": self._text(width=WIDTH), "text/html": self._repr_html_()}


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Comparison(Result):
    """What `compare` returns: print it, display it in a notebook, or use its numbers.

    Args:
        tabulation: the statistical reading: tables, summaries, margin, level and correction.
        full: display every table, however many there are, instead of one screen.
        specs: the methods and tasks that were known when the results were read.
    """

    tabulation: Tabulation
    full: bool = False
    specs: Specs = field(default_factory=Specs)

    @property
    def tables(self) -> tuple[Table, ...]:
        """One table for each task, device and dtype."""
        return self.tabulation.tables

    def recommend(
        self,
        family: str = "",
        *,
        tasks: Sequence[str] = (),
        needs: Sequence[str] = (),
        budgets: Sequence[str] = (),
        have: Have = "gradient",
    ) -> Recommendation:
        """The methods that no other one beats in both error and price, as `kexue-bench recommend` finds them.

        Args:
            family: may be left out if there is only one.
            tasks: names or labels of the tasks that count; empty means all.
            needs: claims that a method must make.
            budgets: the most that a call may cost: `64 evaluations`, `50 ms`, `2 GB`.
            have: derivatives of the function, or its values only.

        Raises:
            UsageError: a budget cannot be read, or there are several families and none is named.
            UnknownNameError: a family, task or claim is unknown.
        """
        families = list(dict.fromkeys(table.family for table in self.tables))
        if not family and len(families) > 1:
            raise UsageError("recommend needs the name of a family", got="none", do=f"one of {', '.join(families)}")
        name = family or families[0]
        counters = {one.work for one in self.tabulation.summaries if one.family == name and one.work}
        need = Need(claims=tuple(needs), limits=tuple(Limit.of(text, counters) for text in budgets), have=have)
        return recommend(self.tabulation, self.specs, name, need, tasks=tasks)

    def rows(self) -> list[dict[str, object]]:
        """One flat row of plain JSON data for each (task, method, metric), and one for each method without a result."""
        return self.tabulation.rows()

    def published(self) -> list[dict[str, object]]:
        """One flat row for each published figure with ours beside it."""
        return self.tabulation.published()

    def document(self) -> Document:
        """The comparison as a document; plugins' reporters take its tabulation."""
        document = super().document()
        return replace(document, parts={**document.parts, "tabulation": lambda: self.tabulation})

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One screen on what to use; of few tables, or if all are asked for, the tables and how to read them."""
        from ..report.screen import fits_at_once, render_screen
        from ..report.terminal import render

        lay_out = render if self.full or fits_at_once(self.tabulation) else render_screen
        yield lay_out(self.tabulation, width=options.max_width, unicode=options.encoding.startswith("utf"))

    def _repr_html_(self) -> str:
        from ..report.html import render_fragment

        return render_fragment(self.tabulation)

    def _page(self) -> str:
        from ..report.html import render_html

        return render_html(
            self.tabulation,
            environments={run.path.name: run.environment for run in self.runs},
            commands=[_told(run) for run in self.runs if run.command],
        )

    def __repr__(self) -> str:
        tables = f"{len(self.tables)} table{'s' * (len(self.tables) != 1)}"
        return f"<Comparison of {self._named()}: {tables}, {self._counted()}>"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Verification(Result):
    """What `verify` returns: every claim that was checked, with its verdict.

    Args:
        everything: show one line for each claim on each task, those that passed included.
    """

    everything: bool = False

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Every claim of each method on each task, in planned order."""
        return tuple(finding for run in self.runs for finding in read_findings(run.plan, run.outcomes))

    @property
    def verdicts(self) -> Mapping[str, int]:
        """`PASS`, `FAIL`, `UNDECIDED`, or the status of a check that did not finish -> number of claims."""
        return dict(Counter(finding.verdict for finding in self.findings))

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Findings of the claims that failed."""
        return tuple(finding for finding in self.findings if finding.verdict == "FAIL")

    @property
    def checked(self) -> tuple[Finding, ...]:
        """Claims whose check was begun: all but the unsupported and skipped ones."""
        return tuple(finding for finding in self.findings if finding.verdict not in {"unsupported", "skipped"})

    @property
    def passed(self) -> bool:
        """Whether some claim was checked, none failed, and every check finished."""
        return bool(self.checked) and not self.failed and not self.failures

    def rows(self) -> list[dict[str, object]]:
        """One flat row of plain JSON data for each claim: what was checked, the verdict, and the evidence."""
        return [
            {
                "family": finding.case.family,
                "task": finding.case.task.name,
                "task_params": encode(finding.case.task.params),
                "method": finding.case.method.name,
                "method_params": encode(finding.case.method.params),
                "claim": finding.case.claim,
                "verdict": finding.verdict,
                "status": finding.outcome.status if finding.outcome else "missing",
                "reason": finding.outcome.reason if finding.outcome else "",
                **(_evidence_columns(finding.evidence) if finding.evidence else {}),
            }
            for finding in self.findings
        ]

    def document(self) -> Document:
        """The verification as a document; its JSON form includes the level of a claim's test."""
        return replace(super().document(), head={"alpha": ALPHA})

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The failures, every test with its violation, and a matrix of claims."""
        yield FindingsReport(self.findings, everything=self.everything, unicode=options.encoding.startswith("utf"))

    def _repr_html_(self) -> str:
        console = Console(file=io.StringIO(), width=WIDTH, record=True, force_jupyter=False)
        console.print(self)
        return console.export_html(
            inline_styles=True,
            code_format='<pre style="font: 13px/1.4 ui-monospace, Menlo, Consolas, monospace">{code}</pre>',
        )

    def _page(self) -> str:
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>kexue-bench</title>\n</head>\n'
            f"<body>\n{self._repr_html_()}\n</body>\n</html>\n"
        )

    def __repr__(self) -> str:
        verdicts = " + ".join(f"{count} {verdict}" for verdict, count in self.verdicts.items())
        return f"<Verification of {self._named()}: {len(self.findings)} claims = {verdicts or 'none'}>"


def _evidence_columns(evidence: Evidence) -> dict[str, object]:
    names = ("value", "low", "high", "unit", "n", "statistic", "p", "detectable", "tolerance", "note")
    return {name: encode(getattr(evidence, name)) for name in names}


def _told(run: Run) -> str:
    """The command that made a run, with files of the user's by their names: a page is read by others."""
    instances = [instance for case in run.plan.cases for instance in (case.task, case.method)]
    names = {(key, Path(file.place).name) for instance in instances for key, file in instance.files.items()}
    words = run.command
    for key, name in sorted(names):
        folder = re.compile(rf"(?<=\b{re.escape(key)}=)(['\"]?).*?/(?={re.escape(name)})")
        words = tuple(folder.sub(r"\1", word) for word in words)
    return shlex.join(words)


def _meant(names: Sequence[str], family: str) -> tuple[str, ...]:
    """The bare names of the metrics that apply to the tables of a family."""
    parted = [name.rpartition("/") for name in names if name]
    return tuple(name for owner, _, name in parted if owner in {"", family})


def _shown(spec: Spec, columns: tuple[str, ...]) -> Spec:
    return replace(spec, headline=columns) if columns else spec


def _sorted(spec: TaskSpec, metric: tuple[str, ...]) -> TaskSpec:
    return replace(spec, primary=metric[0]) if metric else spec
