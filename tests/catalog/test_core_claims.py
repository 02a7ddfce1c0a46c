"""Evidence becomes PASS, FAIL or UNDECIDED by one rule, whatever else was verified."""

from __future__ import annotations

import math

import pytest

from kexue_bench.analysis.findings import read_findings
from kexue_bench.api import Case, Evidence, Instance, Job, Outcome, Plan
from kexue_bench.catalog.core_claims import ALPHA, CORE_CLAIMS, GENERAL, decide


def evidence(**changes):
    return Evidence(**{"claim": "c", "metric": "m", "value": 0.0, "tolerance": 0.05, **changes})


def case(claim, stage="verify"):
    task = Instance(name="t", target="m:T", label="t")
    method = Instance(name="a", target="m:A", label="a")
    return Case(family="f", task=task, task_version=1, method=method, stage=stage, claim=claim)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"value": None}, "UNDECIDED"),
        ({"value": 0.05}, "PASS"),
        ({"value": 0.0501}, "FAIL"),
        ({"value": math.inf, "tolerance": 0.0}, "FAIL"),
        ({"p": ALPHA / 2, "detectable": 0.01}, "FAIL"),
        ({"p": ALPHA, "detectable": 0.05}, "PASS"),
        ({"p": 0.9, "detectable": 0.051}, "UNDECIDED"),
        ({"p": 0.9, "detectable": None}, "UNDECIDED"),
    ],
)
def test_one_rule_decides(changes, verdict):
    """A rejecting test fails; another passes only if it would have caught what matters; without one the tolerance."""
    assert decide(evidence(**changes)) == verdict


def test_a_pass_is_never_given_for_want_of_data():
    """However large p is, a test that could not have caught a violation that matters decides nothing."""
    assert decide(evidence(p=1.0, detectable=10.0)) == "UNDECIDED"


def test_what_every_method_promises_is_what_is_always_checked():
    """The general claims are the core's claims with `always`, each with a check of its own."""
    always = {(spec.of, spec.name) for spec in CORE_CLAIMS if spec.always}
    assert always == {(of, name) for of, names in GENERAL.items() for name in names}
    assert len({spec.target for spec in CORE_CLAIMS}) == len(CORE_CLAIMS)


def test_findings_read_every_planned_claim():
    """Verify cases only; without evidence the verdict is the status, without an outcome it is `missing`."""
    passed, failed, lost = case("passed"), case("failed"), case("lost")
    plan = Plan(jobs=(Job(cases=(passed, failed, lost, case("", "evaluate"))),))
    outcomes = {
        passed.key: Outcome(key=passed.key, status="ok", measurements=(evidence(claim="passed"),)),
        failed.key: Outcome(key=failed.key, status="failed", reason="KeyError"),
    }
    findings = read_findings(plan, outcomes)
    assert [finding.verdict for finding in findings] == ["PASS", "failed", "missing"]
    assert [finding.tested for finding in findings] == [False, False, False]
