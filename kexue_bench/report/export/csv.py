"""CSV (RFC 4180): numbers are exact, and texts that a spreadsheet would run as a formula get an apostrophe."""

from __future__ import annotations

import csv
import io

from .table import Rows, cell_text, columns_and_rows

# The full-width forms too, because some importers convert them first.
_TRIGGERS = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}", "\N{FULLWIDTH HYPHEN-MINUS}")
_TRIGGERS += ("\N{FULLWIDTH COMMERCIAL AT}",)


def render_csv(rows: Rows) -> str:
    """The table as CSV with a header line; floats by `repr`, missing cells empty.

    A text that begins with `= + - @`, after any blanks, gets a leading apostrophe, which spreadsheets show.
    """
    names, cells = columns_and_rows(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_safe(cell_text(name)) for name in names])
    for row in cells:
        writer.writerow([cell_text(cell) if not isinstance(cell, str) else _safe(cell_text(cell)) for cell in row])
    return out.getvalue()


def _safe(text: str) -> str:
    return "'" + text if text.lstrip().startswith(_TRIGGERS) else text
