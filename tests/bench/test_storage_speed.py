"""Speed of the journal, the run folder and the frame: `pytest tests/bench`; each figure beside its target.

Costs are divided by those of plain JSON on the same data in the same run, so that a slow machine is not a slow harness.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

import pytest
from disks import NoSync

from kexue_bench.api import Case, Instance, Job, Measurement, Outcome, Plan, Series
from kexue_bench.store import codec
from kexue_bench.store.results import RunWriter, load_run

COUNT = 2000


def outcome(case: Case) -> Outcome:
    """An outcome as an evaluation leaves it: eight rows, one of them with its units."""
    rows = tuple(Measurement(metric=f"m{i}", value=0.1234567 * i, low=0.1, high=0.9, n=4096) for i in range(7))
    units = Series(kind="dyadic", values=tuple(0.01234567 * i for i in range(32)), batch=512, looks=3)
    last = Measurement(metric="variance", value=0.5, low=0.4, high=0.6, n=4096, series=units)
    return Outcome(key=case.key, status="ok", measurements=(*rows, last), cost={"evaluations": 2.0}, seconds=0.5)


@pytest.fixture
def outcomes():
    """Outcomes of as many cases, and their plan."""
    method = Instance(name="method", target="module:Class")
    cases = tuple(
        Case(family="f", task=method, task_version=1, method=method, stage="evaluate", seed=seed)
        for seed in range(COUNT)
    )
    return Plan(jobs=tuple(Job(cases=(case,)) for case in cases)), [outcome(case) for case in cases]


def best_of(count: int, call) -> float:
    """Shortest of `count` calls in seconds: the machine's noise only adds."""
    times = []
    for _ in range(count):
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return min(times)


def test_writing_and_reading_against_plain_json(outcomes, tmp_path, capsys):
    """A durable, checked, typed record costs a bounded multiple of dumping and loading the same plain data."""
    plan, found = outcomes
    plain = [codec.encode(one) for one in found]
    lines = [json.dumps(one) for one in plain]
    dump = best_of(3, lambda: [json.dumps(one) for one in plain])
    load = best_of(3, lambda: [json.loads(line) for line in lines])
    with RunWriter.create(tmp_path, name="x", plan=plan, environment={}, files=NoSync()) as writer:
        begin = perf_counter()
        for one in found:
            writer.append([one])
        write = perf_counter() - begin
    read = best_of(3, lambda: load_run(writer.path))
    run = load_run(writer.path)
    frame = best_of(3, run.to_frame)
    with capsys.disabled():
        sys.stdout.write(
            f"\n  append without sync: {COUNT / write:,.0f} outcomes/s, {write / dump:.1f}x json.dumps (target 5,000/s)"
            f"\n  load of a run: {read / COUNT * 1e6:.0f} us an outcome, {read / load:.1f}x json.loads"
            f"\n  to_frame: {frame / len(run.to_frame()) * 1e6:.1f} us a row (target 10)\n"
        )
    assert write < 20 * dump
    assert read < 30 * load
    assert frame < 30 * load
