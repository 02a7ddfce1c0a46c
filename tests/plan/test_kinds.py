"""The table of kinds: what each task must have, and what its cases are given."""

from __future__ import annotations

import importlib
from typing import get_args

import installed
import pytest

from kexue_bench.api import Case, FamilySpec, Instance, Kind, MethodSpec, ReadingSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.plan.kinds import BUDGETS, KINDS, budget_of, kind_of, refusal
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.run.worker import build, run_job
from kexue_bench.store import codec

TARGET = "kexue_bench.selfcheck.work:Nothing"
FUNCTIONS = {
    "sampling": ("problem",),
    "trained": ("build", "measure", "steps"),
    "subject": ("subject", "evaluate"),
    "record": ("evaluate",),
}


def task_like(*names):
    """An object that has these attributes."""
    return type("Task", (), dict.fromkeys(names, 1))()


def registry(task, **method):
    """A family of one task and one method, with a reading."""
    family = FamilySpec(
        name="toy", title="t", summary="s", contract="c", precision_metric="mse", baseline="m", headline=()
    )
    specs = {
        FamilySpec: (family,),
        MethodSpec: (MethodSpec(name="m", family="toy", target=TARGET, summary="s", **method),),
        TaskSpec: (task,),
        ReadingSpec: (ReadingSpec(name="plain", family="toy", target="fractions:Fraction", summary="s"),),
    }
    return Registry([PluginRecord(name="toy", origin="toy", specs=specs)])


def spec(**fields):
    return TaskSpec(**{"name": "t", "family": "toy", "target": TARGET, "summary": "s", "version": 1, **fields})


def test_every_kind_has_its_row_and_every_target_exists():
    """A kind without a treatment, or one that names no function, would fail in the middle of a run."""
    assert set(KINDS) == set(get_args(Kind))
    for treatment in KINDS.values():
        targets = (treatment.evaluated, treatment.timed, treatment.scored, *treatment.checked.values())
        for target in filter(None, targets):
            module, _, name = target.partition(":")
            assert callable(getattr(importlib.import_module(module), name))
        assert treatment.promises is None or treatment.promises in treatment.checked


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_what_a_task_lacks_is_named_with_what_to_do(kind):
    """A class with the functions of its kind is accepted; without one of them it is refused, and the kind it fits."""
    needs = FUNCTIONS[kind]
    assert refusal(kind, task_like(*needs)) == ""
    for lacking in needs:
        said = refusal(kind, task_like(*(name for name in needs if name != lacking)))
        assert f"kind {kind!r} must have" in said
        assert f"without `{lacking}`; write what is missing" in said
    other = next(name for name in FUNCTIONS if name not in {kind, "record"})
    assert f"declare kind={other!r}" in refusal(kind, task_like(*FUNCTIONS[other]))


def test_the_worker_refuses_a_task_of_another_kind():
    """The resolve job answers a refusal, which ends the run with exit code 2; the declared kind that fits passes."""

    def refused(kind):
        task = Instance(name="t", target=TARGET, kind=kind, label="t")
        request = {"kind": "resolve", "instances": [task], "devices": ["cpu"]}
        return codec.unseal(run_job(codec.dumps(request)))["refused"]

    assert refused("record") == []
    (found,) = refused("trained")
    assert found["label"] == "t"
    assert "a task of kind 'trained' must have `build`, `measure` and `steps`, got a Nothing" in found["message"]
    assert "declare kind='record'" in found["message"]


def test_every_installed_task_is_of_the_kind_that_it_declares():
    """The smallest instance of each is built and has the functions of its kind."""
    for declared in installed.registry().tasks.values():
        assert refusal(declared.kind, _class_of(declared)) == "" or declared.kind == "trained"
    quick = build_plan(Request(stages=("evaluate",)), installed.registry())
    for instance in {case.task.label: case.task for case in quick.cases}.values():
        assert refusal(instance.kind, build(instance)) == ""


def _class_of(declared):
    module, _, name = declared.target.partition(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_cases_get_the_options_of_their_kind(kind):
    """Sampled ones a precision and a budget; those with a trained score, a subject or a record the readings."""
    (case,) = build_plan(Request(tasks=("t",), stages=("evaluate",)), registry(spec(kind=kind))).cases
    sampled, readings = kind in {"sampling", "subject"}, kind != "sampling"
    assert ("precision" in case.options, "budget" in case.options) == (sampled, sampled)
    assert ("readings" in case.options) == readings
    assert case.task.kind == kind
    assert case.method.kind == ""


def test_a_sampling_task_without_budgets_has_the_default_ones():
    """It runs, with a budget for every suite; one that declares some has its own."""
    for suite in ("quick", "standard", "full"):
        request = Request(tasks=("t",), suite=suite, stages=("evaluate",))
        (case,) = build_plan(request, registry(spec())).cases
        assert case.options["budget"] == BUDGETS[suite]
    assert budget_of(spec(budgets={"quick": 64}), "quick") == 64


def test_a_budget_of_another_suite_stands_for_one_that_is_missing():
    """The smallest suite that declares one: naming a task of `standard` in `quick` is no error."""
    assert budget_of(spec(budgets={"standard": 32, "full": 256}), "quick") == 32
    assert budget_of(spec(budgets={"quick": 32}), "full") == 32


def test_the_kind_is_no_part_of_the_key():
    """A task that declares what it is keeps its stored results."""
    keys = {
        Case(
            family="toy", task=Instance(name="t", target=TARGET, kind=kind), task_version=1, stage="time",
            method=Instance(name="m", target=TARGET),
        ).key
        for kind in ("", *FUNCTIONS)
    }  # fmt: skip
    assert len(keys) == 1


def test_a_hand_made_case_takes_the_first_kind_that_its_task_fits():
    """`subject` before `record`, since a subject task has the functions of both; a declared kind goes before all."""
    case = Case(
        family="toy", task=Instance(name="t", target=TARGET), task_version=1, stage="time",
        method=Instance(name="m", target=TARGET),
    )  # fmt: skip
    for kind, names in FUNCTIONS.items():
        assert kind_of(case, task_like(*names)) == kind
    with pytest.raises(TypeError, match="the functions of its kind"):
        kind_of(case, object())
