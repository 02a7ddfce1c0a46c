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
    """A method that crashed on a task has no geometric mean; the others agree with the product of their ratios."""
    (summary,) = study.summaries
    found = {a.label: a for a in summary.aggregates if a.metric == "mse"}
    assert found["my-estimator"].ratio is None
    ratios = [
        row.cells["mse"].effect.value
        for table in study.tables
        for row in table.rows
        if row.method.name == "rloo" and "mse" in row.cells
    ]
    assert found["rloo[n=2]"].ratio == pytest.approx(math.prod(ratios) ** (1 / len(ratios)))
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
            rows.append(row("rival", cell("mse", ratio, effect=effect), star=True))
        tables.append(table(*rows, baseline="base"))
    policy = Policy(margin=0.05, alpha=0.05, correction="holm", metrics=keyed(CORE_METRICS))
    summary = summarize("toy", None, tables=tables, outcomes=[], policy=policy)
    (found,) = [a for a in summary.aggregates if (a.label, a.metric) == ("rival", "mse")]
    return summary, found


def test_the_mean_over_tasks_is_geometric_with_its_t_interval():
    """1/2, 1/4 and 1/8 have the mean 1/4; three logs that are one log 2 apart, over sqrt(3), by Student's t."""
    _, found = against(0.5, 0.25, 0.125)
    half = 4.3026527 * math.log(2) / math.sqrt(3)
    assert found.ratio == pytest.approx(0.25)
    assert (found.low, found.high) == pytest.approx((0.25 * math.exp(-half), 0.25 * math.exp(half)))
    assert (found.tasks, found.of) == (3, 3)


def test_an_exact_method_has_no_geometric_mean():
    """A ratio of 0 would make it 0 whatever the other tasks say."""
    _, found = against(0.5, 0.0)
    assert (found.ratio, found.tasks, found.of) == (None, 1, 2)


def test_verdicts_and_stars_count_tasks():
    """A task that a method was never meant for is no verdict against it."""
    summary, _ = against(0.5, 0.25, None)
    assert summary.verdicts["rival"] == {"better": 2, "": 1}
    assert summary.stars == {"base": 0, "rival": 2}
    assert summary.tasks == 3


def test_a_primary_column_of_differences_has_no_mean_of_ratios():
    """Points of a score on two tasks cannot be multiplied."""
    rows = [row("base", cell("score", 1.0)), row("rival", cell("score", 2.0))]
    policy = Policy(margin=0.05, alpha=0.05, correction="holm", metrics=keyed(CORE_METRICS))
    tables = [table(*rows, primary="score", baseline="base")]
    assert summarize("toy", None, tables=tables, outcomes=[], policy=policy).aggregates == ()
