"""frame: one tidy row for each measurement, and one for each case that measured nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from tuned import execute, registry, request

from kexue_bench.api import Case, Evidence, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.plan.plan import build_plan
from kexue_bench.store.frame import COLUMNS, to_frame
from kexue_bench.store.results import Run

SPECIFIED = (
    "run key family task task_params method method_params stage claim replicate copy labels device dtype threads "
    "metric value ci_low ci_high n unit flags status reason step seconds"
)


def make_case(method="rloo", **changes) -> Case:
    """A case of a toy."""
    settings = {"stage": "evaluate", "dtype": "float64"} | changes
    return Case(
        family="gradients",
        task=Instance(name="toy", params={"t": 0.45, "bits": 200}, target="a.b:Toy"),
        task_version=1,
        method=Instance(name=method, params={"n": 2}, target="a.m:M"),
        **settings,
    )


def make_run(*pairs, name="0001-x") -> Run:
    """A run of (case, outcome fields)."""
    cases = [case for case, _ in pairs]
    outcomes = {case.key: Outcome(key=case.key, **fields) for case, fields in pairs}
    return Run(path=Path(name), plan=Plan(jobs=(Job(cases=tuple(cases)),)), environment={}, outcomes=outcomes)


def test_the_columns_are_the_specified_ones():
    """Names and order, for an empty run as well."""
    assert " ".join(COLUMNS) == SPECIFIED
    empty = make_run().to_frame()
    assert (" ".join(empty.columns), len(empty)) == (SPECIFIED, 0)


def test_a_measurement_is_a_row():
    """Every field of the case, the measurement and the outcome stands in its column."""
    row = Measurement(
        metric="variance",
        value=1.5,
        low=1.0,
        high=2.0,
        n=64,
        unit="nats",
        labels={"reading": "tuned"},
        flags=frozenset({"heavy-tail", "bound"}),
    )
    case = make_case(replicates=(3,), threads=2)
    frame = make_run((case, {"status": "ok", "measurements": (row,)})).to_frame()
    (record,) = frame.to_dict("records")
    assert json.loads(record.pop("task_params")) == {"bits": 200, "t": 0.45}
    assert math.isnan(record.pop("seconds"))
    assert pd.isna(record.pop("step"))
    assert record == {
        "run": "0001-x",
        "key": case.key,
        "family": "gradients",
        "task": "toy",
        "method": "rloo",
        "method_params": '{"n":2}',
        "stage": "evaluate",
        "claim": "",
        "replicate": 3,
        "copy": 0,
        "labels": '{"reading":"tuned"}',
        "device": "cpu",
        "dtype": "float64",
        "threads": 2,
        "metric": "variance",
        "value": 1.5,
        "ci_low": 1.0,
        "ci_high": 2.0,
        "n": 64,
        "unit": "nats",
        "flags": "bound heavy-tail",
        "status": "ok",
        "reason": "",
    }


def test_a_case_without_measurements_is_a_row_that_says_why():
    """A failure is visible in the frame: status, reason, an empty metric and no number."""
    frame = make_run((make_case(), {"status": "crashed", "reason": "SIGSEGV"})).to_frame()
    assert frame[["status", "reason", "metric", "n"]].to_numpy().tolist() == [["crashed", "SIGSEGV", "", 0]]
    assert frame["value"].isna().all()


def test_the_types_of_the_columns_do_not_depend_on_the_rows():
    """Empty, failed and measured frames have the same dtypes, so that they can be joined."""
    row = Measurement(metric="elbo", value=1.0, replicate=1, point=10)
    frames = [
        make_run().to_frame(),
        make_run((make_case(), {"status": "failed"})).to_frame(),
        make_run((make_case(), {"status": "ok", "measurements": (row,)})).to_frame(),
    ]
    assert all((frame.dtypes == frames[0].dtypes).all() for frame in frames)


def test_replicates_belong_to_rows_or_to_cases():
    """A row of a stack has its own replicate; a row of a case with one replicate has that; else there is none."""
    stack = make_case(replicates=(0, 1))
    rows = (Measurement(metric="elbo", value=1.0, replicate=1), Measurement(metric="memory", value=2.0))
    single = make_case("exact", replicates=(7,))
    frame = make_run(
        (stack, {"status": "ok", "measurements": rows}), (single, {"status": "ok", "measurements": rows[1:]})
    ).to_frame()
    assert frame["replicate"].tolist() == [1, pd.NA, 7]


def test_a_curve_over_seconds_is_steps_times_the_median_time_of_a_step():
    """Points of a curve get seconds where their method was timed; final values and untimed methods get none."""
    curve = (
        Measurement(metric="elbo", value=1.0, point=100),
        Measurement(metric="elbo", value=2.0, point=200),
        Measurement(metric="elbo", value=2.0),
    )
    times = [(make_case(stage="time", replicates=(p,)), t) for p, t in enumerate((0.1, 0.3, 0.2))]
    copy = make_case(stage="time", copy=1)
    frame = make_run(
        (make_case(), {"status": "ok", "measurements": curve}),
        *((case, {"status": "ok", "measurements": (Measurement(metric="time", value=t),)}) for case, t in times),
        (copy, {"status": "ok", "measurements": (Measurement(metric="time", value=99.0),)}),
        (make_case("exact"), {"status": "ok", "measurements": curve[:1]}),
    ).to_frame()
    seconds = frame["seconds"].tolist()
    assert seconds[:2] == pytest.approx([20.0, 40.0], rel=1e-15)
    assert all(math.isnan(value) for value in seconds[2:])


def test_evidence_names_its_claim():
    """A row of a check says which claim, whatever case it stands in."""
    evidence = Evidence(metric="bias", value=0.0, claim="unbiased")
    frame = make_run(
        (make_case(), {"status": "ok", "measurements": (evidence, Measurement(metric="mse", value=1.0))})
    ).to_frame()
    assert frame["claim"].tolist() == ["unbiased", ""]


def test_frames_of_several_runs_stand_below_each_other():
    """The column `run` tells them apart."""
    runs = [make_run((make_case(), {"status": "failed"}), name=name) for name in ("0001-a", "0002-b")]
    assert to_frame(runs)["run"].tolist() == ["0001-a", "0002-b"]


def test_the_frame_tells_tuned_rows_apart(tmp_path):
    """Their method parameters are those they ran with."""
    frame = execute(build_plan(request("shifted", tune=8), registry()), tmp_path).to_frame()
    params = frame[(frame["stage"] == "evaluate") & (frame["metric"] == "loss")]["method_params"].unique()
    assert {json.loads(text).get("tuned"): json.loads(text)["width"] for text in params} == {None: 1.0, True: 4.0}
