"""What `verify` found, as a terminal report: failures, every test with its violation, and a matrix of claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from ..analysis.findings import Finding
from ..api import STATUSES, Case, Of
from ..catalog.core_claims import ALPHA, GENERAL
from .layout import clip_middle
from .text import visible

_STYLES = {"PASS": "green", "UNDECIDED": "yellow"}
_MARKS = {"PASS": "✓", "FAIL": "✗", "UNDECIDED": "?"}
_ASCII = {"PASS": "+", "FAIL": "X", "UNDECIDED": "?"}
_PROMISES: Mapping[Of, str] = {"draws": "general", "training": "training", "subject": "subject"}
"""Headings of the columns of the promises that all methods share."""
_PADDING = 3
"""Terminal columns between two columns of the matrix, its rule included."""
_WIDE, _LONGEST = 110, 34
"""From this width on, verdicts are words and draws are shown; the longest method name that is not cropped then."""


class FindingsReport:
    """A rich renderable of the findings of one run.

    Args:
        findings: every claim that was planned.
        everything: one line for each claim on each task, those that passed included.
        unicode: False keeps to ASCII.
    """

    def __init__(self, findings: Sequence[Finding], *, everything: bool = False, unicode: bool = True) -> None:
        self._findings = [finding for finding in findings if not _left_out(finding)]
        self._everything = everything
        self._marks = _MARKS if unicode else _ASCII
        self._ellipsis = "…" if unicode else "..."

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lines, matrices and totals."""
        yield from self._lines(options.max_width)
        for family in dict.fromkeys(finding.case.family for finding in self._findings):
            yield from self._matrices(family, options.max_width)
        yield from self._sums()

    def _lines(self, width: int) -> Iterator[Text]:
        """One line for each group, cropped on the right: the tasks come last, the violation is always shown."""
        groups = self._groups()
        if not groups:
            return
        wide = width >= _WIDE
        heads = ["verdict" if wide else "", "method", "claim", "violation", "detectable", "draws", "task"]
        rows = []
        for group in groups:
            worst = max(group, key=_badness)
            verdict = worst.verdict if wide else self._marks.get(worst.verdict, "!")
            claims = dict.fromkeys(finding.case.claim for finding in group)
            rows.append(
                [verdict, worst.case.method.label, _and_more(list(claims)), *_seen(worst), _where(group, worst)]
            )
        if not wide:
            for cells in (heads, *rows):
                del cells[5]
        rows = [[visible(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        widths[1] = min(widths[1], _LONGEST if wide else _LONGEST // 2)
        widths[-1] = max(8, width - sum(widths[:-1]) - 2 * (len(widths) - 1))
        yield _joined(heads, widths, style="dim")
        for group, row in zip(groups, rows, strict=True):
            yield _joined(row, widths, first=_style(group[0].verdict))
        yield Text()

    def _groups(self) -> list[list[Finding]]:
        """Findings that share a line: one verdict on one claim of one method, failures first.

        Checks that did not finish share a line if they have the same reason.
        """
        grouped: dict[tuple[str, ...], list[Finding]] = {}
        for finding in self._findings:
            case, ended = finding.case, finding.verdict in {"PASS", "FAIL", "UNDECIDED"}
            if finding.verdict == "PASS" and not self._everything and (not finding.tested or _promised(case)):
                continue
            reason = "" if ended or finding.outcome is None else finding.outcome.reason
            key = (finding.verdict, case.family, case.method.label, case.claim if ended else reason)
            grouped.setdefault((*key, case.task.label) if self._everything else key, []).append(finding)
        return sorted(grouped.values(), key=lambda group: _rank(group[0].verdict))

    def _matrices(self, family: str, width: int) -> Iterator[Table | str]:
        """Method by claim: the number of tasks with each verdict.

        Claims that do not fit side by side follow in another matrix, because cropped names would be ambiguous.
        """
        findings = [finding for finding in self._findings if finding.case.family == family]
        names = dict.fromkeys(_heading(finding.case) for finding in findings)
        columns = sorted(names, key=lambda name: name not in _PROMISES.values())
        counts: dict[str, dict[str, Counter[str]]] = {}
        for finding in findings:
            column = _heading(finding.case)
            row = counts.setdefault(finding.case.method.label, {})
            row.setdefault(column, Counter())[finding.verdict] += 1
        cells = {label: {name: self._cell(row.get(name)) for name in columns} for label, row in counts.items()}
        headings = {name: _broken(visible(name)) for name in columns}
        taken = {
            name: max(*map(len, headings[name].split("\n")), *(row[name].cell_len for row in cells.values())) + _PADDING
            for name in columns
        }
        shown = {label: clip_middle(visible(label), max(width // 3, 16), self._ellipsis) for label in cells}
        room = width - max(cell_len(name) for name in (family, *shown.values())) - _PADDING
        for part in _packed(taken, room):
            table = Table(
                box=None if self._marks is _ASCII else box.SIMPLE_HEAD,
                pad_edge=False,
                padding=(0, 2, 0, 0),
                show_edge=False,
            )
            table.add_column(Text(visible(family), style="bold"), no_wrap=True, vertical="bottom")
            for name in part:
                table.add_column(Text(headings[name]), justify="left", vertical="bottom", no_wrap=True)
            for label, row in cells.items():
                if any(name in counts[label] for name in part):
                    table.add_row(Text(shown[label]), *(row[name] for name in part))
            yield table
            yield ""

    def _cell(self, counts: Counter[str] | None) -> Text:
        if not counts:
            return Text("-" if self._marks is _ASCII else "·", style="dim")
        text = Text()
        for verdict in sorted(counts, key=_rank):
            mark = self._marks.get(verdict, "!")
            text.append(f"{' ' if text else ''}{mark} {counts[verdict]}", style=_style(verdict))
        return text

    def _sums(self) -> Iterator[Text]:
        counts = Counter(finding.verdict for finding in self._findings)
        parts = " + ".join(f"{counts[verdict]} {verdict}" for verdict in sorted(counts, key=_rank))
        tested = sum(finding.tested for finding in self._findings)
        yield Text(f"{sum(counts.values())} claims = {parts or 'none'}")
        marks = self._marks
        yield Text(
            f"{marks['PASS']} holds, {marks['FAIL']} fails, {marks['UNDECIDED']} undecided, ! did not finish; numbers "
            f"count tasks ({'; '.join(self._promises())})",
            style="dim",
        )
        yield Text(
            f"{tested} tests at level {ALPHA:g}: family-wise false-alarm rate <= {100 * tested * ALPHA:.2f} %; "
            "the other claims are identities",
            style="dim",
        )

    def _promises(self) -> Iterator[str]:
        """What each column of promises counts: `general: tasks times 6 claims: finite, ...`."""
        seen = {finding.case.of for finding in self._findings if _promised(finding.case)} or {"draws"}
        for of, heading in _PROMISES.items():
            if of in seen:
                yield f"{heading}: tasks times {len(GENERAL[of])} claims: {', '.join(sorted(GENERAL[of]))}"


def _promised(case: Case) -> bool:
    """Whether the claim is a promise of all methods."""
    return case.claim in GENERAL[case.of]


def _heading(case: Case) -> str:
    """The column of a claim; promises of the same kind of object share one."""
    return _PROMISES[case.of] if _promised(case) else case.claim


def _packed(widths: Mapping[str, int], room: int) -> list[list[str]]:
    """Names in order, split into parts that fit into `room`; each part has at least one."""
    parts: list[list[str]] = []
    left = -1
    for name, width in widths.items():
        if left < width:
            parts.append([])
            left = room
        parts[-1].append(name)
        left -= width
    return parts


def _left_out(finding: Finding) -> bool:
    """Whether the check was never meant to run here."""
    return finding.outcome is not None and STATUSES[finding.outcome.status].left_out


def _rank(verdict: str) -> int:
    """Failures first, then checks that did not finish, undecided claims, and claims that hold."""
    return {"FAIL": 0, "UNDECIDED": 2, "PASS": 3}.get(verdict, 1)


def _style(verdict: str) -> str:
    return _STYLES.get(verdict, "bold red")


def _badness(finding: Finding) -> float:
    """Order within a line: the size of the violation relative to the tolerance."""
    evidence = finding.evidence
    if evidence is None or evidence.value is None:
        return 0.0
    return abs(evidence.value) / (evidence.tolerance or 1.0)


def _where(group: Sequence[Finding], worst: Finding) -> str:
    """The task with the worst violation, the number of further tasks and, if there was no test, its note."""
    tasks = [worst.case.task.label, *(finding.case.task.label for finding in group)]
    where, evidence = _and_more(list(dict.fromkeys(tasks))), worst.evidence
    if evidence is None:
        return f"{worst.outcome.reason if worst.outcome else 'no outcome'} · {where}"
    return where if evidence.p is not None else f"{evidence.note} · {where}"


def _and_more(names: Sequence[str]) -> str:
    return names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "")


def _seen(finding: Finding) -> tuple[str, str, str]:
    """The violation with its interval, the smallest detectable violation, and the number of draws."""
    evidence = finding.evidence
    if evidence is None or evidence.value is None or evidence.p is None:
        return "", "", ""
    interval = ""
    if evidence.low is not None and evidence.high is not None:
        interval = f" [{evidence.low:.2g}, {evidence.high:.2g}]"
    violation = f"{evidence.value:.2g}{interval} {evidence.unit}".strip()
    caught = f"{evidence.detectable:.2g} {evidence.unit}".strip() if evidence.detectable is not None else ""
    return violation, caught, f"{evidence.n:,}"


def _joined(cells: Sequence[str], widths: Sequence[int], *, style: str = "", first: str = "") -> Text:
    """Cells padded or cropped to their widths, two blanks apart; the last one also fills the empty cells before it."""
    cells, widths = list(cells), list(widths)
    while len(cells) > 1 and not cells[-2]:
        del cells[-2]
        widths[-2:] = [sum(widths[-2:]) + 2]
    fitted = [
        (cell if len(cell) <= width else cell[: width - 1] + "…").ljust(width)
        for cell, width in zip(cells, widths, strict=True)
    ]
    line = Text("  ".join(fitted).rstrip(), style=style, no_wrap=True, overflow="crop")
    line.stylize(first, 0, widths[0])
    return line


def _broken(name: str) -> str:
    """A long heading, broken into two lines."""
    if len(name) <= 9:
        return name
    place = name.find("(") if "(" in name else name.find("-") + 1
    return f"{name[:place]}\n{name[place:]}" if place > 0 else f"{name[:8]}-\n{name[8:]}"
