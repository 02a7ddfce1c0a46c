"""First verdicts: one line a task, as soon as what decides is known, and the same as at the end."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import stored

from kexue_bench.api import Job, Outcome
from kexue_bench.report.screen import standing
from kexue_bench.session import early
from kexue_bench.session.early import FirstVerdicts
from kexue_bench.session.options import ReadOptions

REGISTRY = SimpleNamespace(metrics=stored.METRICS, families=stored.FAMILIES, tasks=stored.TASKS)
DEFAULT = ReadOptions()


def told(run, options=DEFAULT, order=None):
    """(stage of the outcome that completed it, line) of each task."""
    first = FirstVerdicts(run.plan, REGISTRY, options)
    for key in order or run.outcomes:
        case = run.plan.by_key[key]
        if line := first.finished(run.outcomes[key], case):
            yield case.stage, line


def of_one_task(run, label):
    """The finished run with the cases of one task, timing included."""
    cases = tuple(case for case in run.plan.cases if case.task.label == label)
    return replace(run, plan=replace(run.plan, jobs=(Job(cases=cases),)))


def test_each_task_is_told_once_and_as_the_finished_run_says():
    """After its last evaluation, whatever is still to be timed, in any order; the line is that of the whole run."""
    study = stored.study()
    lines = [standing(stored.read(of_one_task(study, label))) for label in ("toy[bits=1]", "toy[bits=200]", "vae")]
    assert all(re.match("gradients: (use|nothing is known)", line) for line in lines)
    assert list(told(study)) == [("evaluate", line) for line in lines]
    assert {line for _, line in told(study, order=[*study.outcomes][::-1])} == {*lines}


def test_the_cost_is_that_of_one_reading(monkeypatch):
    """No case is read twice, so that the work grows like the number of cases."""
    read = []

    def reader(registry, options):
        def note(runs):
            read.extend(case.key for case in runs[0].plan.cases)
            return stored.read(*runs)

        return note

    monkeypatch.setattr(early, "reader", reader)
    study = stored.study()
    assert len([*told(study)]) == 3
    assert len(read) == len({*read}) == sum(case.stage == "evaluate" for case in study.plan.cases)


def test_seconds_that_decide_are_waited_for():
    """With `sort="time"` a task is told after its last timing; one that is not timed never waits for it."""
    assert [stage for stage, _ in told(stored.table_of(0), ReadOptions(sort="time"))] == ["time"]


def test_a_lost_outcome_is_none():
    """The case is tried again, and its task waits for that."""
    run = stored.table_of(0)
    first = FirstVerdicts(run.plan, REGISTRY, DEFAULT)
    lost = next(iter(run.outcomes))
    for key, outcome in run.outcomes.items():
        known = Outcome(key=key, status="lost", phase="evaluate") if key == lost else outcome
        assert first.finished(known, run.plan.by_key[key]) == ""
    assert first.finished(run.outcomes[lost], run.plan.by_key[lost])
