"""Every planned claim of a run has a finding, whatever became of its check."""

from __future__ import annotations

from kexue_bench.analysis.findings import read_findings
from kexue_bench.api import Case, Evidence, Instance, Job, Outcome, Plan

HOLDS = Evidence(claim="c", metric="m", value=0.0, tolerance=0.05)


def case(claim, stage="verify"):
    task = Instance(name="t", target="m:T", label="t")
    method = Instance(name="a", target="m:A", label="a")
    return Case(family="f", task=task, task_version=1, method=method, stage=stage, claim=claim)


def test_findings_read_every_planned_claim():
    """Verify cases only; without evidence the verdict is the status, without an outcome it is `missing`."""
    passed, failed, lost = case("passed"), case("failed"), case("lost")
    plan = Plan(jobs=(Job(cases=(passed, failed, lost, case("", "evaluate"))),))
    outcomes = {
        passed.key: Outcome(key=passed.key, status="ok", measurements=(HOLDS,)),
        failed.key: Outcome(key=failed.key, status="failed", reason="KeyError"),
    }
    findings = read_findings(plan, outcomes)
    assert [finding.verdict for finding in findings] == ["PASS", "failed", "missing"]
    assert [finding.tested for finding in findings] == [False, False, False]


def test_what_a_test_decided_can_fail_by_chance():
    """A finding with a p-value counts among the tests, whose levels add up; an identity does not."""
    tried = Evidence(claim="c", metric="m", value=0.01, p=0.5, detectable=0.02, tolerance=0.05)
    cases = [case("identity"), case("tested")]
    plan = Plan(jobs=(Job(cases=tuple(cases)),))
    outcomes = {
        of.key: Outcome(key=of.key, status="ok", measurements=(found,))
        for of, found in zip(cases, (HOLDS, tried), strict=True)
    }
    findings = read_findings(plan, outcomes)
    assert [finding.verdict for finding in findings] == ["PASS", "PASS"]
    assert [finding.tested for finding in findings] == [False, True]


def test_evidence_of_a_check_that_did_not_end_well_is_no_verdict():
    """A check that recorded and then failed is `failed`, however good its evidence looks."""
    of = case("c")
    outcome = Outcome(key=of.key, status="failed", measurements=(HOLDS,))
    (finding,) = read_findings(Plan(jobs=(Job(cases=(of,)),)), {of.key: outcome})
    assert (finding.verdict, finding.evidence) == ("failed", HOLDS)
