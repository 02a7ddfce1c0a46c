"""Print a comparison in the format that was asked for."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from ..api import SCHEMA
from ..comparison import Comparison, compare
from ..errors import UnknownNameError
from ..registry import Registry
from ..results import Run

FORMATS = ("table", "json", "csv", "md", "latex")


def print_comparison(runs: Sequence[Run], registry: Registry, args: argparse.Namespace) -> None:
    """Read the runs statistically and print them.

    Raises:
        UnknownNameError: the format or a column is unknown.
    """
    if args.format not in FORMATS and args.format not in registry.reporters:
        raise UnknownNameError("format", args.format, [*FORMATS, *registry.reporters])
    comparison = compare(
        runs,
        metrics=registry.metrics,
        families=registry.families,
        tasks=registry.tasks,
        baseline=getattr(args, "baseline", "") or None,
    )
    if args.format == "table":
        _print_table(comparison, args)
    elif args.format == "json":
        document = {"schema": SCHEMA, "run": [run.path.name for run in runs], "rows": comparison.rows()}
        json.dump(document, sys.stdout, indent=1, allow_nan=False, default=str)
        print()
    elif args.format in registry.reporters:
        module, _, function = registry.reporters[args.format].target.partition(":")
        getattr(importlib.import_module(module), function)(comparison, sys.stdout)
    else:
        from ..report.export import render_rows

        sys.stdout.write(render_rows(comparison.rows(), args.format))


def _print_table(comparison: Comparison, args: argparse.Namespace) -> None:
    from rich.console import Console

    from ..report.terminal import render

    console = Console()
    unicode = (console.encoding or "").lower().startswith("utf")
    columns = tuple(name.strip() for name in args.columns.split(",") if name.strip())
    for part in render(comparison, width=console.width, unicode=unicode, columns=columns, sort=args.sort):
        console.print(part)
