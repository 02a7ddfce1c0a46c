"""Tuning: which points are tried, equally many for every method, and what the plan holds of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuned import registry, request

from kexue_bench.api import Knob
from kexue_bench.errors import PluginError, UsageError
from kexue_bench.plan.plan import build_plan
from kexue_bench.plan.tuning import edges, repetitions, spread

# -- which points -----------------------------------------------------------------------------------------------------


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    trials=st.integers(1, 30),
    start=st.integers(0, 6),
)
def test_exactly_as_many_trials_as_asked_for_and_no_point_twice_before_all_were_tried(sizes, trials, start):
    """Equal budgets: the number of trials is K for every grid; points repeat only when the grid is used up."""
    grids = {f"k{i}": tuple(range(size)) for i, size in enumerate(sizes)}
    points = spread(grids, trials, first=dict.fromkeys(grids, start))
    assert len(points) == trials
    distinct = math.prod(sizes) + any(start >= size for size in sizes)
    assert len({tuple(p.values()) for p in points}) == min(trials, distinct)
    assert max(repetitions(points)) == (trials - 1) // distinct
    assert points[0] == dict.fromkeys(grids, start)


def test_few_trials_spread_over_a_long_axis():
    """Four of twelve values leave no gap of half the axis (a plain prefix of the grid would)."""
    found = sorted(p["k"] for p in spread({"k": tuple(range(12))}, 4, first={"k": 0}))
    assert max(b - a for a, b in zip([0, *found], [*found, 11], strict=True)) < 6


def test_zero_is_not_a_point_of_a_scale():
    """A smoothing of 0, chosen from 0, 0.001 and 1, has nothing below it; of the others the smallest is an edge."""
    trials = ({"eps": 0.0}, {"eps": 0.001}, {"eps": 1.0})
    assert edges(trials, {"eps": 0.0}) == ()
    assert edges(trials, {"eps": 0.001}) == ("eps",)
    assert edges(trials[:2], {"eps": 0.001}) == ()


def test_the_edge_is_that_of_what_was_tried():
    """The largest value tried is an edge although the grid goes on; a knob tried at one value has none."""
    trials = ({"a": 1.0, "b": 2}, {"a": 2.0, "b": 2}, {"a": 3.0, "b": 2})
    assert edges(trials, {"a": 3.0, "b": 2}) == ("a",)
    assert edges(trials, {"a": 2.0, "b": 2}) == ()


# -- the plan ---------------------------------------------------------------------------------------------------------


def test_every_method_gets_the_same_number_of_trials():
    """With or without knobs of its own: K = 5, over widths and learning rates, or over the learning rates alone."""
    plan = build_plan(request("shifted", "plain", "breaks", tune=5), registry())
    found = {c.method.name: json.loads(str(c.options["points"])) for c in plan.cases if c.stage == "tune"}
    assert {name: len(points) for name, points in found.items()} == {"shifted": 5, "plain": 5, "breaks": 5}
    assert set(found["shifted"][0]) == {"width", "task.lr"}
    assert set(found["plain"][0]) == {"task.lr"}


def test_sampling_trials_draw_equally_much_and_together_no_more_than_an_evaluation():
    """Budget 2^14 over eight trials."""
    plan = build_plan(request("scale", task="sample", tune=8), registry())
    (case,) = (c for c in plan.cases if c.stage == "tune" and c.method.name == "scale")
    assert case.options["budget"] == 2**14 // 8
    assert "precision" not in case.options


def test_without_tuning_nothing_changes():
    """Keys of untuned cases are the same with and without `--tune`, and none is tuned without it."""
    off = build_plan(request("shifted", tune=0), registry())
    on = build_plan(request("shifted"), registry())
    assert {c.stage for c in off.cases} == {"evaluate"}
    assert set(off.by_key) < set(on.by_key)


def test_the_key_of_a_tuned_case_names_the_search_and_not_its_result():
    """Another K is another search; the same search is one case for two selectors that start it elsewhere."""
    four, five = (build_plan(request("shifted", tune=k), registry()) for k in (4, 5))
    tuned = [{c.key for c in plan.cases if "tuned" in c.options} for plan in (four, five)]
    assert tuned[0].isdisjoint(tuned[1])
    both = build_plan(request("shifted[width=[1,4]]"), registry())
    assert [c.method.label for c in both.cases if c.stage == "tune"] == ["shifted (tuned)"]


def test_what_cannot_be_tuned_is_refused_or_left_out():
    """`--stage tune` needs a number, a knob needs a numeric field, one without any has no tuned row."""
    with pytest.raises(UsageError, match="--tune"):
        build_plan(request("shifted", tune=0, stages=("tune",)), registry())
    key, broken = ("toy", "shifted"), registry()
    broken.methods[key] = replace(broken.methods[key], knobs=(Knob(field="with", grid=(1.0,)),))
    with pytest.raises(PluginError, match="no such field"):
        build_plan(request("shifted"), broken)
    plan = build_plan(request("plain", task="sample", baseline="plain"), registry())
    assert not any(c.stage == "tune" for c in plan.cases)
