"""Trials: the best point is known and found, each scored on streams of its own."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tuned import execute, registry, request, tunings

from kexue_bench.api import Case, Instance
from kexue_bench.lab.context import Context
from kexue_bench.plan.plan import build_plan


def test_the_known_optimum_is_chosen_and_evaluation_runs_there(tmp_path):
    """Best width 4 of (1/4, 1, 4, 16), best lr .1 of two for both; the untuned rows stay what they were."""
    finished = execute(build_plan(request("shifted", "plain", tune=8), registry()), tmp_path)
    chosen = {name: dict(outcome.chosen) for name, outcome in tunings(finished).items()}
    assert chosen == {"shifted": {"width": 4.0, "task.lr": 0.1}, "plain": {"task.lr": 0.1}}
    losses = {}
    for case in finished.plan.cases:
        if case.stage == "evaluate":
            outcome = finished.outcomes[case.key]
            losses.setdefault(case.method.label, []).append(outcome.measurements[0].value)
            assert bool(outcome.chosen) == ("tuned" in case.options)
    assert {label: len(values) for label, values in losses.items()} == dict.fromkeys(losses, 3)
    means = {label: sum(values) / 3 for label, values in losses.items()}
    assert means["shifted (tuned)"] == pytest.approx(0, abs=1e-8)
    assert means["plain (tuned)"] == pytest.approx(0, abs=1e-8)
    assert means["shifted"] == pytest.approx(math.log(4) ** 2 + math.log(10) ** 2, abs=1e-8)
    assert means["plain"] == pytest.approx(math.log(10) ** 2, abs=1e-8)


def test_a_trial_is_a_row_and_the_choice_is_flagged(tmp_path):
    """Scores of all K trials are stored with their point; the chosen one and its edge are flagged."""
    finished = execute(build_plan(request("plain", tune=3), registry()), tmp_path)
    rows = tunings(finished)["plain"].measurements
    assert [(row.labels["trial"], row.labels["task.lr"]) for row in rows] == [
        ("0", "0.01"),
        ("1", "0.1"),
        ("2", "0.01"),
    ]
    assert [row.value for row in rows] == pytest.approx([-(math.log(10) ** 2), 0, -(math.log(10) ** 2)])
    assert [row.flags for row in rows] == [frozenset(), frozenset({"chosen", "edge-task.lr"}), frozenset()]


def test_a_sampling_method_is_tuned_by_its_mse_times_work(tmp_path):
    """`scale^2 + (scale - 1)^2` is smallest at 1/2, where it is 1/2."""
    finished = execute(build_plan(request("scale", task="sample", tune=3), registry()), tmp_path)
    outcome = tunings(finished)["scale"]
    assert dict(outcome.chosen) == {"scale": 0.5}
    scores = {row.labels["scale"]: row.value for row in outcome.measurements}
    assert scores["0.5"] == pytest.approx(-0.5, rel=0.1)
    assert scores["1.0"] == pytest.approx(-1.0, rel=0.1)


def test_a_failed_trial_costs_its_own_point_only(tmp_path):
    """Widths above 1 raise; of the others the smaller is better, at either learning rate: the first tried stands."""
    finished = execute(build_plan(request("breaks", tune=8), registry()), tmp_path)
    outcome = tunings(finished)["breaks"]
    assert outcome.chosen["width"] == 0.25
    assert [row.value is None for row in outcome.measurements].count(True) == 4
    first = next(row for row in outcome.measurements if row.labels["width"] == "0.25")
    assert "chosen" in first.flags


def test_tuning_uses_streams_that_evaluation_does_not(tmp_path):
    """The trial's first `init` number differs from evaluation's, and is the same for every method and point."""
    case = Case(family="toy", task=Instance(name="t", target="a:b"), task_version=1,
                method=Instance(name="m", target="a:b"), stage="tune")  # fmt: skip
    evaluated = Context(replace(case, stage="evaluate")).noise("init").uniform(4)
    tuned = Context(case, seed_path=("tune[0]",)).noise("init").uniform(4)
    other = Context(replace(case, method=Instance(name="n", target="a:b")), seed_path=("tune[0]",))
    assert not (evaluated == tuned).any()
    assert (other.noise("init").uniform(4) == tuned).all()
