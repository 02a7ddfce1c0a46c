"""Rows as they are written by `--format`, without a run behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kexue_bench.report.formats import FORMATS, Document, write

ROW_FORMATS = tuple(name for name, form in FORMATS.items() if form.need == "rows")


def render_rows(rows: object, name: str, *, run: Sequence[str] = ()) -> str:
    """The rows in a text format."""
    return str(FORMATS[name].of(Document(parts={"rows": lambda: rows}, runs=run)))


def write_rows(rows: object, name: str, path: Path) -> None:
    """The rows in a file."""
    write(Document(parts={"rows": lambda: rows}), FORMATS[name], path)
