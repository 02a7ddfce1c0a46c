"""Test every claim that methods make, and those that all must keep, against exact truth: PASS, FAIL or UNDECIDED.

A FAIL is a test that an honest method fails once in ten thousand claims. A PASS is a test that would have caught, with
90 % power, any violation that matters. Everything else is UNDECIDED. Exit code 1 when anything fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..api import SCHEMA, Case, Evidence, Outcome
from ..claims import ALPHA, Verdict, decide
from ..codec import encode
from ..report.text import visible
from ..results import Run
from . import options, session
from .plan_view import print_plan

NEGATIVE = 1


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One claim of one method on one task, read."""

    case: Case
    outcome: Outcome | None
    evidence: Evidence | None
    verdict: Verdict | str


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `verify`."""
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="selectors (every method)")
    parser.add_argument("--family", action="append", default=[], help="only this family")
    parser.add_argument("--format", choices=["table", "json"], default="table", help="table or json (table)")
    parser.add_argument("--all", action="store_true", help="also print the claims that passed")
    options.add_plan_options(parser)
    options.add_results_option(parser)
    options.add_plugin_options(parser)


def execute(args: argparse.Namespace) -> int:
    """Run the checks, print what they found and return the exit code."""
    args.method, args.stage = [*args.method, *args.methods], ["verify"]
    if args.dry_run:
        print_plan(session.plan_only(args, args.family))
        return 0
    finished = session.run_session(args, args.family)
    findings = read_findings(finished.run)
    if args.format == "json":
        _print_json(findings, finished.run)
    else:
        _print_table(findings, everything=args.all)
    print(f"\n{session.summary(finished.run)}\n{finished.run.path}", file=sys.stderr)
    failed = any(finding.verdict == "FAIL" for finding in findings)
    return finished.exit_code or (NEGATIVE if failed else 0)


def read_findings(run: Run) -> list[Finding]:
    """Every verify case of a run with its verdict; a case without evidence has its status for one."""
    findings = []
    for case in run.plan.cases:
        if case.stage != "verify":
            continue
        outcome = run.outcomes.get(case.key)
        evidence = next((m for m in outcome.measurements if isinstance(m, Evidence)), None) if outcome else None
        status = outcome.status if outcome else "missing"
        verdict = decide(evidence) if evidence is not None and status == "ok" else status
        findings.append(Finding(case=case, outcome=outcome, evidence=evidence, verdict=verdict))
    return findings


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


def _print_table(findings: Sequence[Finding], *, everything: bool) -> None:
    console = Console()
    shown = [finding for finding in findings if everything or finding.verdict not in {"PASS", "unsupported"}]
    if shown:
        table = Table(box=None, pad_edge=False)
        for heading in (
            "verdict",
            "task",
            "method",
            "claim",
            "violation",
            "would have caught",
            "draws",
            "what was seen",
        ):
            table.add_column(heading, overflow="fold", justify="left")
        for finding in shown:
            table.add_row(*(Text(visible(cell)) for cell in _cells(finding)))
        console.print(table)
        console.print()
    for method, text in _by_method(findings).items():
        console.print(Text(visible(f"{method:<40} {text}")))
    counts = Counter(finding.verdict for finding in findings if finding.verdict != "unsupported")
    tested = sum(1 for finding in findings if finding.evidence is not None and finding.evidence.p is not None)
    total = " + ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    console.print(f"\n{sum(counts.values())} claims: {total or 'none'}")
    console.print(
        f"chance that any honest claim fails in this call: at most {tested} tests x {ALPHA:g} = {tested * ALPHA:.2%}; "
        "the others are identities"
    )


def _cells(finding: Finding) -> tuple[str, ...]:
    case, evidence = finding.case, finding.evidence
    where = (finding.verdict, f"{case.family}/{case.task.label}", case.method.label, case.claim)
    if evidence is None or evidence.value is None:
        reason = evidence.note if evidence else finding.outcome.reason if finding.outcome else "no outcome"
        return (*where, "", "", "", reason)
    interval = f" [{evidence.low:.2g}, {evidence.high:.2g}]" if evidence.low is not None else ""
    violation = f"{evidence.value:.2g}{interval} {evidence.unit}".strip()
    caught = f"{evidence.detectable:.2g} {evidence.unit}".strip() if evidence.detectable is not None else "any"
    return (*where, violation, caught, f"{evidence.n:,}" if evidence.p is not None else "", evidence.note)


def _by_method(findings: Sequence[Finding]) -> dict[str, str]:
    """Method -> its verdicts counted, in order of the plan."""
    counts: dict[str, Counter[str]] = {}
    for finding in findings:
        if finding.verdict != "unsupported":
            counts.setdefault(f"{finding.case.family}/{finding.case.method.label}", Counter())[finding.verdict] += 1
    return {
        method: ", ".join(f"{count} {verdict}" for verdict, count in found.most_common())
        for method, found in counts.items()
    }
