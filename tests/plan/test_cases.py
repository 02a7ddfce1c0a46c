"""The cases of a task: what each stage asks of a method, and which of it is part of a key."""

from __future__ import annotations

import json

import pytest

from kexue_bench.api import FamilySpec, MethodSpec, ReadingSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UsageError
from kexue_bench.plan.cases import PROCESSES, ROUNDS, Request
from kexue_bench.plan.plan import build_plan

READINGS = {"plain": "fractions:Fraction"}


TARGET = "kexue_bench.selfcheck.work:Nothing"


def _registry(*, readings=READINGS, kind="record"):
    """One family with a method, a task and readings."""
    specs = {
        FamilySpec: (
            FamilySpec(
                name="toy", title="t", summary="s", contract="c", precision_metric="mse", baseline="m", headline=()
            ),
        ),
        MethodSpec: (MethodSpec(name="m", family="toy", target=TARGET, summary="s"),),
        TaskSpec: (TaskSpec(name="t", family="toy", target=TARGET, summary="s", version=1, kind=kind),),
        ReadingSpec: tuple(
            ReadingSpec(name=name, family="toy", target=target, summary="s") for name, target in readings.items()
        ),
    }
    return Registry([PluginRecord(name="toy", origin="toy", specs=specs)])


def _cases(registry, stage="evaluate"):
    return build_plan(Request(families=("toy",), tasks=("t",), stages=(stage,)), registry).cases


def test_readings_of_the_family_travel_in_the_case():
    """Name -> target as JSON, for what is trained, in the stage that measures; part of the key."""
    (case,) = _cases(_registry())
    assert json.loads(case.options["readings"]) == READINGS
    (other,) = _cases(_registry(readings=READINGS | {"more": "decimal:Decimal"}))
    assert other.key != case.key
    assert all("readings" not in case.options for case in _cases(_registry(), stage="time"))


def test_families_without_readings_keep_their_keys():
    """No option is added where nothing is registered, nor to sampling tasks, which train no score."""
    (case,) = _cases(_registry(readings={}))
    assert "readings" not in case.options
    (case,) = _cases(_registry(kind="sampling"))
    assert "readings" not in case.options


def test_replicates_are_stacked_in_blocks(registry):
    """Seven seeds of a task that stacks five make blocks of five and two."""
    plan = build_plan(Request(tasks=("train",), methods=("base",), stages=("evaluate",)), registry)
    assert sorted(case.replicates for case in plan.cases) == [(0, 1, 2, 3, 4), (5, 6)]


def test_a_key_holds_only_the_options_of_its_stage(registry):
    """Asking for another precision reruns evaluation and leaves timing alone."""
    one = build_plan(Request(methods=("base",), tasks=("sample",)), registry)
    two = build_plan(Request(methods=("base",), tasks=("sample",), precision=0.01), registry)
    shared = set(one.by_key) & set(two.by_key)
    assert {one.by_key[key].stage for key in shared} == {"time"}
    assert len(shared) == 2 * PROCESSES["quick"]


def test_rigorous_timing_has_twice_the_processes_and_rounds(registry):
    """Twice the suite's figures; a number of processes that the user gives stands; evaluation is not touched."""
    request = {"methods": ("base",), "tasks": ("sample",)}
    plain = build_plan(Request(**request), registry)
    rigorous = build_plan(Request(**request, rigorous=True), registry)
    timed = [case for case in rigorous.cases if case.stage == "time"]
    assert len({case.replicates for case in timed}) == 2 * PROCESSES["quick"]
    assert {case.options["rounds"] for case in timed} == {2 * ROUNDS["quick"]}
    given = build_plan(Request(**request, rigorous=True, processes=3), registry)
    assert len({case.replicates for case in given.cases if case.stage == "time"}) == 3
    shared = set(plain.by_key) & set(rigorous.by_key)
    assert shared == {case.key for case in plain.cases if case.stage == "evaluate"}


def test_deterministic_methods_and_work_are_told_to_the_worker(registry):
    """The evaluate options carry what the lab needs to know."""
    plan = build_plan(Request(methods=("exact",), tasks=("sample",), stages=("evaluate",)), registry)
    options = next(case.options for case in plan.cases if case.method.name == "exact")
    assert (options["deterministic"], options["work"], options["budget"]) == (True, "evaluations", 1000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suite": "huge"}, "--suite"),
        ({"replicates": 0}, "--replicates"),
        ({"budget": 1}, "at least 2 draws"),
        ({"precision": 1.5}, "between 0 and 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    """Before any name is resolved."""
    with pytest.raises(UsageError, match=message):
        Request(**options)
