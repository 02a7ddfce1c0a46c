"""codec: values as strict JSON and back."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuned import execute, registry, request, tunings

from kexue_bench.api import Case, Evidence, Instance, Job, Measurement, Outcome, Plan, Series
from kexue_bench.plan.plan import build_plan
from kexue_bench.store.codec import CodecError, decode, dumps, encode, loads, seal, unseal

floats = st.floats(allow_nan=False)
scalars = st.one_of(st.booleans(), st.integers(-(2**60), 2**60), floats, st.text(max_size=8))
instances = st.builds(
    Instance,
    name=st.text(max_size=8),
    params=st.dictionaries(st.text(max_size=4), scalars, max_size=3),
    target=st.just("module:Class"),
    label=st.text(max_size=8),
)
cases = st.builds(
    Case,
    family=st.text(max_size=4),
    task=instances,
    task_version=st.integers(1, 9),
    method=instances,
    stage=st.sampled_from(["evaluate", "time"]),
    replicates=st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
    seed=st.integers(0, 2**63 - 1),
    options=st.dictionaries(st.text(max_size=4), scalars, max_size=2),
)
series = st.builds(
    Series, kind=st.sampled_from(["dyadic", "rounds"]), values=st.lists(st.none() | floats, max_size=4).map(tuple)
)
measurements = st.builds(
    Measurement,
    metric=st.text(max_size=6),
    value=st.none() | floats,
    low=st.none() | floats,
    flags=st.frozensets(st.text(max_size=4), max_size=3),
    series=st.none() | series,
)
outcomes = st.builds(
    Outcome,
    key=st.text(max_size=16),
    status=st.sampled_from(["ok", "failed", "timeout"]),
    reason=st.text(max_size=20),
    measurements=st.lists(measurements, max_size=3).map(tuple),
    cost=st.dictionaries(st.text(max_size=4), floats, max_size=2),
)


@given(outcomes)
def test_outcome_survives_the_round_trip(outcome):
    """Decoding what was encoded gives an equal value, for any text, float and None."""
    assert decode(Outcome, loads(dumps(outcome))) == outcome


@given(cases)
def test_case_keeps_its_key_across_the_round_trip(case):
    """The key is identity: it does not change when a case crosses a pipe."""
    assert decode(Case, loads(dumps(case))).key == case.key


def test_plan_survives_the_round_trip():
    """Nested tuples, mappings and outcomes come back as they were."""
    method = Instance(name="m", target="a:B", params={"n": 2, "t": 1.0, "on": True, "kind": "x"})
    case = Case(family="f", task=method, task_version=1, method=method, stage="evaluate")
    plan = Plan(
        jobs=(Job(cases=(case,), exclusive=True, group="g"),),
        settled=(Outcome(key=case.key, status="unsupported"),),
        settled_cases=(case,),
        baselines={"f": method},
        request={"methods": ["m"], "seed": 0},
    )
    assert dumps(decode(Plan, loads(dumps(plan)))) == dumps(plan)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_floats_are_tagged_objects(value):
    """A line stays strict JSON, and the float comes back as it was."""
    text = dumps({"x": value})
    json.loads(text, parse_constant=pytest.fail)
    back = loads(text)["x"]
    assert back == value or (math.isnan(back) and math.isnan(value))


def test_evidence_stays_evidence():
    """A subclass is restored where its base is declared."""
    outcome = Outcome(key="k", status="ok", measurements=(Evidence(metric="bias", value=0.1, claim="unbiased", p=0.5),))
    assert decode(Outcome, loads(dumps(outcome))) == outcome


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "token NaN"),
        ('{"a": 1e999}', "out of range"),
        ('{"a": 9223372036854775808}', "64 bits"),
        ('{"a": -1' + "0" * 5000 + "}", "64 bits"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": {"$f": "eval"}}', "number tag"),
        ("[" * 100_000, "not JSON"),
        ("{", "not JSON"),
    ],
)
def test_hostile_json_is_refused(text, message):
    """Tokens beyond the standard, overflow, duplicate keys, foreign tags and deep nesting are errors of one kind."""
    with pytest.raises(CodecError, match=message):
        loads(text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"key": "k"}, "status"),
        ({"key": "k", "status": "fine"}, "Outcome.status"),
        ({"key": 3, "status": "ok"}, "Outcome.key"),
        ({"key": "k", "status": "ok", "surprise": 1}, "surprise"),
        ({"key": "k", "status": "ok", "measurements": [{"metric": "m", "value": "high"}]}, r"measurements\[0\].value"),
        (
            {"key": "k", "status": "ok", "measurements": [{"metric": "m", "value": 1}, {"metric": "m", "n": 0.5}]},
            r"^Outcome.measurements\[1\].n: expected int",
        ),
        ({"key": "k", "status": "ok", "cost": {"evaluations": 10**400}}, "Outcome.cost.evaluations: .* out of range"),
        ({"key": "k", "status": "ok", "attempt": 2**63}, "Outcome.attempt: .* 64 bits"),
        ({"key": "k", "status": "ok", "chosen": {"n": -(2**63) - 1}}, "Outcome.chosen.n: .* 64 bits"),
        ({"key": "k", "status": "ok", "$kind": []}, "unknown kind"),
        ({"key": "k", "status": [], "attempt": 1}, "Outcome.status"),
        ({"key": "k", "status": "ok", "attempt": True}, "Outcome.attempt"),
        ({"$kind": "Plan", "key": "k", "status": "ok"}, "unknown kind"),
        ([], "expected an object"),
    ],
)
def test_wrong_documents_name_the_place(data, message):
    """A missing, foreign or wrongly typed field is named by its path."""
    with pytest.raises(CodecError, match=message):
        decode(Outcome, data)


EXAMPLE = Case(
    family="f",
    task=Instance(name="t", target="a:B"),
    task_version=1,
    method=Instance(name="m", target="a:B"),
    stage="evaluate",
)


def test_encode_refuses_what_json_cannot_hold():
    """Only plain data and values of the api are stored."""
    with pytest.raises(CodecError, match="object"):
        encode(object())
    assert encode([2**63 - 1, -(2**63)]) == [2**63 - 1, -(2**63)]
    with pytest.raises(CodecError, match="integer of 64 bits"):
        encode(2**63)
    with pytest.raises(CodecError, match=r"replicates\[1\]: .* 64 bits"):
        decode(Case, encode(EXAMPLE) | {"replicates": [0, 2**64]})


def test_a_damaged_message_is_known():
    """Every single character of a sealed message that is replaced or cut off is noticed."""
    message = seal({"value": 0.1, "key": "ab"})
    assert unseal(message) == {"value": 0.1, "key": "ab"}
    for at in range(len(message)):
        for damaged in (message[:at], message[:at] + ("0" if message[at] != "0" else "1") + message[at + 1 :]):
            with pytest.raises(CodecError):
                unseal(damaged)


def test_an_outcome_with_a_choice_survives_the_journal(tmp_path):
    """Values keep their types."""
    finished = execute(build_plan(request("shifted", tune=8), registry()), tmp_path)
    assert isinstance(tunings(finished)["shifted"], Outcome)
    assert tunings(finished)["shifted"].chosen == {"width": 4.0, "task.lr": 0.1}
