"""Columns of cells with aligned parts, laid out by display width; columns that do not fit are left out, not wrapped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rich.cells import cell_len, set_cell_size
from rich.text import Text

GAP = 2
_ASCII = str.maketrans(
    {
        "★": "*",
        "×": "x",
        "±": "+-",
        "µ": "u",
        "…": "...",
        "—": "-",
        "∞": "inf",
        "≤": "<=",
        "╰": "`",
        "≠": "#",
        "·": "-",
        "─": "-",
    }
)


def ascii_only(text: str) -> str:
    """The report's signs as ASCII; other characters beyond ASCII become escapes."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


@dataclass(frozen=True)
class Part:
    """A piece of a cell: text with a style; parts of one column line up."""

    text: str = ""
    style: str = ""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Args:
        header: its heading.
        cells: one tuple of parts per row, all of the same length.
        align: `l` or `r` for each part.
        key: its name in the note on columns that do not fit.
    """

    header: str
    cells: Sequence[tuple[Part, ...]]
    align: str
    key: str = ""
    style: str = field(default="bold")

    @cached_property
    def parts(self) -> tuple[int, ...]:
        """Display width of each part; a first part that stands alone may spill over the others."""
        widths = [max((cell_len(cell[i].text) for cell in self.cells), default=0) for i in range(len(self.align))]
        beside = [cell_len(cell[0].text) for cell in self.cells if any(part.text for part in cell[1:])]
        return (max(beside, default=widths[0]), *widths[1:])

    @cached_property
    def width(self) -> int:
        """Display width of the column, heading included."""
        filled = [w for w in self.parts if w]
        alone = max((cell_len(cell[0].text) for cell in self.cells), default=0)
        return max(cell_len(self.header), sum(filled) + max(len(filled) - 1, 0), alone)

    def render(self, row: int) -> Text:
        """One cell, padded to the width of the column."""
        out = Text(no_wrap=True, overflow="ignore")
        for part, width, align in zip(self.cells[row], self.parts, self.align, strict=True):
            if not width:
                continue
            if out.cell_len:
                out.append(" ")
            blank = " " * (width - cell_len(part.text))
            out.append(blank + part.text if align == "r" else part.text + blank, style=part.style or None)
            if not blank and cell_len(part.text) > width:
                break
        out.append(" " * (self.width - out.cell_len))
        return out

    def heading(self) -> Text:
        """The heading, padded to the width of the column."""
        return Text(self.header + " " * (self.width - cell_len(self.header)), style=self.style)


def total_width(columns: Sequence[Column]) -> int:
    """Display width of columns side by side."""
    return sum(column.width for column in columns) + GAP * max(len(columns) - 1, 0)


def line(pieces: Sequence[Text]) -> Text:
    """Pieces side by side, without blanks at the end."""
    out = Text(" " * GAP, no_wrap=True, overflow="ignore").join(pieces)
    out.no_wrap, out.overflow = True, "ignore"
    out.rstrip()
    return out


def clip(text: str, width: int, ellipsis: str) -> str:
    """`text` cut to a display width, with an ellipsis if something is missing."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - cell_len(ellipsis), 0)).rstrip() + ellipsis


def clip_middle(text: str, width: int, ellipsis: str) -> str:
    """`text` cut in its middle, because both the name and the last parameter of a label identify it."""
    if cell_len(text) <= width:
        return text
    room = max(width - cell_len(ellipsis), 0)
    tail = room // 2
    end = len(text)
    while cell_len(text[end - 1 :]) <= tail and end > 0:
        end -= 1
    return set_cell_size(text, room - cell_len(text[end:])) + ellipsis + text[end:]


def clip_label(text: str, width: int, ellipsis: str) -> str:
    """A label within a width if that is possible without cutting its name, a parameter, or the last parameter off.

    Parameters are left out from the first on, because the last one tells rows apart: `rloo[…,n=2]`.
    """
    name, bracket, inside = text.partition("[")
    if cell_len(text) <= width or not bracket:
        return text
    parts = inside.removesuffix("]").split(",")
    shorter = [text, *(f"{name}[{','.join((ellipsis, *parts[i:]))}]" for i in range(1, len(parts)))]
    return next((short for short in shorter if cell_len(short) <= width), shorter[-1])


def wrap(text: str, width: int, *, indent: str = "  ", style: str = "") -> list[Text]:
    """Wrap words into lines of a display width; intervals and percentages are not broken."""
    lines, current = [], ""
    for word in re.findall(r"(?:\[[^\]]*\]|\d %|\S)+", text):
        if current and cell_len(indent + current + " " + word) > width:
            lines.append(current)
            current = word
        else:
            current = f"{current} {word}" if current else word
    return [Text(indent + item, style=style, no_wrap=True, overflow="ignore") for item in [*lines, current] if item]
