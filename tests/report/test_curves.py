"""The numbers behind the pictures, against brute force and scipy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tabled import TASK, cell, estimator, row, table

from kexue_bench.api import Case, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.report.curves import Curve, estimators, gaps, leads, priced, trails


def test_a_bias_that_is_not_told_apart_from_zero_counts_as_zero():
    """Its interval holds 0 or it is a bound; rows without spread, cost or bias are left out."""
    variance, work = cell("variance", 2.0, 1.9, 2.1), cell("evaluations", 3.0)
    found = estimators(
        table(
            row("clear", cell("bias", 0.5, 0.4, 0.6), variance, work),
            row("bound", cell("bias", 0.01, 0.0, 0.02, {"bound"}), variance, work),
            row("exact", cell("bias", 0.0, 0.0, 0.0), cell("variance", 0.0), work),
            row("failed"),
        ),
        "evaluations",
    )
    assert [(e.label, e.bias, e.bias_high, e.work) for e in found] == [
        ("bound", 0.0, 0.02, 3.0),
        ("clear", 0.5, 0.6, 3.0),
    ]


def test_the_error_is_squared_bias_plus_the_variance_of_what_the_budget_buys():
    """100 units at 4 a draw are 25 draws: .5^2 + 2 / 25, as a simulated mean of 25 draws has it.

    Monte Carlo: 2e5 means, tolerance 5 standard errors (false alarm 6e-7).
    """
    e = estimator("a", bias=0.5, variance=2.0, work=4.0)
    assert e.mse(100, e.work) == pytest.approx(0.25 + 2 / 25)
    means = 0.5 + np.random.default_rng(0).normal(0, math.sqrt(2), (200_000, 25)).mean(1)
    squares = means**2
    assert abs(squares.mean() - e.mse(100, 4.0)) < 5 * squares.std() / math.sqrt(200_000)


positive = st.floats(1e-3, 1e3)


@given(st.lists(st.tuples(st.one_of(st.just(0.0), positive), positive, positive), min_size=1, max_size=8))
def test_the_lead_is_with_the_smallest_error_at_every_budget(parts):
    """Against brute force on a grid of budgets; the budgets at which the lead changes increase."""
    found = [estimator(f"m{i}", bias=b, variance=v, work=c) for i, (b, v, c) in enumerate(parts)]
    changes = leads(found, "work")
    budgets = [lead.budget for lead in changes]
    assert budgets == sorted(set(budgets))
    assert budgets[0] == 0
    by_label = {e.label: e for e in found}
    for budget in np.geomspace(1e-8, 1e12, 101):
        leader = by_label[[lead.label for lead in changes if lead.budget <= budget][-1]]
        best = min(e.mse(budget, e.work) for e in found)
        assert leader.mse(budget, leader.work) == pytest.approx(best, rel=1e-6)


def test_both_axes_have_their_own_leads():
    """Cheap in seconds and dear in evaluations; an untimed method has no place on the axis of seconds."""
    found = [estimator("a", work=1, seconds=4.0), estimator("b", work=2, seconds=1.0), estimator("c", work=0.1)]
    assert [lead.label for lead in leads(found, "work")] == ["c"]
    assert [lead.label for lead in leads(found, "time")] == ["b"]
    assert leads([estimator("c")], "time") == ()


def curve_plan(curves, *, task=TASK):
    """A plan and outcomes from label -> {step: values of the replicates}."""
    cases, outcomes = [], {}
    for label, points in curves.items():
        case = Case(
            family="toy", task=task, task_version=1, method=Instance(name=label, target="m:M", label=label),
            stage="evaluate", replicates=(0, 1, 2),
        )  # fmt: skip
        rows = tuple(
            Measurement(metric="elbo", value=value, replicate=r, point=step)
            for step, values in points.items()
            for r, value in enumerate(values)
        )
        cases.append(case)
        outcomes[case.key] = Outcome(key=case.key, status="ok", measurements=rows)
    return Plan(jobs=tuple(Job(cases=(case,)) for case in cases)), outcomes


def test_a_gap_is_the_paired_difference_with_its_t_interval():
    """Against scipy's paired t; a diverged replicate leaves its pair out; other tasks do not mix in."""
    exact, other = [-20.0, -21.0, -22.5], [-20.5, -21.2, -23.5]
    plan, outcomes = curve_plan({"exact": {0: exact, 10: exact}, "rloo": {0: exact, 10: other, 20: other}})
    far, more = curve_plan({"rloo": {10: [0.0, 0.0, 0.0]}}, task=replace(TASK, params={"n": 2}))
    plan = Plan(jobs=plan.jobs + far.jobs)
    (gap,) = gaps(plan, outcomes | more, table(), metric="elbo", against="exact", higher=True)
    assert (gap.label, gap.steps, gap.replicates) == ("rloo", (0, 10), 3)
    truth = stats.ttest_rel(exact, other).confidence_interval()
    assert gap.values[1] == pytest.approx(np.mean(np.subtract(exact, other)))
    assert (gap.low[1], gap.high[1]) == pytest.approx((truth.low, truth.high))
    (lost,) = gaps(*curve_plan({"exact": {5: exact}, "rloo": {5: [*other[:2], None]}}), table(), metric="elbo",
                   against="exact", higher=True)  # fmt: skip
    assert lost.replicates == 2
    assert gaps(plan, outcomes, table(), metric="elbo", against="nobody", higher=True) == ()


def test_a_curve_is_the_mean_over_replicates_with_its_t_interval():
    """Against scipy's t; a lone measurement keeps its own interval; a reference is one curve, whoever recorded it, and
    no part of a gap; the threshold is the row's.
    """
    plan, outcomes = curve_plan({"a": {1: [2.0, 3.0, 7.0], 4: [1.0]}, "b": {1: [5.0]}})
    known = tuple(
        Measurement(metric="elbo", value=9.0 - p, point=p, labels={"reference": "law"}, flags=frozenset({"exact"}))
        for p in (4, 1)
    )
    own = (Measurement(metric="elbo", value=4.0, low=3.0, high=6.0, point=2), *known)
    outcomes = {key: replace(o, measurements=o.measurements + own) for key, o in outcomes.items()}
    found = trails(plan, outcomes, table(row("a", cell("threshold", 3.0))), metric="elbo")
    assert [(c.label, c.reference, c.threshold) for c in found] == [
        ("a", False, 3.0), ("b", False, None), ("law", True, None),
    ]  # fmt: skip
    first, _, law = found
    assert (first.points, law.points, law.values) == ((1, 2, 4), (1, 4), (8.0, 5.0))
    ends = stats.t.interval(0.95, 2, loc=4.0, scale=math.sqrt(7 / 3))
    assert (first.values[0], first.low[0], first.high[0]) == pytest.approx((4.0, *ends))
    assert (first.values[1], first.low[1], first.high[1]) == (4.0, 3.0, 6.0)
    assert not any(gap.label == "law" for gap in gaps(plan, outcomes, table(), metric="elbo", against="a", higher=True))


def test_a_curve_over_a_cost_has_its_points_multiplied():
    """Each by the cost of its own method's step; a method without that cost, and the law, are left out."""
    found = [
        Curve(label=label, points=(0, 10), values=(2.0, 1.0), low=(2.0, 1.0), high=(2.0, 1.0), reference=label == "law")
        for label in ("a", "b", "law")
    ]
    (only,) = priced(found, table(row("a", cell("time", 0.5)), row("b", cell("flops", 7.0))), "time")
    assert (only.label, only.points, only.values) == ("a", (0.0, 5.0), (2.0, 1.0))
