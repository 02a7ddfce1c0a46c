"""Tabulation -> one screen: for each family what to use, by how much, at what price, and what that rests on.

One family also gets a map of methods against tasks. The full tables are `terminal.render`.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.text import Text

from ..analysis.overview import Choice, Overview, Price, Sign, Size, overviews, shortcut
from ..analysis.tables import Tabulation
from ..api import SUSPECT, Scale
from . import numbers
from .cells import BIASED, effect_size, is_seconds, value_and_spread
from .console import NARROWEST
from .layout import Column, Part, ascii_only, clip_label, line, wrap
from .remarks import faster
from .text import visible

LINES = 60
"""Most lines of the screen of all families at 100 columns."""
LINES_OF_ONE = 25
"""Most lines of the screen of one family at 100 columns."""
ENOUGH = 2
"""With at most this many tables, they are printed at once, without this screen."""
NEAR = 1.1
"""Factor of the best within which the map counts a task for a method."""
_LETTERS = string.ascii_uppercase + string.ascii_lowercase
_FOOTER = 4
_COUNTED = 1e5
"""Larger counts are rounded."""
_LEAST_ROWS = 3
_NAMED = 2
"""Methods that are named beside one that does as well."""
_KEY = 3
"""Most lines of the key of tasks."""
_MARKS: Mapping[Sign, tuple[str, str]] = {
    "best": ("★", "green"),
    "open": ("·", "yellow"),
    "better": ("+", "green"),
    "equivalent": ("=", "cyan"),
    "worse": ("-", "red"),
    "undecided": ("?", "yellow"),
    "baseline": ("o", "dim"),
    "exact": ("x", "cyan"),
    "failed": ("!", "red"),
    "not meant": (" ", ""),
}
_MEANINGS: Mapping[Sign, str] = {
    "best": "best or equivalent to it",
    "open": "may be the best",
    "better": "better than the baseline",
    "equivalent": "equivalent to it",
    "worse": "worse",
    "undecided": "undecided",
    "baseline": "the baseline",
    "exact": "exact",
    "failed": "failed",
}


def fits_at_once(tabulation: Tabulation) -> bool:
    """Whether the tables are the first screen themselves: few ones, or tasks that were asked for by name."""
    return len(tabulation.tables) <= ENOUGH or not tabulation.summaries


def render_screen(tabulation: Tabulation, *, width: int, unicode: bool = True) -> RenderableType:
    """Lay out the first screen.

    Args:
        width: columns of the terminal.
        unicode: False if the output's encoding has only ASCII.
    """
    return Group(*screen(tabulation, width=width, unicode=unicode))


def screen(tabulation: Tabulation, *, width: int, unicode: bool = True) -> list[Text]:
    """The lines of the first screen."""
    found = overviews(tabulation)
    page = _Screen(tabulation, width=width, unicode=unicode)
    if len(found) == 1:
        return page.family(found[0], LINES_OF_ONE - _FOOTER, alone=True) + page.footer(found)
    share = (LINES - _FOOTER) // max(len(found), 1)
    return [text for one in found for text in page.family(one, share, alone=False)] + page.footer(found)


def standing(tabulation: Tabulation) -> str:
    """What to use on the task of a tabulation, by how much, and whether that is decided, in one line."""
    page = _Screen(tabulation, width=NARROWEST, unicode=True)
    said = [
        f"{found.family}: {page.said(found, choice)}" for found in overviews(tabulation) for choice in found.choices
    ]
    return said[0] if said else ""


class _Screen:
    """The first screen at one width."""

    def __init__(self, tabulation: Tabulation, *, width: int, unicode: bool) -> None:
        self._tabulation, self._width, self._unicode = tabulation, width, unicode

    def sign(self, text: str) -> str:
        """Text in the output's encoding, harmless."""
        return visible(text) if self._unicode else ascii_only(visible(text))

    def lines(self, text: str, *, indent: str = "  ", style: str = "") -> list[Text]:
        """A paragraph; lines after the first are indented further."""
        first = wrap(self.sign(text), self._width, indent=indent, style=style)
        if len(first) < 2:
            return first
        rest = " ".join(piece.plain.strip() for piece in first[1:])
        return [first[0], *wrap(rest, self._width, indent=indent + "  ", style=style)]

    def packed(self, items: Sequence[str]) -> list[Text]:
        """A list whose items are not broken."""
        found: list[str] = []
        for i, item in enumerate(items):
            text = self.sign(item) + ("," if i + 1 < len(items) else "")
            if found and cell_len(found[-1]) + 3 + cell_len(text) <= self._width:
                found[-1] += f" {text}"
            else:
                found.append(text)
        return [Text(f"  {text}", style="dim", no_wrap=True, overflow="ignore") for text in found]

    # -- one family ---------------------------------------------------------------------------------------------------

    def family(self, found: Overview, room: int, *, alone: bool) -> list[Text]:
        """What to use in one family, in at most `room` lines where its first choice allows."""
        out = [*self.head(found), *self.suspects(found)]
        most = room - (len(self.key(found)) + len(self.meanings(found)) + _LEAST_ROWS + 2 if alone else 0)
        for i, choice in enumerate(found.choices):
            more = self.choice(found, choice)
            if i and len(out) + len(more) > most:
                left = len(found.choices) - i
                out[-1] = self.with_note(out[-1], f"; {left} more method{'s' * (left > 1)} for other tasks")
                break
            out += more
        for table in found.tables:
            if (short := shortcut(table, found.summary.work)) is not None:
                more = self.lines(f"on {table.task.label or table.task.name}, {faster(short)}")
                out += more if len(out) + len(more) <= most else []
        if not found.choices:
            out += self.lines("nothing to recommend: no task has a result that can be compared")
        return out + (self.map(found, room - len(out)) if alone else [])

    def with_note(self, text: Text, note: str) -> Text:
        """A line with a note at its end, if there is room."""
        if text.cell_len + len(note) <= self._width:
            text.append(self.sign(note), style="dim")
        return text

    def head(self, found: Overview) -> list[Text]:
        """The family, and what its answers rest on."""
        summary = found.summary
        methods = len(found.labels)
        bad = {status: n for status, n in summary.statuses.items() if status not in {"ok", "unsupported", "skipped"}}
        ends = ", ".join(f"{n} {status}" for status, n in bad.items()) or "none failed"
        seeds = sorted({seed for table in found.tables for seed in table.seeds})
        devices = sorted({table.device for table in found.tables})
        facts = (
            f"{_count(len(found.tables), 'task')}, {_count(methods, 'method')}, {summary.planned} cases, {ends}; "
            f"{'/'.join(devices)}, seed {', '.join(map(str, seeds))}"
        )
        name = Text(self.sign(found.family), style="bold", no_wrap=True, overflow="ignore")
        if name.cell_len + 2 + len(facts) <= self._width:
            return [name.append(f"  {self.sign(facts)}", style="not bold dim")]
        return [name, *self.lines(facts, style="dim")]

    def suspects(self, found: Overview) -> list[Text]:
        """The methods whose rows have a remark of the kind that an author would not expect; empty if there are none."""
        rows = (row for table in found.tables for row in table.rows)
        names = dict.fromkeys(
            row.label for row in rows if row.changed or any(SUSPECT in cell.flags for cell in row.cells.values())
        )
        text = f"changed settings or returned the truth itself (see --full): {', '.join(names)}"
        return self.lines(text, style="yellow") if names else []

    def choice(self, found: Overview, choice: Choice) -> list[Text]:
        """One method to use: where, by how much, at what price."""
        out = self.lines(self.said(found, choice))
        price = ", ".join(filter(None, (self.price(found, one) for one in choice.prices)))
        if price:
            unit = "" if choice.prices[0].cell is not None else " of the baseline's"
            out += self.lines(f"price: {price}{unit}", indent="      ", style="dim")
        return out

    def said(self, found: Overview, choice: Choice) -> str:
        """Where to use a method, and by how much it is better."""
        return ": ".join(filter(None, (self.where(found, choice), self.how_much(found, choice))))

    def where(self, found: Overview, choice: Choice) -> str:
        """`use rloo, or disarm, on 3 of 5 tasks (a, b, c)`, or which methods are not told apart."""
        label = choice.label + (f" {BIASED}" if choice.biased else "")
        names = ", ".join(choice.equals[:_NAMED]) + (
            f" and {len(choice.equals) - _NAMED} more" if len(choice.equals) > _NAMED else ""
        )
        tasks = [*choice.best, *choice.unsettled]
        on = f"on {tasks[0]}" if len(tasks) == 1 else f"on {len(tasks)} of {len(found.tables)} tasks"
        if choice.best:
            also = f", or {names}," if names else ""
            open_too = f", {len(choice.unsettled)} of them undecided" if choice.unsettled else ""
            return f"use {label}{also} {on}{open_too}"
        if names:
            return f"nothing is known to differ {on} among {label}, {names}"
        return f"use {label} {on}, though it is undecided"

    def how_much(self, found: Overview, choice: Choice) -> str:
        """The effect against the baseline, over the tasks that both have."""
        words = []
        scale: Scale = "log"
        if choice.cell is not None:
            spec = self._tabulation.spec(found.family, choice.cell.key)
            scale = spec.scale
            value, around = value_and_spread(choice.cell, relative=scale == "log")
            words.append(f"{self.heading(found, choice.cell.key)} {value} {around}".rstrip())
        size = choice.size
        if size is None:
            words.append("the baseline itself")
        elif choice.cell is None or size.tasks == 1:
            words.append(size_text(size, "" if choice.cell is not None else self.heading(found, size.column)))
        if choice.seen is not None and choice.unsettled and choice.cell is not None:
            seen = effect_size(choice.seen) if scale == "log" else numbers.number(choice.seen, choice.seen / 4)
            words.append(f"a difference of {seen} would have been seen")
        return ", ".join(words)

    def heading(self, found: Overview, column: str) -> str:
        """A column as tables head it."""
        spec = self._tabulation.spec(found.family, column)
        return (spec.heading or spec.name) + column.removeprefix(spec.name)

    def price(self, found: Overview, price: Price) -> str:
        """`2 evals`, `0.5 ms`, or over several tasks `×1 to ×2 evals`."""
        spec = self._tabulation.spec(found.family, price.column)
        name = spec.heading or spec.name
        if price.cell is None:
            return f"{_range(price.least, price.most)} {name}"
        if price.cell.exact and price.cell.unit != "B":
            whole = price.cell.value.is_integer() and price.cell.value < _COUNTED
            return f"{numbers.number(price.cell.value, 0.0 if whole else None)} {name}"
        value, around = value_and_spread(price.cell, relative=True)
        if is_seconds(price.cell.metric, price.cell.unit):
            return f"{value} {around} {'a call' if spec.name == 'time' else name}".replace("  ", " ")
        return value if price.cell.unit == "B" else f"{value} {name}"

    # -- methods against tasks ----------------------------------------------------------------------------------------

    def map(self, found: Overview, room: int) -> list[Text]:
        """Methods against tasks in marks, the best profiles first, with the key of tasks and marks."""
        key, meanings = self.key(found), self.meanings(found)
        rows = max(room - len(key) - len(meanings) - 2, _LEAST_ROWS)
        labels = found.labels if len(found.labels) <= rows + 1 else found.labels[:rows]
        most = max(self._width // 3, 16)
        names = [clip_label(self.sign(label), most, self.sign("…")) for label in labels]
        shown = min(len(found.tables), len(_LETTERS), max(self._width - max(map(cell_len, names)) - 12, 0) // 2)
        columns = [
            Column(header="  by profile", align="ll", cells=[(Part(" "), Part(name)) for name in names]),
            *(
                Column(header=_LETTERS[i], align="l", cells=[(self.mark(found.signs[label][i]),) for label in labels])
                for i in range(shown)
            ),
        ]
        ends = Column(
            header=f"within ×{NEAR:g} of the best" if self._unicode else f"within x{NEAR:g} of the best",
            align="l",
            cells=[(Part(self.near(found, label)),) for label in labels],
        )
        out = [_close(columns, ends, i, self._width) for i in (None, *range(len(labels)))]
        left = len(found.labels) - len(labels)
        out += self.lines(f"and {_count(left, 'more method')}", style="dim") if left else []
        return [*out, *key, *meanings]

    def near(self, found: Overview, label: str) -> str:
        """On how many of its tasks a method is near the best."""
        profile = found.summary.profiles[label]
        return f"{profile.within(NEAR)} of {len(profile.factors)}"

    def mark(self, sign: Sign) -> Part:
        """One cell of the map."""
        text, style = _MARKS[sign]
        return Part(self.sign(text), style)

    def key(self, found: Overview) -> list[Text]:
        """Which letter is which task, in at most `_KEY` lines."""
        names = [table.task.label or table.task.name for table in found.tables[: len(_LETTERS)]]
        for shown in range(len(names), 0, -1):
            left = len(found.tables) - shown
            items = [f"{letter} {name}" for letter, name in zip(_LETTERS, names[:shown], strict=False)]
            out = self.packed([*items, *([f"and {left} more"] if left else [])])
            if len(out) <= _KEY:
                return out
        return []

    def meanings(self, found: Overview) -> list[Text]:
        """The marks that occur, in words."""
        used = Counter(sign for own in found.signs.values() for sign in own)
        words = [f"{_MARKS[sign][0]} {meaning}" for sign, meaning in _MEANINGS.items() if used[sign]]
        return self.packed([*words, "blank: not meant"])

    # -- what next ----------------------------------------------------------------------------------------------------

    def footer(self, found: Sequence[Overview]) -> list[Text]:
        """The commands that show more."""
        run = self._tabulation.runs[0].partition("-")[0] if self._tabulation.runs else "latest"
        name = found[0].family if len(found) == 1 else "FAMILY"
        method = next((choice.label for one in found for choice in one.choices), "")
        commands = [
            (f"kexue-bench report {run} {name} --full", "every table, with bias, variance and tests"),
            (f"kexue-bench recommend {name}", "which to choose under a budget and needs"),
        ]
        if len(found) > 1:
            commands.insert(0, (f"kexue-bench compare {name}", "more tasks of one family"))
        if method:
            # A label may end in its plugin, its run, or `(tuned)`.
            bare = method.partition("[")[0].partition(" ")[0]
            commands.append((f"kexue-bench show {bare}", "formula, claims, code to paste"))
        wide = max(len(command) for command, _ in commands)
        lines = [f"  {command:<{wide}}  {what}" for command, what in commands]
        if max(map(len, lines)) > self._width:
            lines = [f"  {command}" for command, _ in commands]
        return [Text(self.sign(text), style="dim", no_wrap=True, overflow="ignore") for text in lines]


def size_text(size: Size, heading: str) -> str:
    """`loss ×0.6 [0.4, 0.9] of reinforce over the 5 tasks that both have`; the range where there is no mean."""
    base = f" of {size.baseline}" if size.baseline else " of the baseline"
    if size.kind == "difference":
        base = base.replace(" of", " against", 1)
    over = "" if size.tasks == 1 else f" over the {size.tasks} tasks that both have"
    if size.of > size.tasks and size.tasks > 1:
        over += f" (of {size.of})"
    head = f"{heading} " if heading else ""
    if size.value is None:
        why = "they disagree" if size.tasks > 2 else "too few for a mean"
        return f"{head}{_range(size.least, size.most)}{base}{over}: {why}"
    if size.kind == "difference":
        half = None if size.low is None or size.high is None else (size.high - size.low) / 2
        sign = "+" if size.value > 0 else ""
        around = numbers.spread(size.value, size.low, size.high, relative=False)
        return f"{head}{sign}{numbers.number(size.value, half and half / 2)} {around}{base}{over}"
    low, high = (float("nan") if end is None else end for end in (size.low, size.high))
    around = numbers.bracket(size.value, low, high)
    return f"{head}{numbers.factor(size.value, low, high)} {around}".rstrip() + f"{base}{over}"


def _range(least: float, most: float) -> str:
    ends = ["×1" if end == 1 else numbers.factor(end) for end in (least, most)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _close(columns: Sequence[Column], ends: Column, row: int | None, width: int) -> Text:
    """One line of the map, its letters a blank apart; the last column only if it fits."""
    pieces: Iterator[Text] = (column.heading() if row is None else column.render(row) for column in columns)
    first = next(pieces)
    body = Text(" ").join(pieces)
    out = line([first, body, ends.heading() if row is None else ends.render(row)])
    short = line([first, body])
    return out if short.cell_len + 2 + ends.width <= width else short
