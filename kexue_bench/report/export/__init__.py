"""Tables as csv, json, md, latex or parquet: the tidy frame of a run, or the rows of a comparison.

A table is a pandas DataFrame or a sequence of mappings. Texts come out harmless for the program that opens them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import UsageError
from ...files import write_atomic
from .csv import render_csv
from .json import render_json
from .latex import render_latex
from .markdown import render_markdown
from .parquet import render_parquet
from .table import Rows

_TEXT = {"csv": render_csv, "json": render_json, "md": render_markdown, "latex": render_latex}
FORMATS: tuple[str, ...] = (*_TEXT, "parquet")


def render_rows(rows: Rows, fmt: str, *, run: Sequence[str] = ()) -> str:
    """The table as text in one of `FORMATS`.

    Args:
        run: names of the runs behind it; stands in the json document, unused elsewhere.

    Raises:
        UsageError: the format is unknown, or binary.
    """
    if fmt == "json":
        return render_json(rows, run=run)
    if fmt not in _TEXT:
        raise UsageError(f"no text format {fmt!r}", do=f"use one of {', '.join(_TEXT)}, or write parquet to a file")
    return _TEXT[fmt](rows)


def write_rows(rows: Rows, fmt: str, path: Path, *, run: Sequence[str] = ()) -> None:
    """Write the table to `path`; a file that stood there is replaced as a whole or not at all.

    Raises:
        UsageError: the format is unknown.
        OSError: the file cannot be written.
    """
    if fmt == "parquet":
        write_atomic(path, render_parquet(rows))
    else:
        write_atomic(path, render_rows(rows, fmt, run=run).encode("utf-8"))


__all__ = [
    "FORMATS",
    "Rows",
    "render_csv",
    "render_json",
    "render_latex",
    "render_markdown",
    "render_parquet",
    "render_rows",
    "write_rows",
]
