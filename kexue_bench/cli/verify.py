"""Test every claim that methods make, and those that all must keep, against exact truth: PASS, FAIL or UNDECIDED.

A FAIL is a test that an honest method fails once in ten thousand claims. A PASS is a test that would have caught, with
90 % power, any violation that matters. Everything else is UNDECIDED. Exit code 1 when a claim fails, 3 when a check
did not end.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console

from ..analysis.findings import Finding, read_findings
from ..api import SCHEMA, Evidence
from ..catalog.core_claims import ALPHA
from ..report.verification import Verification
from ..store.codec import encode
from ..store.results import Run
from . import options, runs
from .plan_view import print_plan

NEGATIVE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `verify`."""
    parser.add_argument("what", nargs="*", metavar="WHAT", help="families, or selectors of methods (everything)")
    parser.add_argument("--family", action="append", default=[], help="only this family")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="table or json (table)")
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
    finished = runs.run_request(args, families, registry, hooks)
    findings = read_findings(finished.run.plan, finished.run.outcomes)
    if args.format == "json":
        _print_json(findings, finished.run)
    else:
        console = Console()
        console.print(Verification(findings, everything=args.all, unicode=console.encoding.startswith("utf")))
    print(f"\n{runs.summary(finished.run)}\n{finished.run.path}", file=sys.stderr)
    failed = any(finding.verdict == "FAIL" for finding in findings)
    code = runs.exit_code(finished)
    return NEGATIVE if failed and code <= runs.INCOMPLETE else code


def _print_json(findings: Sequence[Finding], run: Run) -> None:
    rows = [
        {
            "family": finding.case.family,
            "task": finding.case.task.name,
            "task_params": encode(finding.case.task.params),
            "method": finding.case.method.name,
            "method_params": encode(finding.case.method.params),
            "claim": finding.case.claim,
            "verdict": finding.verdict,
            "status": finding.outcome.status if finding.outcome else "missing",
            "reason": finding.outcome.reason if finding.outcome else "",
            **(_evidence_columns(finding.evidence) if finding.evidence else {}),
        }
        for finding in findings
    ]
    json.dump({"schema": SCHEMA, "run": [run.path.name], "alpha": ALPHA, "rows": rows}, sys.stdout, indent=1)
    print()


def _evidence_columns(evidence: Evidence) -> dict[str, object]:
    names = ("value", "low", "high", "unit", "n", "statistic", "p", "detectable", "tolerance", "note")
    return {name: encode(getattr(evidence, name)) for name in names}
