"""The runs by which `doctor` checks a machine."""

from __future__ import annotations

import tempfile

import pytest

from kexue_bench.api import Outcome, Plan
from kexue_bench.selfcheck import examination


@pytest.mark.slow
def test_this_machine_is_measured(tmp_path, monkeypatch):
    """Every line is there, known answers are exact, nothing is left behind; how quiet the machine is goes untested."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = {check.name: check for check in examination.checks(precision=0.5, processes=2, seed=0)}
    assert found["null method"].ok
    assert found["oracle method"].ok
    assert found["clock step"].values["seconds"] < 1e-3
    assert found["overhead, one process"].values["seconds"] < found["overhead, a process each"].values["seconds"]
    assert 1.5 < found["work done twice"].values["ratio"] < 2.5
    assert found["false alarms (A/A)"].values["tests"] == 24
    assert {"empty call", "pre-empted samples", "noise floor of times", "requested precision"} <= set(found)
    assert [path for path in tmp_path.iterdir() if path.name.startswith("kexue-bench-doctor")] == []


def test_a_stopwatch_runs_from_the_first_outcome_to_the_last(monkeypatch):
    """The start of the engine, before the first, is not overhead of a case."""
    now = iter([5.0, 6.0, 8.5])
    monkeypatch.setattr(examination.time, "perf_counter", lambda: next(now))
    watch = examination._Stopwatch()
    assert watch.elapsed == 0
    watch.started(Plan(jobs=()))
    for _ in range(3):
        watch.finished(Outcome(key="k", status="ok"), None)
    watch.done("")
    assert watch.elapsed == 3.5
