"""Performance profiles: factors behind the best of a task, and the order that they give."""

from __future__ import annotations

import math

import pytest
from tabled import cell, row, table

from kexue_bench.analysis.aggregate import summarize
from kexue_bench.analysis.profile import profiles
from kexue_bench.analysis.tables import Profile
from kexue_bench.analysis.verdicts import Policy
from kexue_bench.api import MetricSpec
from kexue_bench.catalog.metrics import CORE_METRICS, keyed

MSE = {"mse": MetricSpec(name="mse")}


def one(**values: float):
    """A table of methods with these errors."""
    return table(*(row(label, cell("mse", value)) for label, value in values.items()))


def test_the_area_is_that_of_the_curve_by_hand():
    """Factors 1, sqrt(10) and none: shares 1/3 from 1 on and 2/3 from sqrt(10) on, so 1/3 + 1/3 * 1/2."""
    profile = Profile(factors=(1.0, math.sqrt(10), math.inf), tasks=3)
    assert profile.area == pytest.approx(1 / 3 + 1 / 6)
    assert [profile.within(factor) for factor in (1, 3, 4, 1e9)] == [1, 1, 2, 2]


def test_factors_are_ratios_to_the_best_of_each_task():
    """Twice and half of the other's error on two tasks."""
    found = profiles([one(a=1.0, b=2.0), one(a=3.0, b=1.5)], MSE)
    assert found["a"].factors == (1.0, 2.0)
    assert found["b"].factors == (2.0, 1.0)
    assert found["a"].area == found["b"].area


def test_exact_rows_do_not_define_the_best():
    """Beside an error of 0 all others would be infinitely bad; the exact row itself is within any factor."""
    found = profiles([table(row("exact", cell("mse", 0.0, exact=True)), row("a", cell("mse", 1.0)))], MSE)
    assert found["a"].factors == (1.0,)
    assert found["exact"].factors == (1.0,)


def test_a_failure_is_as_far_as_can_be_and_a_task_not_meant_counts_like_one():
    """Both miss one of two tasks; only the failed one has a factor there."""
    failed, unmeant = row("a", status="failed"), row("b", status="unsupported")
    found = profiles([one(a=1.0, b=1.0), table(failed, unmeant, row("c", cell("mse", 1.0)))], MSE)
    assert found["a"].factors == (1.0, math.inf)
    assert found["b"].factors == (1.0,)
    assert found["a"].area == found["b"].area == 0.5


def test_scores_where_higher_is_better_are_inverted():
    """0.8 against 0.4 is a factor of 2."""
    spec = {"mse": MetricSpec(name="mse", direction="higher", scale="linear")}
    assert profiles([one(a=0.8, b=0.4)], spec)["b"].factors == (2.0,)


def test_log_likelihoods_are_compared_by_what_they_lack():
    """-150 nats against -100: half as much again."""
    spec = {"mse": MetricSpec(name="mse", direction="higher", scale="linear")}
    assert profiles([one(a=-100.0, b=-150.0)], spec)["b"].factors == (1.5,)


def test_losses_near_one_are_compared_by_the_work_they_save():
    """0.5 and 0.99: odds of 1 and 99, though the ratio of the losses is below 2."""
    spec = {"mse": MetricSpec(name="progress-loss")}
    assert profiles([one(a=0.5, b=0.99)], spec)["b"].factors == pytest.approx((99.0,))


def test_a_method_near_the_best_everywhere_comes_before_the_winner_of_one_task():
    """Two wins and a failure have more stars than a method always within 1.2 of the best, and a smaller area."""
    tables = [one(steady=1.2, star=1.0), one(steady=1.2, star=1.0), one(steady=1.0, star=50.0)]
    policy = Policy(margin=0.05, alpha=0.05, correction="holm", metrics=keyed(CORE_METRICS))
    summary = summarize("toy", None, tables=tables, outcomes=[], policy=policy)
    assert summary.labels == ("steady", "star")
