"""Known work and known answers, in this process."""

from __future__ import annotations

import hashlib

import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.lab import stages
from kexue_bench.lab.context import Context
from kexue_bench.lab.noise import Noise
from kexue_bench.selfcheck import work
from kexue_bench.selfcheck.work import Known, Nothing, Null, Oracle, Spin

CASE = Case(
    family="selfcheck",
    task=Instance(name="known", target="kexue_bench.selfcheck.work:Known", kind="subject"),
    task_version=1,
    method=Instance(name="spin", target="kexue_bench.selfcheck.work:Spin"),
    stage="evaluate",
    options={"precision": 0.05, "budget": 2048},
)


def measured(method):
    """What the task records of a method."""
    ctx = Context(CASE)
    stages.evaluate(Known(), method, ctx)
    return {row.metric: row for row in ctx.measurements}


def test_null_and_oracle_have_the_answers_that_are_known():
    """The mse of answering 0 to 1 is 1 and that of the truth 0, exactly."""
    assert measured(Null())["mse"].value == 1.0
    assert measured(Oracle())["mse"].value == 0.0
    assert measured(Null())["variance"].value == 0.0


def test_spin_draws_around_the_truth():
    """Mean 1 and variance 1, so that its mse is 1 within its interval; the step of the clock stands beside it."""
    rows = measured(Spin())
    assert rows["mse"].low < 1 < rows["mse"].high
    assert 0 < rows["clock-step"].value < 0.1


def test_copies_draw_from_streams_of_their_own_and_work_alike():
    """Equal in law and in work, or an alarm among equals would mean nothing; equal numbers would never alarm."""
    one, two = (Spin(copy=copy).draw(Noise.seeded(0), 64) for copy in (1, 2))
    assert not (one == two).any()
    assert torch.equal(one, Spin(copy=1, times=5).draw(Noise.seeded(0), 64))
    assert not (Noise.seeded(0).at(1).normal(64) + 1 == one).any()


@pytest.mark.parametrize("times", [1, 2, 5])
def test_work_is_done_as_often_as_told(times, monkeypatch):
    """Counted, whatever a clock says; null does none."""
    counted = []
    monkeypatch.setattr(work, "hashlib", type("H", (), {"sha256": lambda b: counted.append(b) or hashlib.sha256(b)}))
    Known().workload(Spin(times=times), Context(CASE)).call()
    assert len(counted) == times
    assert len(set(counted)) == 1
    Known().workload(Null(), Context(CASE)).call()
    assert len(counted) == times


def test_nothing_records_its_index_and_draws_nothing():
    """Cases of no cost are told apart by it."""
    ctx = Context(CASE)
    Nothing(index=7).evaluate(Null(), ctx)
    assert [(row.metric, row.value) for row in ctx.measurements] == [("score", 7.0)]
    assert ctx.counter.units == {}
