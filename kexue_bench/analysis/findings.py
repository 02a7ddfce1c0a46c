"""The findings of a run: one for each claim of each method on each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..api import Case, Evidence, Outcome, Plan
from ..catalog.core_claims import decide


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One claim of one method on one task, read.

    Args:
        case: what was checked.
        outcome: its outcome; None if it is missing.
        evidence: None if there is none.
        verdict: `PASS`, `FAIL` or `UNDECIDED`; if the check did not finish, the status of its outcome, or `missing`.
    """

    case: Case
    outcome: Outcome | None
    evidence: Evidence | None
    verdict: str

    @property
    def tested(self) -> bool:
        """Whether a statistical test was made, which can fail by chance; other claims are identities."""
        return self.evidence is not None and self.evidence.p is not None


def read_findings(plan: Plan, outcomes: Mapping[str, Outcome]) -> tuple[Finding, ...]:
    """Every claim of a run with its verdict, in order of the plan."""
    findings = []
    for case in plan.cases:
        if case.stage != "verify":
            continue
        outcome = outcomes.get(case.key)
        evidence = next((m for m in outcome.measurements if isinstance(m, Evidence)), None) if outcome else None
        status = outcome.status if outcome else "missing"
        verdict = decide(evidence) if evidence is not None and status == "ok" else status
        findings.append(Finding(case=case, outcome=outcome, evidence=evidence, verdict=verdict))
    return tuple(findings)
