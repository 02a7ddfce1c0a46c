"""Stored runs as tables: rows, baselines, failures, and several runs of one method."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import stored
from stored import BASE, RIVAL, THIRD, TOY, Book, gamma, grid, method, only, read

from kexue_bench.analysis import comparison as analysis
from kexue_bench.api import ORACLE, Measurement, MetricSpec, Series
from kexue_bench.catalog.metrics import keyed
from kexue_bench.errors import UnknownNameError, UsageError


def test_ratios_refer_to_the_baseline_of_the_task_where_it_has_one():
    """Its own, where that was measured; the family's else; and whatever the reader names before both."""
    book = Book(baseline=BASE)
    for of, scale in ((BASE, 1.0), (RIVAL, 0.5), (THIRD, 0.25)):
        book.sampled(TOY, of, scale * gamma(1))
    run = book.run()
    tasks = dict(stored.TASKS)

    def against(own, **options):
        tasks["gradients", "toy"] = replace(stored.TASKS["gradients", "toy"], baseline=own)
        tabulation = analysis.read([run], metrics=stored.METRICS, families=stored.FAMILIES, tasks=tasks, **options)
        return tabulation.tables[0].baseline

    assert against("rloo") == RIVAL.label
    assert against("") == against("absent") == BASE.label
    assert against("rloo", baseline="disarm") == "disarm"


def test_ratios_refer_to_the_baseline_that_the_plan_chose_for_the_task():
    """Where the declared one does not fit; the user's choice comes first."""
    book = Book(baseline=BASE)
    for of in (BASE, RIVAL):
        book.sampled(TOY, of, [1.0, 1.1])
    run = book.run()
    run = replace(run, plan=replace(run.plan, baselines={**run.plan.baselines, f"gradients/{TOY.label}": RIVAL}))
    assert read(run).tables[0].baseline == RIVAL.label
    assert read(run, baseline=BASE.label).tables[0].baseline == BASE.label


def test_the_control_is_the_method_timed_twice_whoever_the_baseline_of_the_report_is():
    """Read against a rival of half the speed, the offset of the copy is still 1.1, not 1.1 over 2."""
    book = Book(baseline=BASE)
    for of in (BASE, RIVAL):
        book.sampled(TOY, of, gamma(1))
    book.timed(TOY, [BASE, RIVAL], grid([1, 2, 1.1], within=0.001, between=0.001))
    (table,) = read(book.run(), baseline="rloo").tables
    assert table.baseline == RIVAL.label
    assert table.control.ratio == pytest.approx(1.1, rel=0.01)


def test_a_case_without_an_outcome_is_lost_and_said_so():
    """An interrupted run leaves rows, never gaps."""
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, gamma(1))
    book.case(TOY, RIVAL)
    row = only(read(book.run()))[1]["rloo"]
    assert (row.status, row.cells) == ("lost", {})


def test_failures_are_rows_with_their_reason_and_key(study):
    """A crash has no cells, keeps its reason, and stands below every row with numbers."""
    table = study.tables[0]
    names = [row.method.name for row in table.rows]
    crash = table.rows[names.index("my-estimator")]
    assert crash.status == "crashed"
    assert "SIGSEGV" in crash.reason
    assert names[-2:] == ["my-estimator", "relaxed"]


def test_another_baseline_may_be_chosen(study):
    """By label or by bare name; the ratios turn round."""
    before = {row.label: row for row in study.tables[0].rows}["rloo[n=2]"].cells["mse"].effect
    for name in ("rloo", "rloo[n=2]"):
        table = read(stored.study(), baseline=name).tables[0]
        after = {row.label: row for row in table.rows}["reinforce"].cells["mse"].effect
        assert after.value == pytest.approx(1 / before.value)
        assert table.baseline == "rloo[n=2]"


def test_an_unknown_or_ambiguous_baseline_is_a_usage_error():
    """The message names what there is."""
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, gamma(1))
    for n in (2, 4):
        book.sampled(TOY, method("rloo", n=n), gamma(n))
    with pytest.raises(UnknownNameError, match="reinforce"):
        read(book.run(), baseline="reinforse")
    with pytest.raises(UsageError, match=r"rloo\[n=2\] or rloo\[n=4\]"):
        read(book.run(), baseline="rloo")
    with pytest.raises(UsageError, match="margin must lie between 0 and 1"):
        read(book.run(), margin=5.0)
    with pytest.raises(UsageError, match="no run"):
        read()


def test_a_metric_nobody_registered_is_read_by_the_default_spec():
    """Lower is better on the log scale; labels make columns of their own."""
    book = Book(baseline=BASE)
    for of, factor in ((BASE, 1.0), (RIVAL, 0.5)):
        case = book.case(TOY, of)
        series = Series(kind="dyadic", values=tuple(factor * gamma(1)), batch=1)
        rows = [
            Measurement(
                metric="loss", value=factor, low=0.9 * factor, high=1.1 * factor, n=96, labels=labels, series=series
            )
            for labels in ({}, {"reading": "tuned"})
        ]
        book.outcome(case, *rows)
    cells = only(analysis.read([book.run()], metrics={}, families={}, tasks={}))[1]["rloo"].cells
    assert set(cells) == {"loss", "loss[reading=tuned]"}
    assert cells["loss[reading=tuned]"].effect.verdict == "better"


