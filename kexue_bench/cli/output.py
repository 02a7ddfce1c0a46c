"""Print a comparison in the requested format."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..catalog.registry import Registry
from ..report import formats
from ..report.text import visible
from ..session import Comparison, ReadOptions, tabulate
from ..store.results import Run


def check_reading_options(args: argparse.Namespace, registry: Registry) -> ReadOptions:
    """How a parsed command line reads runs; checked before a run, so that a typo does not cost one.

    Raises:
        UsageError: the format is unknown, or a margin or level is out of range.
        UnknownNameError: a metric is unknown.
    """
    formats.choose(args.format, formats.COMPARED, registry.reporters, to=args.to)
    options = ReadOptions(
        columns=tuple(name.strip() for name in args.columns.split(",") if name.strip()),
        sort=args.sort,
        margin=args.margin,
        alpha=args.alpha,
        correction=args.correction,
        baseline=getattr(args, "baseline", ""),
        budget_of_use=tuple(text.strip() for text in args.budget_of_use.split(",") if text.strip()),
        backward_cost=args.backward_cost,
    )
    options.check(registry)
    return options


def comparison_of(
    runs: Sequence[Run], registry: Registry, args: argparse.Namespace, *, only: Sequence[str] = ()
) -> Comparison:
    """Read the runs statistically; notes on them go to standard error.

    Args:
        only: families and tasks whose tables are kept; none keeps all.

    Raises:
        UsageError: the format is unknown, or an option is invalid.
        UnknownNameError: no table belongs to one of `only`.
    """
    tabulation = tabulate(runs, registry, check_reading_options(args, registry)).only(only)
    for note in tabulation.notes:
        print(visible(note), file=sys.stderr)
    return Comparison(runs=tuple(runs), tabulation=tabulation, notes=tabulation.notes, full=args.full)


def print_comparison(
    runs: Sequence[Run], registry: Registry, args: argparse.Namespace, *, only: Sequence[str] = ()
) -> None:
    """Read the runs and write them in the requested format.

    Args:
        only: as in `comparison_of`.

    Raises:
        UsageError: the format is unknown, or an option is invalid.
    """
    found = comparison_of(runs, registry, args, only=only)
    form = formats.choose(args.format, formats.COMPARED, registry.reporters, to=args.to)
    formats.write(found.document(), form, args.to, paged=not args.no_pager)
