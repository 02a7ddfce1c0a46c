"""A family at a glance counts every planned case once and averages over complete sets of tasks only."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
import stored
from stored import BASE, RIVAL, TOY, Book, gamma, read


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
