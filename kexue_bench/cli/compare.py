"""Run methods on tasks and print the results with their uncertainty, or read stored runs.

WHAT names families to run (all by default), or stored runs to read (`0003`, `latest`, `latest~1`, a path).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import get_args

from ..analysis.stats import Correction
from ..report import formats
from ..report.text import visible
from ..store.results import Run, load_run
from . import options, runs
from .output import check_reading_options, print_comparison
from .plan_view import print_plan


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `compare`."""
    parser.add_argument("what", nargs="*", metavar="WHAT", help="families, or stored runs")
    options.add_plan_options(parser)
    add_reading_options(parser)
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """How results are printed: shared with `report`."""
    reading = parser.add_argument_group("how to read the results")
    options.add_format_options(reading, formats.COMPARED)
    reading.add_argument("--full", action="store_true", help="print every table instead of one screen")
    reading.add_argument(
        "--no-pager", action="store_true", help="never show long output in a pager (KEXUE_PAGER, PAGER or less)"
    )
    reading.add_argument(
        "--columns",
        default="",
        metavar="A,B",
        help="metrics to show, in this order; family/A applies to the tables of that family only",
    )
    reading.add_argument(
        "--sort",
        default="",
        metavar="METRIC",
        help="metric that orders the rows and decides which method is best; the table says what it ignores",
    )
    reading.add_argument(
        "--budget-of-use",
        default="",
        metavar="B,C",
        help="units of work whose draws are judged; the first decides; family/B applies to that family only "
        "(gradients/16,256,4096)",
    )
    reading.add_argument(
        "--backward-cost",
        type=float,
        default=1.0,
        metavar="X",
        help="price of a backward pass through f, in evaluations of f (1)",
    )
    reading.add_argument(
        "--margin",
        type=options.share,
        default=0.05,
        metavar="P",
        help="ratios between 1/(1+P) and 1+P are equivalent (5%%)",
    )
    reading.add_argument(
        "--alpha", type=options.share, default=0.05, metavar="P", help="level of each family of tests in a table (5%%)"
    )
    reading.add_argument(
        "--correction",
        choices=get_args(Correction),
        default="holm",
        help="for multiple tests: family-wise error rate, false discovery rate, or none (holm)",
    )


def execute(args: argparse.Namespace) -> int:
    """Run or read, print, and return the exit code."""
    families, stored = _sort_out(args)
    registry, hooks = options.load(args)
    if stored:
        print_comparison(stored, registry, args)
        return 0
    if args.dry_run:
        plan = runs.plan_only(args, families, registry, hooks)
        print_plan(plan, runs.expected(plan, args.output, jobs=args.jobs))
        return 0
    reading = check_reading_options(args, registry)
    finished = runs.run_request(args, families, registry, hooks, reading=reading)
    print_comparison([finished.run], registry, args)
    print(f"\n{runs.summary(finished.run)}", file=sys.stderr)
    print(f"{visible(str(finished.run.path))}   kexue-bench report {finished.run.number:04}", file=sys.stderr)
    return runs.exit_code(finished)


def _sort_out(args: argparse.Namespace) -> tuple[Sequence[str], list[Run]]:
    """Families stay names; anything that looks like a run is loaded."""
    runs, families = options.runs_and_names(args.what)
    if runs and families:
        from ..errors import UsageError

        raise UsageError("compare takes families or stored runs, not both", got=" ".join(args.what))
    return families, [load_run(what, args.output) for what in runs]
