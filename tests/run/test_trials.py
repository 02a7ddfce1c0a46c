"""Who harmed a timing group: members are tried one by one, and those that die alone are guilty."""

from __future__ import annotations

import pytest

from kexue_bench.api import Outcome
from kexue_bench.run import trials
from kexue_bench.run.engines import Delivery


@pytest.fixture
def members(chaos):
    return tuple(chaos.case("Fine", stage="time", value=float(i)) for i in range(3))


def outcome(case, status="ok"):
    return Outcome(key=case.key, status=status)


def run_trials(chaos, members, guilty, *, running):
    """Follow the steps of a group in which `guilty` die alone; returns what ended, and the last step."""
    step = trials.accuse(chaos.job(*members), Delivery(status="crashed", seconds=2.0), running)
    ended = []
    while step.solo is not None:
        assert step.trial is not None
        dies = members.index(step.solo) in guilty
        found = outcome(step.solo, "crashed" if dies else "ok")
        step = trials.judge(step.trial, found, survived=not dies, cases=members)
        ended += step.ended
    return ended, step


def test_the_member_that_was_running_and_dies_alone_is_the_only_one_to_lose(chaos, members):
    """The others are timed in common rounds again, none of them tried."""
    ended, step = run_trials(chaos, members, {1}, running=1)
    assert [(o.key, o.status) for o in ended] == [(members[1].key, "crashed")]
    assert step.group == (members[0], members[2])
    assert step.alone == ()


def test_an_innocent_member_that_was_running_is_cleared(chaos, members):
    """Another one dies when it is tried: the two that survived form the group of the next process."""
    ended, step = run_trials(chaos, members, {2}, running=0)
    assert [(o.key, o.status) for o in ended] == [(members[2].key, "crashed")]
    assert step.group == members[:2]
    assert step.alone == ()


def test_one_survivor_keeps_the_time_that_it_took_alone(chaos, members):
    """No other member is left to be timed beside it."""
    ended, step = run_trials(chaos, members, {1, 2}, running=0)
    assert {o.key: o.status for o in ended} == {
        members[0].key: "ok",
        members[1].key: "crashed",
        members[2].key: "crashed",
    }
    assert step == trials.Step(ended=step.ended)


def test_times_taken_alone_hold_if_nobody_dies_alone(chaos, members):
    """The group is tried once more, with its times of the trials as the result if it dies again."""
    ended, step = run_trials(chaos, members, set(), running=0)
    assert ended == []
    assert step.group == members
    assert {o.key for o in step.alone} == {case.key for case in members}


def test_a_process_on_trial_is_kept_longer_than_its_group_had_lived(chaos, members):
    """A thread that kills the process late would else be missed."""
    step = trials.accuse(chaos.job(*members), Delivery(status="crashed", seconds=2.0), 0)
    assert step.trial is not None
    assert step.trial.linger > 2.0
