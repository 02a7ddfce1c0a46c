"""Check this machine and the harness on it, with the same engine, timing groups and statistics as any run.

Identical methods must not be distinguished, work done twice must cost 2.00 times as much, and a method that does
nothing and one that knows the answer must be measured as such. Nothing is stored. Exit code 1 when a check fails.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from ..plan.plan import PRECISION
from ..report import formats
from ..report.formats import Document
from . import options

if TYPE_CHECKING:
    from ..selfcheck import diagnosis

NEGATIVE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `doctor`."""
    parser.add_argument(
        "--precision",
        type=options.share,
        default=PRECISION["quick"],
        metavar="P",
        help=f"relative half-width that you want to reach ({PRECISION['quick']:.0%})".replace("%", "%%"),
    )
    parser.add_argument("--processes", type=int, default=7, metavar="N", help="processes of the timing group (7)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (0)")
    options.add_format_options(parser, formats.CHECKED)
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks")


def execute(args: argparse.Namespace) -> int:
    """Run the checks, print them and return the exit code."""
    from ..selfcheck import diagnosis, examination

    form = formats.choose(args.format, formats.CHECKED, to=args.to)
    checks = list(examination.checks(precision=args.precision, processes=args.processes, seed=args.seed))
    ok = diagnosis.verdict(checks)
    document = Document(parts={"view": lambda: _view(checks), "rows": lambda: _rows(checks)}, head={"ok": ok})
    formats.write(document, form, args.to)
    return 0 if ok else NEGATIVE


def _rows(checks: Sequence[diagnosis.Check]) -> list[dict[str, object]]:
    return [
        {"name": c.name, "found": c.found, "expected": c.expected, "ok": c.ok, "values": dict(c.values)} for c in checks
    ]


def _view(checks: Sequence[diagnosis.Check]) -> Group:
    """The checks, and what to do about those that failed."""
    advice = [Text(f"! {check.name}: {check.advice}") for check in checks if check.ok is False]
    return Group(_grid(checks), Text(), *(advice or [Text("all checks passed")]))


def _grid(checks: Sequence[diagnosis.Check]) -> Grid:
    grid = Grid(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold", style="dim")
    for check in checks:
        mark, style = {True: ("✓", "green"), False: ("!", "bold red"), None: ("", "")}[check.ok]
        grid.add_row(Text(mark, style=style), check.name, check.found, check.expected)
    return grid
