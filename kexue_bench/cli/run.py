"""Run methods on tasks and store the outcomes; `kexue-bench report` prints the tables later."""

from __future__ import annotations

import argparse

from ..report.text import visible
from . import options, runs
from .plan_view import print_plan


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("family", nargs="*", metavar="FAMILY", help="families (all)")
    options.add_plan_options(parser)
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run, print where the results are, and return the exit code."""
    registry, hooks = options.load(args)
    if args.dry_run:
        plan = runs.plan_only(args, args.family, registry, hooks)
        print_plan(plan, runs.expected(plan, args.output, jobs=args.jobs))
        return 0
    finished = runs.run_request(args, args.family, registry, hooks)
    print(f"{runs.summary(finished.run)}\n{visible(str(finished.run.path))}")
    return runs.exit_code(finished)