def test_a_metric_of_another_family_is_another_metric():
    """Direction, scale and unit of a column are those of the table's own family, or else the core's."""
    book = Book(baseline=BASE)
    for of, value in ((BASE, 1.0), (RIVAL, 2.0)):
        book.outcome(book.case(TOY, of), Measurement(metric="error", value=value, low=value, high=value, n=64))
    theirs = MetricSpec(name="error", family="logdet", unit="nats", direction="target", scale="linear")
    tabulation = analysis.read([book.run()], metrics=keyed([theirs]), families={}, tasks={})
    assert tabulation.spec("logdet", "error[reading=tuned]") == theirs
    assert tabulation.spec("gradients", "error").unit == ""
    assert only(tabulation)[1]["rloo"].cells["error"].effect.kind == "ratio"


# -- several runs -----------------------------------------------------------------------------------------------------


def one_run(name, units, **fields):
    book = Book(baseline=BASE, name=name)
    book.sampled(TOY, BASE, units, **fields)
    return book.run()


def test_equal_results_of_two_runs_are_one_row():
    """The same key and fingerprint is the same result."""
    table, _ = only(read(one_run("0001-a", gamma(1)), one_run("0002-b", gamma(1))))
    assert [row.label for row in table.rows] == ["reinforce"]


def test_an_edited_method_is_compared_with_what_it_was():
    """Equal keys under unequal fingerprints are a before and an after, told apart by their run and paired by noise."""
    before = one_run("0001-a", gamma(1), fingerprint="old")
    after = one_run("0002-b", 0.5 * gamma(1), fingerprint="new")
    table, _ = only(read(before, after))
    rows = {row.label: row for row in table.rows}
    assert table.baseline == "reinforce @0001"
    assert rows["reinforce @0002"].cells["mse"].effect.value == pytest.approx(0.5)


def test_results_that_measure_different_things_are_marked():
    """Another seed is other data and other noise: no verdict, and a reason."""
    table, _ = only(read(one_run("0001-a", gamma(1)), one_run("0002-b", gamma(2), seed=1)))
    row = {r.label: r for r in table.rows}["reinforce @0002"]
    assert row.incomparable == "seed 1 against 0"
    assert row.cells["mse"].effect.verdict == "untestable"
    assert not row.star


def test_a_score_whose_rare_seeds_may_all_be_missing_is_flagged_whatever_it_shows():
    """A fifth of the seeds: ten show none in 0.8^10 = 11 % of all tables, twenty in 1 %; scores of that method only."""
    tasks = dict(stored.TASKS)
    tasks["gradients", "vae"] = replace(stored.TASKS["gradients", "vae"], rare={"rloo": "0.2"})

    def flagged(n):
        book, scores = Book(baseline=BASE), [-100 + 0.1 * i for i in range(n)]
        for of in (BASE, RIVAL):
            book.trained(stored.VAE, of, scores)
        found = analysis.read([book.run()], metrics=stored.METRICS, families=stored.FAMILIES, tasks=tasks)
        cells = [(row.method.name, cell) for row in found.tables[0].rows for cell in row.cells.values()]
        return {(name, cell.key) for name, cell in cells if "heavy-tail" in cell.flags}

    assert flagged(10) == {("rloo", "elbo")}
    assert flagged(20) == set()


def test_the_oracle_of_a_family_is_last_and_never_the_best():
    """Ten times better than all, and what no user has: the star goes to the best of the others."""
    book = Book(baseline=BASE)
    for of, scale in ((BASE, 1.0), (RIVAL, 0.1), (THIRD, 0.5)):
        book.sampled(TOY, of, scale * gamma(1))
    families = {"gradients": replace(stored.FAMILIES["gradients"], oracle=RIVAL.name)}
    found = analysis.read([book.run()], metrics=stored.METRICS, families=families, tasks=stored.TASKS)
    rows = found.tables[0].rows
    assert [row.label for row in rows] == [THIRD.label, BASE.label, RIVAL.label]
    assert [row.mark for row in rows] == ["best", "", ""]
    assert {ORACLE in cell.flags for cell in rows[-1].cells.values()} == {True}


def test_a_coordinate_is_a_column_only_if_the_headline_names_it():
    """A truth of sixty functionals would make hundreds of them; other labels make columns as before."""
    labels = {"mse": {}, "mse[of=x]": {"of": "x"}, "mse[of=y]": {"of": "y"}, "mse[reading=tuned]": {"reading": "tuned"}}
    cells = {key: SimpleNamespace(metric="mse", labels=found) for key, found in labels.items()}
    rows = [SimpleNamespace(cells=cells)]
    assert analysis._columns(("mse",), rows, "mse") == ("mse", "mse[reading=tuned]")
    assert analysis._columns(("mse", "mse[of=y]"), rows, "mse") == ("mse", "mse[reading=tuned]", "mse[of=y]")
