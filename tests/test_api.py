"""api: the nouns that every room shares."""

import hashlib
from dataclasses import replace
from typing import get_args

import pytest

from kexue_bench.api import STATUSES, Case, Claimed, Instance, Job, MethodSpec, Outcome, Plan, Status


def test_every_status_has_its_row():
    """The table holds every status once, in the order of their declaration."""
    assert tuple(STATUSES) == get_args(Status)


@pytest.mark.parametrize("name", STATUSES)
def test_a_result_is_never_run_again(name):
    """What is complete stays as it is; everything else is run again, at least on request."""
    assert STATUSES[name].result == (STATUSES[name].again == "never")


def test_what_was_never_meant_to_run_is_skipped_or_unsupported():
    """A cancelled case is quiet, but it was meant to run."""
    assert [name for name, ending in STATUSES.items() if ending.left_out] == ["skipped", "unsupported"]
    assert STATUSES["cancelled"].quiet


TASK = Instance(name="toy", params={"bits": 2}, target="a.b:Toy", label="toy[bits=2]")
METHOD = Instance(name="rloo", params={"n": 2}, target="a.b:Rloo", label="rloo")
CASE = Case(family="gradients", task=TASK, task_version=1, method=METHOD, stage="evaluate")


def test_a_key_is_the_hash_of_what_is_computed():
    """The first 16 hex digits of SHA-256 over JSON with sorted keys: stored runs can be read for ever."""
    text = (
        '{"claim":"","copy":0,"device":"cpu","dtype":"float32","family":"gradients","method":["rloo",{"n":2}],'
        '"options":{},"replicates":[0],"schema":"kexue-bench/1","seed":0,"stage":"evaluate",'
        '"task":["toy",1,{"bits":2}],"threads":1}'
    )
    assert CASE.key == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "logdet"},
        {"task": replace(TASK, name="toy2")},
        {"task": replace(TASK, params={"bits": 3})},
        {"task_version": 2},
        {"method": replace(METHOD, name="arm")},
        {"method": replace(METHOD, params={"n": 4})},
        {"stage": "time"},
        {"claim": "unbiased"},
        {"replicates": (1,)},
        {"copy": 1},
        {"device": "cuda"},
        {"dtype": "float64"},
        {"threads": 2},
        {"seed": 1},
        {"options": {"budget": 4096}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_changes_a_number_changes_the_key(changes):
    """A result is never taken for that of another computation."""
    assert replace(CASE, **changes).key != CASE.key


@pytest.mark.parametrize("field", ["target", "source", "label", "kind", "fixed"])
def test_who_computes_it_is_no_part_of_the_key(field):
    """A class that moves, another plugin, another label, a field held fast: the same case."""
    value = {"n": 1} if field == "fixed" else "subject" if field == "kind" else "other:One"
    for side in ("task", "method"):
        instance = replace(getattr(CASE, side), **{field: value})
        assert replace(CASE, **{side: instance}).key == CASE.key
    assert replace(CASE, of="training").key == CASE.key


def test_the_order_of_parameters_does_not_change_the_key():
    """A label written in another order names the same case."""
    one, other = ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert replace(CASE, options=one).key == replace(CASE, options=other).key


def test_a_plan_holds_what_is_settled_without_running():
    """Every planned case, those that no job will run included, and each is found by its key."""
    skipped = replace(CASE, seed=1)
    plan = Plan(
        jobs=(Job(cases=(CASE,)),),
        settled=(Outcome(key=skipped.key, status="skipped"),),
        settled_cases=(skipped,),
    )
    assert plan.cases == (CASE, skipped)
    assert plan.by_key == {CASE.key: CASE, skipped.key: skipped}


def test_plain_words_stand_for_claims_and_needs():
    """`"unbiased"` is a claim without a condition; one need may be a plain string, which is not a set of letters."""
    spec = MethodSpec(name="m", family="f", target="a:B", summary="", claims=("unbiased",), needs="discrete")
    assert spec.claims == (Claimed(name="unbiased"),)
    assert spec.needs == frozenset({"discrete"})
    conditional = Claimed(name="unbiased", when="n > 1")
    assert MethodSpec(name="m", family="f", target="a:B", summary="", claims=(conditional,)).claims == (conditional,)
