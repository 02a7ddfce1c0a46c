"""Tabulation -> terminal output: one table for each task, a summary for each family, a legend.

The renderable is a group of finished lines for a given width. Columns that do not fit are left out in order of the
family's headline and listed; digits are never wrapped. Signs repeat what colors say, so nothing is lost in a pipe.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, chop_cells
from rich.console import Group, RenderableType
from rich.text import Text

from ..analysis.stats import Verdict
from ..analysis.tables import Cell, Row, Summary, Table, Tabulation
from ..api import STATUSES
from . import numbers
from .cells import (
    BIASED,
    MARKS,
    is_counted,
    is_seconds,
    is_truth,
    over_tasks,
    signs,
    smallest_seen,
    value_and_spread,
    verdict_and_size,
)
from .layout import GAP, Column, Part, ascii_only, clip, clip_label, line, total_width, wrap
from .remarks import legend, remarks
from .reproduction import beside
from .text import visible

STYLES: dict[Verdict, str] = {"better": "green", "worse": "red", "equivalent": "cyan", "baseline": "dim"}
_MARKS: dict[Verdict, str] = {"undecided": "?", "untestable": "?", "equivalent": "="}
_NARROWEST_LABEL = 16
_NAMED = 8
"""Methods that are listed for one reason of not running; `-m` and the HTML page show the others."""
_ENOUGH = 4
"""The interval of the verdict is left out if fewer columns than this fit beside it."""
_NOT_SEEN, _NO_LETTERS, _SPARED = 2, 3, 4
"""What goes next until the column that decides fits beside the verdict: `seen`, the letters, the size of the effect."""


def render(tabulation: Tabulation, *, width: int, unicode: bool = True) -> RenderableType:
    """Lay out a whole report.

    Args:
        width: columns of the terminal; at least 40 are used.
        unicode: False if the output's encoding has only ASCII.
    """
    page = _Page(tabulation=tabulation, width=max(width, 40), unicode=unicode)
    lines: list[Text] = []
    for table in tabulation.tables:
        lines += [*page.table(table), Text()]
    for summary in tabulation.summaries:
        lines += [*page.summary(summary), Text()]
    if tabulation.tables:
        lines += page.legend()
    return Group(*lines)


@dataclass(frozen=True, kw_only=True)
class _Page:
    """The report at one width."""

    tabulation: Tabulation
    width: int
    unicode: bool

    def sign(self, text: str) -> str:
        """The report's own text in the output's encoding."""
        return text if self.unicode else ascii_only(text)

    def foreign(self, text: str) -> str:
        """Text of a plugin or a method: control characters made visible."""
        return self.sign(visible(text))

    @property
    def label_room(self) -> int:
        """Most columns that a label may take."""
        return max(_NARROWEST_LABEL, self.width // 4)

    def label(self, text: str, width: int) -> str:
        """A method's label in a summary: parameters that do not fit are left out whole."""
        return clip_label(self.foreign(text), width, self.sign("…"))

    def note(self, text: str, style: str = "dim") -> list[Text]:
        """A remark, wrapped by words."""
        return wrap(self.sign(text), self.width, style=style)

    # -- one table ----------------------------------------------------------------------------------------------------

    def table(self, table: Table) -> list[Text]:
        """Title, rows, failures as rows, remarks."""
        out = self.title(table)
        shown = [row for row in table.rows if row.cells]
        names = [self.foreign(row.label) for row in table.rows]
        label_width = max((n for n in map(cell_len, names) if n <= self.label_room), default=0)
        laid, dropped = self.arrange(table, shown, label_width)
        if shown:
            out.append(line([column.heading() for column in laid]))
        for i, row in enumerate(shown):
            out += self.long_label(row, label_width)
            out.append(line([column.render(i) for column in laid]))
            out += self.remarks(row)
        without = [row for row in table.rows if not row.cells]
        for row in without:
            if not STATUSES[row.status].quiet:
                out += self.failure(row, label_width)
        out += self.absent([row for row in without if STATUSES[row.status].quiet])
        notes = [self.note(text) for text in remarks(table, self.tabulation, dropped=dropped, width=self.width)]
        under = [line for note in notes for line in note]
        return [*out, *([Text(), *under] if under else []), *beside(table, self.width, self.foreign)]

    def arrange(self, table: Table, rows: Sequence[Row], label_width: int) -> tuple[list[Column], list[str]]:
        """The columns that fit, and the headings of those that do not: the fewer fit, the more is spared."""
        spared = 0
        while True:
            fixed = self.fixed(table, rows, label_width, spared=spared)
            verdicts = self.against(table, rows, spared=spared)
            columns, dropped = self.fit(table, rows, fixed, verdicts, anyway=spared == _SPARED)
            enough = min(_ENOUGH, len(table.columns)) if spared == 0 else 0
            kept = {column.key for column in columns}
            if spared == _SPARED or (self.needed(table) <= kept and len(columns) >= enough):
                return [*fixed, *columns, *([verdicts] if verdicts is not None else [])], dropped
            spared += 1

    def fixed(self, table: Table, rows: Sequence[Row], label_width: int, *, spared: int) -> list[Column]:
        """Columns before the numbers; in a narrow terminal without what would have been seen, then without letters."""
        out = [self.labels(rows, label_width)]
        lettered = any(row.cells[table.primary].rank_group for row in rows if table.primary in row.cells)
        if lettered and spared < _NO_LETTERS:
            out.append(self.letters(table, rows))
        if any(row.seen is not None for row in rows) and spared < _NOT_SEEN:
            out.append(self.seen(table, rows))
        return out

    def title(self, table: Table) -> list[Text]:
        """Family and task, where it ran, and its summary."""
        threads = ", ".join(f"{t} thread" + "s" * (t != 1) for t in table.threads)
        seeds = "seed" + "s" * (len(table.seeds) > 1) + " " + ", ".join(map(str, table.seeds))
        facts = self.foreign(f"{table.device}, {threads}, {table.dtype}, {seeds}")
        name = self.foreign(f"{table.family} / {table.task.label or table.task.name}")
        pieces = chop_cells(name, self.width)
        out = [Text(piece, style="bold", no_wrap=True, overflow="ignore") for piece in pieces]
        blank = self.width - out[-1].cell_len - len(facts)
        if blank >= GAP:
            out[-1].append(" " * blank + facts, style="not bold dim")
        else:
            out += wrap(facts, self.width, indent="", style="dim")
        for text in (table.summary, table.decides):
            out += wrap(self.foreign(text), self.width, indent="", style="dim")
        return [*out, Text()]

    def labels(self, rows: Sequence[Row], width: int) -> Column:
        """Sign and label; both stand on a line above if the label is longer than the column."""
        return Column(
            header="  method",
            align="lll",
            cells=[self.named(row) if self.fits(row, width) else (Part(), Part(), Part()) for row in rows],
        )

    def named(self, row: Row) -> tuple[Part, Part, Part]:
        """Sign, label and the sign of a bias."""
        return (
            Part(*self.mark(row)),
            Part(self.foreign(row.label), _label_style(row)),
            Part(BIASED if row.biased else "", "yellow"),
        )

    def fits(self, row: Row, width: int) -> bool:
        """Whether a label fits into its column."""
        return cell_len(self.foreign(row.label)) <= width

    def long_label(self, row: Row, width: int) -> list[Text]:
        """The line above a row whose label is too long for its column; names are never cut."""
        if self.fits(row, width):
            return []
        sign, label, biased = self.named(row)
        first, *more = chop_cells(f"{sign.text} {label.text} {biased.text}".rstrip(), self.width)
        out = [Text(piece, style=label.style, no_wrap=True, overflow="ignore") for piece in (first, *more)]
        out[0].stylize(sign.style, 0, 1)
        return out

    def mark(self, row: Row) -> tuple[str, str]:
        """Sign of a row, with its style."""
        if row.incomparable:
            return "x", "yellow"
        if row.failures and any(f.status == "diverged" for f in row.failures):
            return "!", "red"
        if row.mark:
            return self.sign(MARKS[row.mark]), "green" if row.star else "yellow"
        exact = any(cell.exact for cell in row.cells.values() if cell.metric in {"mse", "error"})
        return ("=", "cyan") if exact else (" ", "")

    def letters(self, table: Table, rows: Sequence[Row]) -> Column:
        """Rank groups of the primary column."""
        groups = [row.cells[table.primary].rank_group if table.primary in row.cells else "" for row in rows]
        return Column(header="", align="l", cells=[(Part(clip(g, 6, "+") or "-", "dim"),) for g in groups])

    def seen(self, table: Table, rows: Sequence[Row]) -> Column:
        """For undecided rows, the smallest difference from the best that would have been seen."""
        scale = self.tabulation.spec(table.family, table.primary).scale
        return Column(
            header="seen", align="r", cells=[(Part(self.sign(smallest_seen(row, scale)), "dim"),) for row in rows]
        )

    def fit(
        self, table: Table, rows: Sequence[Row], fixed: Sequence[Column], verdicts: Column | None, *, anyway: bool
    ) -> tuple[list[Column], list[str]]:
        """Take columns in order of the headline as long as they fit: the primary one, biases, the others, counters."""
        made: dict[str, Column] = {}
        units: set[str] = set()
        for key in table.columns:
            unit = self.tabulation.spec(table.family, key).unit
            made[key] = self.metric(table, key, rows, unit="" if unit in units else unit)
            units.add(unit)
        budget = self.width - total_width([*fixed, *([verdicts] if verdicts else [])])
        taken: set[str] = set()
        for key in sorted(made, key=lambda k: self.rank(table, rows, k)):
            if made[key].width + GAP > budget and key == "time":
                # The ratio says more than the spread of the seconds.
                made[key] = replace(made[key], cells=[(cell[0], Part(), cell[2]) for cell in made[key].cells])
            if made[key].width + GAP <= budget or (anyway and key == table.primary):
                taken.add(key)
                budget -= made[key].width + GAP
        return [c for key, c in made.items() if key in taken], [c.header for key, c in made.items() if key not in taken]

    def needed(self, table: Table) -> set[str]:
        """Columns without which a row cannot be judged: the one that decides, and a bias."""
        biases = [key for key in table.columns if self.tabulation.spec(table.family, key).name.endswith("bias")]
        return {key for key in (table.primary, *biases[:1]) if key in table.columns}

    def rank(self, table: Table, rows: Sequence[Row], key: str) -> tuple[bool, bool, bool]:
        """Order in which columns are kept: an error cannot be judged without the bias beside it."""
        return key != table.primary, key not in self.needed(table), is_counted(row.cells.get(key) for row in rows)

    def metric(self, table: Table, key: str, rows: Sequence[Row], *, unit: str) -> Column:
        """One headline column; `unit` is shown in the heading of the first column that has it."""
        spec = self.tabulation.spec(table.family, key)
        header = (spec.heading or spec.name) + key.removeprefix(spec.name)
        if unit and not is_seconds(spec.name, unit) and unit != "B":
            header += f" ({unit})"
        ratio = spec.name == "time" and bool(table.baseline)
        relative = spec.scale == "log"
        cells = [
            self.cell(row.cells.get(key), relative=relative, ratio=ratio, truth=is_truth(row.cells)) for row in rows
        ]
        return Column(header=self.foreign(header), align="rlr", cells=cells, key=key)

    def cell(self, cell: Cell | None, *, relative: bool, ratio: bool, truth: bool) -> tuple[Part, Part, Part]:
        """Value, spread and, for seconds, the ratio to the baseline."""
        if cell is None:
            return Part("-", "dim"), Part(), Part()
        value, around = value_and_spread(cell, relative=relative, truth=truth)
        around += signs(cell)
        last = Part()
        effect = cell.effect
        if ratio and effect is not None:
            text = numbers.factor(effect.value, effect.low, effect.high) if effect.verdict != "baseline" else "×1"
            last = Part(self.sign(text + _MARKS.get(effect.verdict, "")), STYLES.get(effect.verdict, "dim"))
        return Part(self.sign(value)), Part(self.sign(around), "dim"), last

    def against(self, table: Table, rows: Sequence[Row], *, spared: int) -> Column | None:
        """Verdict, ratio or difference in the primary column."""
        if not table.baseline:
            return None
        spec = self.tabulation.spec(table.family, table.primary)
        cells = []
        for row in rows:
            cell = row.cells.get(table.primary)
            if row.is_baseline or cell is None or cell.effect is None:
                cells.append((Part("(baseline)" if row.is_baseline else "-", "dim"), Part(), Part()))
                continue
            verdict, size, around = verdict_and_size(cell)
            style = STYLES.get(cell.effect.verdict, "yellow" if verdict == "undecided" else "dim")
            last = Part(self.sign(around), "dim") if spared == 0 else Part()
            second = Part(self.sign(size)) if spared < _SPARED else Part()
            cells.append((Part(verdict or "-", style), second, last))
        heading = f"{spec.heading or spec.name} vs {table.baseline}" if spared < _SPARED else "verdict"
        least = max((sum(len(p.text) for p in cell) + len(cell) for cell in cells), default=0)
        return Column(
            header=clip(self.foreign(heading), max(least, 18), self.sign("…")),
            align="lrl",
            cells=cells,
            key="verdict",
        )

    # -- what went wrong ----------------------------------------------------------------------------------------------

    def failure(self, row: Row, label_width: int) -> list[Text]:
        """A method without a number: status, place, reason, and the next step."""
        first = row.failures[0] if row.failures else None
        place = f" in {first.phase or first.stage}" if first is not None else ""
        reason = self.foreign(f"{row.status}{place}" + (f": {row.reason}" if row.reason else ""))
        label = self.foreign(row.label)
        head = Text("!", style="red", no_wrap=True, overflow="ignore")
        head.append(f" {label}{' ' * (label_width - cell_len(label))}  ")
        return self.story(head, reason, row.key, "red")

    def absent(self, rows: Sequence[Row]) -> list[Text]:
        """Methods that do not run here: one line for each reason, with their names."""
        kinds: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            kinds.setdefault((row.status, row.reason), []).append(row.label)
        out: list[Text] = []
        for (status, reason), labels in kinds.items():
            names = ", ".join(labels[:_NAMED]) + (f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else "")
            text = self.foreign(f"{status}{f' ({reason})' if reason else ''}: {names}")
            out += [
                Text(f"  {line}", style="dim", no_wrap=True, overflow="ignore")
                for line in textwrap.wrap(text, self.width - 2, subsequent_indent="  ")
            ]
        return out

    def remarks(self, row: Row) -> list[Text]:
        """Failed cases of a row that has numbers, one line for each kind of failure."""
        out: list[Text] = []
        kinds = {(f.stage, f.status, f.reason): f for f in reversed(row.failures) if not STATUSES[f.status].quiet}
        for (stage, status, reason), failure in reversed(kinds.items()):
            same = [f for f in row.failures if (f.stage, f.status, f.reason) == (stage, status, reason)]
            times = f" ({len(same)} cases)" if len(same) > 1 else ""
            text = self.foreign(f"{stage} {status}{times}" + (f": {reason}" if reason else ""))
            head = Text(self.sign("    ╰ "), style="dim", no_wrap=True, overflow="ignore")
            out += self.story(head, text, failure.key, "red")
        return out

    def story(self, head: Text, text: str, key: str, style: str) -> list[Text]:
        """A reason beside its head, with the command that shows more, on a second line if the first is full."""
        hint = f"kexue-bench show {key}" if key else ""
        room = self.width - head.cell_len
        whole = Text(clip(text, room, self.sign("…")), style=style)
        one_line = len(text) + len(hint) + GAP <= room
        head.append_text(whole)
        if hint and one_line:
            head.append(" " * GAP + hint, style="dim")
            return [head]
        return [head, *([Text("    " + hint, style="dim", no_wrap=True, overflow="ignore")] if hint else [])]

    # -- over tasks ---------------------------------------------------------------------------------------------------

    def summary(self, summary: Summary) -> list[Text]:
        """Counts that add up to the planned cases; for several tasks also verdicts and geometric means."""
        counts = ", ".join(f"{n} {status}" for status, n in summary.statuses.items())
        tasks = f"{summary.tasks} task" + "s" * (summary.tasks != 1)
        head = Text(self.foreign(summary.family), style="bold", no_wrap=True, overflow="ignore")
        facts = self.sign(f"{tasks} · {summary.planned} cases planned: {counts}")
        out = [head.append(f"  {facts}", style="not bold dim")]
        if head.cell_len > self.width:
            out = [Text(self.foreign(summary.family), style="bold"), *wrap(facts, self.width, style="dim")]
        if summary.tasks < 2:
            return out
        columns = self.over_tasks(summary)
        while total_width(columns) > self.width and len(columns) > 3:
            columns.pop()
        out.append(line([c.heading() for c in columns]))
        return out + [line([c.render(i) for c in columns]) for i in range(len(columns[0].cells))]

    def over_tasks(self, summary: Summary) -> list[Column]:
        """Method, tasks on which it is the best or may be, verdicts, and ratios over the tasks."""
        names = list(dict.fromkeys(a.metric for a in summary.aggregates))
        found = {(a.label, a.metric): a for a in summary.aggregates}
        labels = summary.labels
        open_tasks = [summary.unsettled.get(label, 0) for label in labels]
        columns = [
            Column(
                header="  method",
                align="lll",
                cells=[
                    (
                        Part(" "),
                        Part(self.label(label, self.label_room)),
                        Part(BIASED if label in summary.biased else "", "yellow"),
                    )
                    for label in labels
                ],
            ),
            Column(
                header=self.sign("★ on"),
                align="r",
                cells=[(Part(f"{summary.stars.get(label, 0)}/{summary.met(label)}"),) for label in labels],
            ),
            Column(
                header=self.sign(f"{MARKS['undecided']} on"),
                align="r",
                cells=[(Part(str(n) if n else "-", "yellow" if n else "dim"),) for n in open_tasks],
            ),
        ]
        for name in names:
            cells = [
                tuple(Part(self.sign(text), style) for text, style in over_tasks(found.get((label, name))))
                for label in labels
            ]
            spec = self.tabulation.spec(summary.family, name)
            columns.append(Column(header=self.sign(f"{spec.heading or spec.name} ×"), align="rl", cells=cells))
        words: tuple[Verdict, ...] = ("better", "worse", "equivalent", "undecided", "untestable")
        for word in words:
            counted = [summary.verdicts[label].get(word, 0) for label in labels]
            if any(counted):
                shown = [(Part(str(n) if n else "-", STYLES.get(word, "") if n else "dim"),) for n in counted]
                columns.append(Column(header=word, align="r", cells=shown))
        return columns

    def legend(self) -> list[Text]:
        """How to read the report, in a few lines."""
        return wrap(self.sign(legend(self.tabulation)), self.width, indent="", style="dim")


def _label_style(row: Row) -> str:
    return "bold" if row.star else ""
