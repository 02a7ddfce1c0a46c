"""What `compare` and `verify` return shows itself, counts itself and saves itself."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace

import jsonschema
import pandas as pd
import pytest
import stored
from pages import Page
from rich.cells import cell_len
from rich.console import Console

from kexue_bench.analysis import comparison as analysis
from kexue_bench.api import Case, Evidence, Instance, Job, Outcome, Plan
from kexue_bench.errors import ResultsError, UsageError
from kexue_bench.report.formats import FORMATS
from kexue_bench.report.screen import render_screen
from kexue_bench.report.terminal import render
from kexue_bench.session import Comparison, Verification
from kexue_bench.store.results import Run, RunWriter, load_run, schema


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A comparison of the stored study, whose run lies on the disk as any other."""
    study = stored.study()
    outcomes = list(study.outcomes.values())
    root = tmp_path_factory.mktemp("results")
    with RunWriter.create(
        root, name="study", plan=study.plan, environment={"cpu": "c"}, command=("kexue-bench", "run")
    ) as w:
        w.append(outcomes)
        path = w.path
    run = load_run(path)
    tabulation = analysis.read([run], metrics=stored.METRICS, families=stored.FAMILIES, tasks=stored.TASKS)
    return Comparison(runs=(run,), tabulation=tabulation)


def checked(*evidence: Evidence, method: str = "a") -> Verification:
    """A verification of one method with these claims."""
    cases = [
        Case(
            family="f",
            task=Instance(name="t", target="m:T", label="t"),
            task_version=1,
            method=Instance(name=method, target="m:A", label=method),
            stage="verify",
            claim=item.claim,
        )
        for item in evidence
    ]
    outcomes = {
        case.key: Outcome(key=case.key, status="ok", measurements=(item,))
        for case, item in zip(cases, evidence, strict=True)
    }
    run = Run(path=stored.study().path, plan=Plan(jobs=(Job(cases=tuple(cases)),)), environment={}, outcomes=outcomes)
    return Verification(runs=(run,))


def evidence(claim: str, p: float) -> Evidence:
    """Evidence of a test with that p."""
    return Evidence(
        claim=claim, metric="bias", value=0.3, low=0.2, high=0.4, p=p, unit="sd", n=9, detectable=0.02, tolerance=0.05
    )


# -- showing ----------------------------------------------------------------------------------------------------------


def test_the_repr_is_one_line_that_counts(found):
    """Name, tables, and cases by status: what a list of comparisons prints."""
    text = repr(found)
    assert "\n" not in text
    assert text.startswith(f"<Comparison of {found.runs[0].path.name}: {len(found.tables)} tables, ")
    assert f"{len(found.runs[0].plan.cases)} cases = ok " in text


def test_printing_it_is_what_the_command_line_prints(found, monkeypatch):
    """`print(found)` and `rich.print(found)` give one screen, or in full the tables, at the width of the terminal."""
    monkeypatch.setenv("COLUMNS", "100")
    for shown, lay_out in ((found, render_screen), (replace(found, full=True), render)):
        out = io.StringIO()
        Console(file=out, width=100).print(lay_out(shown.tabulation, width=100))
        assert str(shown) == out.getvalue().rstrip("\n")
        again = io.StringIO()
        Console(file=again, width=100).print(shown)
        assert again.getvalue() == out.getvalue()


def test_it_fits_the_width_at_hand(found):
    """Sixty columns, and none more."""
    out = io.StringIO()
    Console(file=out, width=60).print(found)
    assert max(map(cell_len, out.getvalue().splitlines())) <= 60


