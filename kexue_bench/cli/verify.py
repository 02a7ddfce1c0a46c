"""Test every claim that methods make, and those that all must keep, against exact truth: PASS, FAIL or UNDECIDED.

A FAIL is a test that an honest method fails once in ten thousand claims. A PASS is a test that would have caught, with
90 % power, any violation that matters. Everything else is UNDECIDED. Exit code 1 when a claim fails, 2 when
there is nothing to check, 3 when a check did not end.
"""

from __future__ import annotations

import argparse
import sys

from ..report import formats
from ..session import Verification
from . import options, runs
from .plan_view import print_plan

NEGATIVE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `verify`."""
    parser.add_argument("what", nargs="*", metavar="WHAT", help="families, or selectors of methods (everything)")
    parser.add_argument("--family", action="append", default=[], help="only this family")
    options.add_format_options(parser, formats.VERIFIED)
    parser.add_argument("--all", action="store_true", help="also print the claims that passed")
    options.add_plan_options(parser)
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run the checks, print what they found and return the exit code."""
    registry, hooks = options.load(args)
    known = registry.families
    families = [*args.family, *(word for word in args.what if word in known)]
    args.method, args.stage = [*args.method, *(word for word in args.what if word not in known)], ["verify"]
    if args.dry_run:
        print_plan(runs.plan_only(args, families, registry, hooks))
        return 0
    form = formats.choose(args.format, formats.VERIFIED, to=args.to)
    finished = runs.run_request(args, families, registry, hooks)
    found = Verification(runs=(finished.run,), notes=finished.notes, everything=args.all)
    formats.write(found.document(), form, args.to)
    print(f"\n{runs.summary(finished.run)}\n{finished.run.path}", file=sys.stderr)
    code = runs.exit_code(finished)
    return NEGATIVE if found.failed and code <= runs.INCOMPLETE else code
