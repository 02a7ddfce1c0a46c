"""Print a comparison in the format that was asked for."""

from __future__ import annotations

import argparse
import importlib
import shlex
import sys
from collections.abc import Sequence

from ..analysis.tables import Tabulation
from ..catalog.registry import Registry
from ..report.text import visible
from ..session import ReadOptions, tabulate
from ..store.results import Run

FORMATS = ("table", "json", "csv", "md", "latex", "html")


def check_reading_options(args: argparse.Namespace, registry: Registry) -> ReadOptions:
    """How a parsed command line reads runs; called before a run, so that a typing error does not cost one.

    Raises:
        UnknownNameError: the format or a metric is unknown.
        UsageError: a margin or a level that makes no sense.
    """
    if args.format not in FORMATS and args.format not in registry.reporters:
        raise registry.unknown("format", args.format, [*FORMATS, *registry.reporters])
    options = ReadOptions(
        columns=tuple(name.strip() for name in args.columns.split(",") if name.strip()),
        sort=args.sort,
        margin=args.margin,
        alpha=args.alpha,
        correction=args.correction,
        baseline=getattr(args, "baseline", ""),
    )
    options.check(registry)
    return options


def tabulation_of(runs: Sequence[Run], registry: Registry, args: argparse.Namespace) -> Tabulation:
    """Read the runs statistically; what a reader must know of them goes to the standard error.

    Raises:
        UnknownNameError: the format or a metric is unknown.
    """
    tabulation = tabulate(runs, registry, check_reading_options(args, registry))
    for note in tabulation.notes:
        print(visible(note), file=sys.stderr)
    return tabulation


def print_comparison(runs: Sequence[Run], registry: Registry, args: argparse.Namespace) -> None:
    """Read the runs and print them in the format that was asked for.

    Raises:
        UnknownNameError: the format or a metric is unknown.
    """
    tabulation = tabulation_of(runs, registry, args)
    if args.format == "table":
        _print_table(tabulation)
    elif args.format in registry.reporters:
        module, _, function = registry.reporters[args.format].target.partition(":")
        getattr(importlib.import_module(module), function)(tabulation, sys.stdout)
    elif args.format == "html":
        sys.stdout.write(page(tabulation, runs))
    else:
        from ..report.export import render_rows

        sys.stdout.write(render_rows(tabulation.rows(), args.format, run=[run.path.name for run in runs]))


def page(tabulation: Tabulation, runs: Sequence[Run]) -> str:
    """The tabulation as an HTML page, with where each run was made and by which command."""
    from ..report.html import render_html

    return render_html(
        tabulation,
        environments={run.path.name: run.environment for run in runs},
        commands=[shlex.join(run.command) for run in runs if run.command],
    )


def _print_table(tabulation: Tabulation) -> None:
    from rich.console import Console

    from ..report.terminal import render

    console = Console()
    console.print(render(tabulation, width=console.width, unicode=(console.encoding or "").lower().startswith("utf")))