def test_a_poor_standard_output_gets_plain_text(found, monkeypatch):
    """Where the encoding of the output has no signs, `print(found)` raises nothing and uses none."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert str(found).isascii()


@pytest.mark.parametrize("kind", ["comparison", "verification"])
def test_a_notebook_gets_a_balanced_fragment_and_plain_text(found, kind):
    """Balanced tags without script or address; the text holds no escape sequence."""
    result = found if kind == "comparison" else checked(evidence("unbiased", 1e-9), evidence("pure", 0.5))
    bundle = result._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    page = Page(bundle["text/html"])
    assert not {"script", "html", "body"} & set(page.tags)
    assert "\x1b" not in bundle["text/plain"]
    label = "rloo" if kind == "comparison" else "unbiased"
    assert label in " ".join(page.texts)
    assert label in bundle["text/plain"]


def test_foreign_names_are_text_in_a_notebook():
    """Markup in the name of a method comes out as text."""
    result = checked(evidence("unbiased", 1e-9), method="<script>alert(1)</script>")
    assert "<script" not in result._repr_html_()


# -- counting ---------------------------------------------------------------------------------------------------------


def test_statuses_add_up_and_failures_say_why(found):
    """Every planned case has a status; each that did not end well is a row with its reason."""
    run = found.runs[0]
    assert sum(found.statuses.values()) == len(run.plan.cases)
    bad = {key for key, outcome in run.outcomes.items() if outcome.status in {"failed", "timeout", "crashed"}}
    assert bad
    assert {row["key"] for row in found.failures} == bad
    assert all(row["reason"] == run.outcomes[row["key"]].reason for row in found.failures)


def test_a_case_without_an_outcome_is_missing(found):
    """A run that was killed: its cases are counted, and listed among the failures."""
    run = found.runs[0]
    first, *others = run.outcomes
    torn = Run(path=run.path, plan=run.plan, environment={}, outcomes={key: run.outcomes[key] for key in others})
    result = Comparison(runs=(torn,), tabulation=found.tabulation)
    assert result.statuses["missing"] == 1
    assert first in {row["key"] for row in result.failures}


def test_a_verification_says_whether_all_claims_hold():
    """One broken claim is enough; a check that did not end is no pass either."""
    good = checked(evidence("pure", 0.5))
    assert (good.passed, good.failed) == (True, ())
    bad = checked(evidence("pure", 0.5), evidence("unbiased", 1e-9))
    assert not bad.passed
    assert [finding.case.claim for finding in bad.failed] == ["unbiased"]
    assert bad.verdicts["FAIL"] == 1
    assert repr(bad).endswith("2 claims = 1 PASS + 1 FAIL>")
    assert [row["verdict"] for row in bad.rows()] == ["PASS", "FAIL"]
    run = good.runs[0]
    torn = Run(path=run.path, plan=run.plan, environment={}, outcomes={})
    assert not Verification(runs=(torn,)).passed


def test_a_verification_that_checked_nothing_has_not_passed():
    """Claims that are unsupported were not checked; without any other there is nothing to rely on."""
    run = checked(evidence("pure", 0.5)).runs[0]
    outcomes = {key: replace(outcome, status="unsupported", measurements=()) for key, outcome in run.outcomes.items()}
    found = Verification(runs=(Run(path=run.path, plan=run.plan, environment={}, outcomes=outcomes),))
    assert (found.checked, found.passed, found.failures) == ((), False, ())


# -- saving -----------------------------------------------------------------------------------------------------------


def test_the_frame_holds_every_measurement(found):
    """The tidy frame of the run."""
    pd.testing.assert_frame_equal(found.to_frame(), found.runs[0].to_frame())


@pytest.mark.parametrize("suffix", [*(form.suffix for form in FORMATS.values()), ".JSON"])
@pytest.mark.parametrize("kind", ["comparison", "verification"])
def test_the_suffix_says_the_format(found, tmp_path, suffix, kind):
    """Each is written, and read back by the reader of its format; the path is returned."""
    result = found if kind == "comparison" else checked(evidence("unbiased", 1e-9), evidence("pure", 0.5))
    path = result.save(tmp_path / f"table{suffix}")
    assert path == tmp_path / f"table{suffix}"
    rows = result.rows()
    match suffix.lower():
        case ".txt":
            assert path.read_text(encoding="utf-8").rstrip("\n") == str(result)
        case ".html":
            assert Page(path.read_text(encoding="utf-8")).tags[0] == "html"
        case ".csv":
            assert len(pd.read_csv(path)) == len(rows)
        case ".json":
            document = json.loads(path.read_text())
            assert len(document["rows"]) == len(rows)
            assert document["run"] == [run.path.name for run in result.runs]
            if kind == "comparison":
                jsonschema.validate(document, schema("rows"))
        case ".parquet":
            assert len(pd.read_parquet(path)) == len(rows)
        case ".md":
            assert len(path.read_text(encoding="utf-8").splitlines()) == len(rows) + 2
        case ".tex":
            assert path.read_text(encoding="utf-8").startswith(r"\begin{tabular}")


@pytest.mark.parametrize("name", ["table", "table.xlsx", "table.html.gz"])
def test_an_unknown_suffix_is_refused_with_those_that_exist(found, tmp_path, name):
    """Nothing is written."""
    with pytest.raises(UsageError, match=r"use one of \.txt, \.json, \.csv, \.md, \.tex, \.html, \.parquet"):
        found.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_an_error_of_ours(found, tmp_path):
    """The path and the reason of the system stand in it."""
    with pytest.raises(ResultsError, match="cannot be written"):
        found.save(tmp_path / "missing" / "table.csv")


# -- recommending -----------------------------------------------------------------------------------------------------


def test_a_comparison_recommends_without_a_name_if_it_has_one_family(found):
    """The exact method costs 400 evaluations on one of the tasks; an unreadable budget is refused."""
    answer = found.recommend(tasks=["toy[bits=200]"], budgets=["10 evaluations"])
    assert "exact" not in [option.label for option in answer.options]
    assert answer.gained == {"costs more than 10 evaluations": ("exact",)}
    with pytest.raises(UsageError):
        found.recommend(budgets=["10 parsecs"])
