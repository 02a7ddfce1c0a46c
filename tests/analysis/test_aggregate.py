"""A family at a glance counts every planned case once and averages over complete sets of tasks only."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
import stored
from stored import BASE, RIVAL, TOY, Book, gamma, read
from tabled import cell, row, table

from kexue_bench.analysis.aggregate import summarize
from kexue_bench.analysis.verdicts import Effect, Policy
from kexue_bench.catalog.metrics import CORE_METRICS, keyed


def test_every_planned_case_is_counted_once():
    """The statuses of the summary add up to the plan, A/A copies included."""
    run = stored.study()
    (summary,) = read(run).summaries
    assert summary.planned == len(run.plan.cases) == sum(summary.statuses.values())
    assert summary.statuses == dict(Counter(o.status for o in run.outcomes.values()))


def test_aggregates_exist_over_complete_sets_only(study):
    """A method that crashed on a task has neither mean nor range; the others have the range of their ratios."""
    (summary,) = study.summaries
    found = {a.label: a for a in summary.aggregates if a.metric == "mse"}
    assert (found["my-estimator"].ratio, found["my-estimator"].least) == (None, None)
    ratios = [
        row.cells["mse"].effect.value
        for table in study.tables
        for row in table.rows
        if row.method.name == "rloo" and "mse" in row.cells
    ]
    assert (found["rloo[n=2]"].least, found["rloo[n=2]"].most) == (min(ratios), max(ratios))
    assert (found["rloo[n=2]"].tasks, found["rloo[n=2]"].of) == (2, 2)


def test_a_method_that_misses_one_task_has_no_mean_over_tasks():
    """Two good ratios of three are no mean: leaving out the task it failed on would flatter it."""
    book = Book(baseline=BASE)
    for bits in (1, 2, 3):
        task = replace(TOY, params={"bits": bits}, label=f"toy[bits={bits}]")
        book.sampled(task, BASE, gamma(bits))
        if bits < 3:
            book.sampled(task, RIVAL, 0.5 * gamma(bits))
        else:
            book.outcome(book.case(task, RIVAL), status="failed", reason="no")
    (found,) = [a for a in read(book.run()).summaries[0].aggregates if (a.label, a.metric) == ("rloo[n=2]", "mse")]
    assert (found.ratio, found.tasks, found.of) == (None, 2, 3)


def against(*ratios, **fields):
    """Tables of a baseline and one rival with these ratios, None where it was never meant to run."""
    tables = []
    for ratio in ratios:
        itself = Effect(kind="ratio", value=1.0, low=1.0, high=1.0, verdict="baseline")
        rows = [row("base", cell("mse", 1.0, effect=itself))]
        if ratio is None:
            rows.append(row("rival", status="unsupported"))
        else:
            effect = Effect(kind="ratio", value=ratio, low=ratio, high=ratio, verdict="better", **fields)
            rows.insert(0, row("rival", cell("mse", ratio, effect=effect), mark="best"))
        tables.append(table(*rows, baseline="base"))
    policy = Policy(margin=0.05, alpha=0.05, correction="holm", metrics=keyed(CORE_METRICS))
    summary = summarize("toy", None, tables=tables, outcomes=[], policy=policy)
    (found,) = [a for a in summary.aggregates if (a.label, a.metric) == ("rival", "mse")]
    return summary, found


def test_the_mean_over_tasks_is_geometric_with_its_t_interval():
    """Logs that are 0.2 apart around log(1/4); their standard error over sqrt(3), by Student's t."""
    _, found = against(0.25 * math.exp(-0.2), 0.25, 0.25 * math.exp(0.2))
    half = 4.3026527 * 0.2 / math.sqrt(3)
    assert found.ratio == pytest.approx(0.25)
    assert (found.low, found.high) == pytest.approx((0.25 * math.exp(-half), 0.25 * math.exp(half)))
    assert (found.tasks, found.of) == (3, 3)


@pytest.mark.parametrize("ratios", [(0.5, 0.25), (1e-9, 1.0, 3.0, 1e3), (0.5, 0.25, 0.125)])
def test_a_mean_that_cannot_be_trusted_is_replaced_by_the_range(ratios):
    """Two tasks, or tasks that disagree so much that the ends of the interval differ by more than tenfold."""
    _, found = against(*ratios)
    assert (found.ratio, found.low, found.high) == (None, None, None)
    assert (found.least, found.most) == (min(ratios), max(ratios))


def test_an_exact_method_has_no_geometric_mean():
    """A ratio of 0 would make it 0 whatever the other tasks say; the range says what they are."""
    _, found = against(0.5, 0.0, 0.4, 0.6)
    assert (found.ratio, found.least, found.most, found.tasks) == (None, 0.0, 0.6, 4)


def test_verdicts_and_stars_count_tasks():
    """A task that a method was never meant for is no verdict against it."""
    summary, _ = against(0.5, 0.25, None)
    assert summary.verdicts["rival"] == {"better": 2, "": 1}
    assert summary.stars == {"base": 0, "rival": 2}
    assert summary.tasks == 3


def test_a_summary_never_counts_undecided_as_a_win():
    """Open contests are counted apart, and methods without a mark stand in order of their positions."""
    policy = Policy(margin=0.05, alpha=0.05, correction="holm", metrics=keyed(CORE_METRICS))
    order = ("c", "b", "a")
    rows = [row(label, cell("mse", float(i)), mark="undecided" if i < 2 else "") for i, label in enumerate(order)]
    summary = summarize("toy", None, tables=[table(*rows), table(*rows)], outcomes=[], policy=policy)
    assert summary.stars == {"a": 0, "b": 0, "c": 0}
    assert summary.unsettled == {"a": 0, "b": 2, "c": 2}
    assert summary.labels == order


def test_a_primary_column_of_differences_has_no_mean_of_ratios():
    """Points of a score on two tasks cannot be multiplied."""
    rows = [row("base", cell("score", 1.0)), row("rival", cell("score", 2.0))]
    policy = Policy(margin=0.05, alpha=0.05, correction="holm", metrics=keyed(CORE_METRICS))
    tables = [table(*rows, primary="score", baseline="base")]
    assert summarize("toy", None, tables=tables, outcomes=[], policy=policy).aggregates == ()
