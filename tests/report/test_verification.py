"""What `verify` found, at any width: failures first, every claim in a matrix, and the sums."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from kexue_bench.analysis.findings import Finding
from kexue_bench.api import Case, Evidence, Instance, Outcome
from kexue_bench.catalog.core_claims import decide
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
