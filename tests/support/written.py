"""Rows as they are written by `--format`, without a run behind them, and texts that want to be more than text."""

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


HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "  =cmd|' /C calc'!A0",
    "\uff1d1+1",
    '"; =1+1',
    "a,b\nc",
    "\x1b[31mred\x1b]8;;http://x\x07",
    "\u202egnp.exe",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](http://evil/x.png)",
    "https://evil.example/x www.evil.example mailto:a@b.c",
    "`code` **bold** _em_ ~~no~~ | cell | $x$ # h",
    "\\input{/etc/passwd}",
    "\\write18{rm -rf /}",
    "^^5cinput{x}",
    "}\\end{tabular}\\input{x}",
    "%\\",
    "[2em] * & $ # _ { } ~ ^ < > | \" ` ''",
    "--- --",
    "*",
]


def row(**changes: object) -> dict[str, object]:
    """A row of a comparison."""
    return {
        "family": "gradients",
        "task": "bernoulli-toy",
        "task_params": {"bits": 200, "t": 0.45},
        "method": "rloo",
        "method_params": {"n": 2},
        "metric": "variance",
        "value": 1.25e-7,
        "ci_low": 1.2e-7,
        "ci_high": None,
        "n": 4096,
        "unit": "",
        "flags": ["heavy-tail"],
        "status": "ok",
        "reason": "",
    } | changes
