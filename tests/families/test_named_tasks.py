"""Every task of every family runs if it is named, also one that no quick suite runs."""

from __future__ import annotations

import installed
import pytest

import kexue_bench
from kexue_bench.catalog import selectors
from kexue_bench.catalog.fields import fields_of
from kexue_bench.plan.plan import Request, build_plan

TASKS = sorted(
    key
    for key, spec in installed.registry().tasks.items()
    if all(field.default is not None for field in fields_of(spec))
)
"""Those that need a file of the user's have tests of their own."""


@pytest.mark.parametrize(("family", "name"), TASKS, ids="/".join)
def test_a_named_task_is_planned_with_a_baseline_that_fits(family, name):
    """Some method runs, with the replicates that its own suite has, and ratios refer to a method that runs too."""
    registry = installed.registry()
    plan = build_plan(Request(families=(family,), tasks=(name,), stages=("evaluate",)), registry)
    cases = [case for job in plan.jobs for case in job.cases]
    (task,) = {case.task.label for case in cases}
    baseline = plan.baselines.get(f"{family}/{task}", plan.baselines[family])
    assert any(selectors.same(case.method, baseline) for case in cases)
    spec = registry.tasks[family, name]
    if spec.replicates and "quick" not in spec.suites:
        own = min(spec.replicates.values())
        assert sum(len(case.replicates) for case in cases if selectors.same(case.method, baseline)) >= own > 1


@pytest.mark.parametrize(
    ("family", "task", "method"),
    [
        ("logdet", "ising", "hutchinson"),
        ("logdet", "toeplitz", "power-series"),
        ("logdet", "min-matrix", "power-series"),
        ("logdet", "grid-gradient[side=8]", "slq"),
        ("logdet", "convolution-block[c=0.7,side=5,channels=2]", "golub-kahan-slq[steps=4]"),
        ("orthogonality", "deep-linear", "none"),
        ("orthogonality", "som-estimates", "som"),
        ("smoothing", "printed-sort", "fast-soft-sort"),
    ],
)
def test_tasks_of_no_quick_suite_run(family, task, method):
    """In this process, a method on each: it ends `ok`, and so does the baseline if it was added."""
    found = kexue_bench.compare(
        family, method, task, stages="evaluate", budget=16, isolation="none", output=None, quiet=True
    )
    (table,) = found.tables
    assert {row.status for row in table.rows} <= {"ok", "skipped", "unsupported"}
    assert [row.label for row in table.rows if row.cells]
    assert next(row for row in table.rows if row.is_baseline).cells
