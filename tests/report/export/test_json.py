"""json: one document that follows its schema and keeps every bit."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import jsonschema
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written import render_rows, row

from kexue_bench.analysis.comparison import read
from kexue_bench.api import Case, FamilySpec, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.catalog.metrics import CORE_METRICS, keyed
from kexue_bench.errors import ResultsError
from kexue_bench.store import codec
from kexue_bench.store.results import RunWriter, load_run, schema

floats = st.floats(allow_nan=False)


def test_json_follows_its_schema():
    """The document validates against the schema that ships, and the schema refuses a row without its metric."""
    rows = [row(), row(value=math.inf, flags=[], verdict="better", ratio=0.2, rank_group="a")]
    document = json.loads(render_rows(rows, "json", run=["0007-x"]))
    jsonschema.Draft202012Validator.check_schema(schema("rows"))
    jsonschema.validate(document, schema("rows"))
    assert document["run"] == ["0007-x"]
    del document["rows"][0]["metric"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema("rows"))


def test_a_real_comparison_and_a_real_frame_follow_the_schema(tmp_path):
    """What `compare --format json` and `export --what frame` write validates, failures among the rows."""
    method = Instance(name="rloo", params={"n": 2}, target="a.b:M", label="rloo[n=2]")
    task = Instance(name="toy", target="a.b:T", label="toy")
    shared = {"family": "gradients", "task": task, "task_version": 1, "stage": "evaluate"}
    good, bad = Case(method=method, **shared), Case(method=replace(method, name="disarm", label="disarm"), **shared)
    plan = Plan(jobs=(Job(cases=(good, bad)),), baselines={"gradients": method})
    measured = Measurement(metric="variance", value=0.5, low=0.4, high=math.inf, flags=frozenset({"bound"}), n=64)
    with RunWriter.create(tmp_path, name="x", plan=plan, environment={}) as writer:
        writer.append([Outcome(key=good.key, status="ok", measurements=(measured,))])
        writer.append([Outcome(key=bad.key, status="crashed", reason="SIGSEGV")])
    run = load_run("latest", tmp_path)
    family = FamilySpec(
        name="gradients",
        title="",
        summary="",
        contract="a.b:C",
        precision_metric="variance",
        baseline="rloo",
        headline=("variance",),
    )
    metrics = keyed(CORE_METRICS)
    tabulation = read([run], metrics=metrics, families={"gradients": family}, tasks={})
    for rows in (tabulation.rows(), run.to_frame()):
        document = json.loads(render_rows(rows, "json", run=[run.path.name]))
        assert {row["status"] for row in document["rows"]} == {"ok", "crashed"}
        jsonschema.validate(document, schema("rows"))


@given(st.text(), floats | st.none())
def test_json_survives_the_round_trip(text, value):
    """Any text and any number comes back as it was; the text is strict JSON in ASCII."""
    out = render_rows([{"reason": text, "value": value}], "json")
    assert out.isascii()
    assert codec.loads(out)["rows"] == [{"reason": text, "value": value}]


def test_json_turns_the_texts_of_a_frame_into_objects():
    """A frame holds parameters and flags as text; the document holds them as what they are."""
    frame = pd.DataFrame([{"task_params": '{"t":0.5}', "labels": "{}", "flags": "exact bound", "value": math.nan}])
    assert json.loads(render_rows(frame, "json"))["rows"] == [
        {"task_params": {"t": 0.5}, "labels": {}, "flags": ["exact", "bound"], "value": None}
    ]
    with pytest.raises(ResultsError, match="JSON objects"):
        render_rows([{"task_params": "n=2"}], "json")
