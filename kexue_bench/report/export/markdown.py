"""Markdown: a pipe table, as GitHub and most renderers read it."""

from __future__ import annotations

import re

from .table import Rows, cell_text, columns_and_rows, numeric_columns

_SPECIAL = re.compile(r"([\\`*_\[\]<>|&~$#!{}])")
# Bare addresses become links even without brackets.
_LINK = re.compile(r"(?<=[A-Za-z])(:)(?=//)|(?<=[wW]{3})(\.)|(?<=mailto)(:)")


def render_markdown(rows: Rows, *, digits: int = 6) -> str:
    """The table with aligned columns, numbers to the right; nothing in a text acts as markup or becomes a link.

    Args:
        digits: significant digits of floats; csv, json and parquet keep them all.
    """
    names, cells = columns_and_rows(rows)
    if not names:
        return ""
    right = numeric_columns(cells, len(names))
    texts = [[_escape(cell_text(cell, digits=digits)) for cell in row] for row in [names, *cells]]
    widths = [max(3, *(len(row[i]) for row in texts)) for i in range(len(names))]
    rule = ["-" * (width - 1) + ":" if r else "-" * width for width, r in zip(widths, right, strict=True)]
    lines = [_line(texts[0], widths, right), _line(rule, widths, right)]
    lines += [_line(row, widths, right) for row in texts[1:]]
    return "\n".join(lines) + "\n"


def _line(cells: list[str], widths: list[int], right: list[bool]) -> str:
    padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
    return "| " + " | ".join(padded) + " |"


def _escape(text: str) -> str:
    return _LINK.sub(lambda found: "\\" + found[0], _SPECIAL.sub(r"\\\1", text))
