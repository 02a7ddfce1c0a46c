"""What `verify` found, at any width: failures first, every claim in a matrix, and the sums."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from kexue_bench.analysis.findings import Finding
from kexue_bench.api import Case, Evidence, Instance, Outcome
from kexue_bench.catalog.core_claims import ALPHA, GENERAL, decide
from kexue_bench.report.verification import FindingsReport


def finding(verdict_of, method="a", claim="unbiased", task="t"):
    case = Case(
        family="f",
        task=Instance(name=task, target="m:T", label=task),
        task_version=1,
        method=Instance(name=method, target="m:A", label=method),
        stage="verify",
        claim=claim,
    )
    outcome = Outcome(key=case.key, status="ok", measurements=(verdict_of,))
    return Finding(case=case, outcome=outcome, evidence=verdict_of, verdict=decide(verdict_of))


def evidence_of(value, p, **more):
    return Evidence(
        claim="unbiased", metric="bias", value=value, low=value / 2, high=2 * value, p=p, unit="sd", n=4096,
        detectable=0.02, tolerance=0.05, **more,
    )  # fmt: skip


@pytest.mark.parametrize("width", [60, 80, 140])
def test_every_line_fits_and_none_wraps(width):
    """One line a finding at any width: long names and reasons are cropped, numbers are not."""
    findings = [
        finding(evidence_of(0.26, 1e-9), method="a-method-with-a-very-long-name[and=parameters,too=1]"),
        finding(evidence_of(0.01, 0.5), task="a-task-with-a-very-long-name-indeed[side=32,tau=0.01]"),
        finding(
            Evidence(claim="finite-variance", metric="m", value=None, note="nobody knows " * 9), claim="finite-variance"
        ),
    ]
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(FindingsReport(findings))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert text.splitlines()[1].startswith(("FAIL", "✗"))
    if width >= 80:
        assert "0.26 [0.13, 0.52] sd" in text


@pytest.mark.parametrize("width", [60, 80, 140])
def test_claims_that_do_not_fit_follow_in_a_further_matrix(width):
    """Every claim stands whole in one heading at any width, a method in those matrices only that hold a claim of it."""
    names = [f"promise-{i}" for i in range(50, 64)]
    findings = [finding(evidence_of(0.0, 0.5), claim=name) for name in names]
    findings.append(finding(evidence_of(0.0, 0.5), claim=names[0], method="second"))
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(FindingsReport(findings))
    text = console.export_text()
    matrices = text[text.index("\n\n") :]
    assert [matrices.count(name.partition("-")[2]) for name in names] == [1] * len(names)
    assert matrices.count("second") == 1
    assert matrices.count("promise-") == len(names)
    assert "…" not in matrices


def test_names_of_strangers_cannot_act_on_the_terminal():
    """An escape sequence in a name is printed as its escape."""
    console = Console(width=140, record=True, color_system=None, file=io.StringIO())
    console.print(FindingsReport([finding(evidence_of(0.3, 1e-9), method="\x1b[31mred")]))
    assert "\x1b" not in console.export_text()


def printed(findings, width=140, **options):
    console = Console(width=width, record=True, color_system=None, file=io.StringIO())
    console.print(FindingsReport(findings, **options))
    return console.export_text()


def ended(status, reason, claim="unbiased", task="t"):
    whole = finding(evidence_of(0.0, 0.5), claim=claim, task=task)
    outcome = Outcome(key=whole.case.key, status=status, reason=reason)
    return Finding(case=whole.case, outcome=outcome, evidence=None, verdict=status)


def test_failures_stand_first_whatever_the_order_of_the_plan():
    """Then what did not end, what is undecided, and what passed."""
    findings = [
        finding(evidence_of(0.0, 0.5), method="passes"),
        finding(Evidence(claim="c", metric="m", value=None), method="open"),
        ended("crashed", "SIGSEGV"),
        finding(evidence_of(0.3, 1e-9), method="fails"),
    ]
    lines = printed(findings).splitlines()
    first = [line.split()[:2] for line in lines[1:5]]
    assert first == [["FAIL", "fails"], ["crashed", "a"], ["UNDECIDED", "open"], ["PASS", "passes"]]


def test_a_line_shows_the_worst_of_its_tasks_and_how_many_more_there_are():
    """One method that fails one claim on three tasks is one line."""
    findings = [finding(evidence_of(value, 1e-9), task=f"t{i}") for i, value in enumerate((0.1, 0.4, 0.2))]
    (line,) = [line for line in printed(findings).splitlines() if line.startswith("FAIL")]
    assert "0.4 [0.2, 0.8] sd" in line
    assert "t1 +2" in line
    assert len([x for x in printed(findings, everything=True).splitlines() if x.startswith("FAIL")]) == 3


def test_what_was_never_meant_to_be_checked_is_no_claim():
    """Skipped and unsupported cases count nowhere; a crash does."""
    findings = [ended("skipped", "no"), ended("unsupported", "no"), ended("crashed", "SIGSEGV")]
    text = printed(findings)
    assert "1 claims = 1 crashed" in text
    assert "skipped" not in text


def test_what_ended_for_one_reason_is_one_line():
    """Two claims of one method that failed to run by the same error share it."""
    findings = [ended("failed", "KeyError: 'x'", claim="one"), ended("failed", "KeyError: 'x'", claim="two")]
    lines = [line for line in printed(findings).splitlines() if line.startswith("failed")]
    assert len(lines) == 1
    assert "one +1" in lines[0]


def test_promises_share_a_column_and_those_that_hold_have_no_line():
    """Two promises of draws that held are `2` in one column, and one line each only where all is asked for."""
    findings = [finding(evidence_of(0.0, 0.5), claim=name) for name in sorted(GENERAL["draws"])[:2]]
    text = printed(findings)
    assert not text.startswith(("PASS", "verdict"))
    assert "✓ 2" in text
    assert printed(findings, everything=True).count("PASS  ") == 2


def test_the_levels_of_all_tests_add_up():
    """Identities cannot fail by chance, so they add nothing."""
    identity = Evidence(claim="c", metric="m", value=0.0)
    findings = [finding(evidence_of(0.0, 0.5), task=f"t{i}") for i in range(3)] + [finding(identity, claim="c")]
    assert f"false-alarm rate <= {300 * ALPHA:.2f} %" in printed(findings)


def test_ascii_output_is_ascii():
    """Marks of verdicts have replacements."""
    findings = [finding(evidence_of(0.3, 1e-9)), finding(evidence_of(0.0, 0.5), claim="other", method="b")]
    text = printed(findings, unicode=False)
    assert text.isascii()
    assert "X 1" in text
