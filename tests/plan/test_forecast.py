"""What a plan will take, by arithmetic from known seconds and bytes."""

from __future__ import annotations

import pytest

from kexue_bench.api import Case, Instance, Job, Outcome, Plan
from kexue_bench.plan.forecast import forecast, measured


def case(method, task="t", stage="evaluate", **fields):
    """One case of a family."""
    return Case(
        family="f",
        task=Instance(name=task, target="m:T", label=task),
        task_version=1,
        method=Instance(name=method, target="m:A", label=method),
        stage=stage,
        **fields,
    )


def plan(*cases, alone=()):
    """Cases that share the workers, and a group that runs alone."""
    return Plan(jobs=(*(Job(cases=(one,)) for one in cases), Job(cases=tuple(alone), exclusive=True)))


def known(*pairs):
    """Seconds of cases that ended, and where they are given, bytes of their processes."""
    return measured(
        (one, Outcome(key=one.key, status="ok", seconds=seconds, peak=sum(peak))) for one, seconds, *peak in pairs
    )


def test_cases_share_the_workers_and_timing_groups_run_alone():
    """(2 + 4) / 2 workers + 3 + 5 alone."""
    a, b, c, d = case("a"), case("b"), case("a", stage="time"), case("b", stage="time")
    found = forecast(plan(a, b, alone=(c, d)), known((a, 2.0), (b, 4.0), (c, 3.0), (d, 5.0)), workers=2)
    assert found.seconds == pytest.approx(11.0)
    assert (found.known, found.of) == (4, 4)


def test_another_method_counts_as_the_mean_of_its_task():
    """2 and 4 s were seen on the task."""
    found = forecast(plan(case("new")), known((case("a"), 2.0), (case("b"), 4.0)), workers=1)
    assert found.seconds == pytest.approx(3.0)


def test_other_seeds_of_a_case_count():
    """Seconds belong to a method on a task, whatever the seed and the replicates."""
    found = forecast(plan(case("a", seed=7)), known((case("a"), 2.0), (case("b"), 40.0)), workers=1)
    assert found.seconds == pytest.approx(2.0)


def test_unknown_tasks_take_as_long_as_known_ones_and_are_counted():
    """One of two cases is known: twice its seconds."""
    found = forecast(plan(case("a"), case("a", task="u")), known((case("a"), 2.0)), workers=1)
    assert found.seconds == pytest.approx(4.0)
    assert (found.known, found.of) == (1, 2)


def test_nothing_known_is_no_forecast():
    """No number instead of zero."""
    found = forecast(plan(case("a")), known(), workers=1)
    assert (found.seconds, found.bytes, found.known, found.weighed, found.of) == (None, None, 0, 0, 1)


def test_the_memory_is_that_of_the_largest_process():
    """Of a case itself before others of its task, the largest of its runs; one without it counts for time."""
    a, b, c = case("a"), case("b"), case("c", task="u")
    stored = known((a, 2.0, 300), (a, 2.0, 500), (b, 2.0, 200), (case("d"), 2.0, 900), (c, 1.0))
    found = forecast(plan(a, b, c), stored, workers=2)
    assert (found.bytes, found.weighed, found.known, found.of, found.workers) == (500, 2, 3, 3, 2)
    assert forecast(plan(case("new")), stored, workers=1).bytes == 900
