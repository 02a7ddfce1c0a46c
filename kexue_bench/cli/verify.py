"""Test the claims of each method, and the promises that all methods share, against exact truth.

FAIL: the test rejects the claim at level 1e-4. PASS: it does not, and it would have detected any violation that matters
with 90 % power. UNDECIDED: neither. Exit code 1 when a claim fails, 2 when there is nothing to check, 3 when a check
did not finish.
"""

from __future__ import annotations

import argparse
import sys

from ..plan.checks import none_was_checked
from ..report import formats
from ..report.text import visible
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
    print(f"\n{runs.summary(finished.run)}\n{visible(str(finished.run.path))}", file=sys.stderr)
    if not found.checked:
        raise none_was_checked(row.outcome.reason if row.outcome else row.verdict for row in found.findings)
    code = runs.exit_code(finished)
    return NEGATIVE if found.failed and code <= runs.INCOMPLETE else code
