"""Check this machine and the harness on it, by the same engine, timing groups and statistics as any run.

Identical methods must not be told apart, work done twice must cost 2.00 times as much, a method that does nothing and
one that knows the answer must be measured as what they are. Nothing is stored. Exit code 1 when a check fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ..api import SCHEMA
from ..plan.plan import PRECISION
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
        help=f"relative half-width that you want to measure ({PRECISION['quick']:.0%})".replace("%", "%%"),
    )
    parser.add_argument("--processes", type=int, default=7, metavar="N", help="processes of the timing group (7)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the draws (0)")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="table or json (table)")
    parser.add_argument("-v", "--verbose", action="store_true", help="tracebacks")


def execute(args: argparse.Namespace) -> int:
    """Run the checks, print them and return the exit code."""
    from ..selfcheck import diagnosis, examination

    checks = list(examination.checks(precision=args.precision, processes=args.processes, seed=args.seed))
    ok = diagnosis.verdict(checks)
    if args.format == "json":
        rows = [
            {"name": c.name, "found": c.found, "expected": c.expected, "ok": c.ok, "values": dict(c.values)}
            for c in checks
        ]
        json.dump({"schema": SCHEMA, "ok": ok, "rows": rows}, sys.stdout, indent=1)
        print()
    else:
        Console().print(_grid(checks))
        print()
        for check in checks:
            if check.ok is False:
                Console().print(Text(f"! {check.name}: {check.advice}"))
        if ok:
            print("all is as it should be")
    return 0 if ok else NEGATIVE


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
