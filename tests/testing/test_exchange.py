"""The times of a run in the files of others, checked by the programs that read them."""

import json
import statistics
import subprocess
import sys
from dataclasses import replace

import pytest

from kexue_bench.api import Case, Instance, Job, Measurement, Outcome, Plan, Series
from kexue_bench.errors import UsageError
from kexue_bench.store.results import Run
from kexue_bench.testing import exchange

ROUNDS = ((2e-6, 4e-6, None, 3e-6), (2.5e-6, 3.5e-6, 3e-6, 2e-5))
"""Seconds of a draw in two processes; one sample was lost."""
UNITS, INNER = 8, 5


def stored(tmp_path, plan, outcomes):
    """A run as it is read back."""
    return Run(
        path=tmp_path / "0001-20261128T071500Z-gradients",
        plan=plan,
        outcomes={outcome.key: outcome for outcome in outcomes},
        environment={"machine": "x86_64", "cpu": "a", "python": "CPython 3.11", "git": {"commit": "1f", "dirty": True}},
    )


def case(method, process, **more):
    """A timed case of the toy."""
    return Case(
        family="gradients",
        task=Instance(name="toy", target="a:B", label="toy"),
        task_version=1,
        method=Instance(name=method, target="a:B", label=method),
        stage="time",
        replicates=(process,),
        **more,
    )


@pytest.fixture
def run(tmp_path):
    """Two methods in two processes each, and the copy of the first."""
    cases = [case(method, process) for method in ("slow", "quick") for process in (0, 1)]
    cases.append(case("slow", 0, copy=1))
    rows = {
        each.key: Series(
            kind="rounds",
            values=tuple(v and v * (1 if each.method.name == "slow" else 0.5) for v in ROUNDS[each.replicates[0]]),
            batch=UNITS * INNER,
        )
        for each in cases
    }
    outcomes = [
        Outcome(
            key=key,
            status="ok",
            cost={"inner": float(INNER)},
            measurements=(Measurement(metric="time", value=3e-6, unit="s", series=series),),
        )
        for key, series in rows.items()
    ]
    return stored(tmp_path, Plan(jobs=(Job(cases=tuple(cases)),)), outcomes)


def test_seconds_are_those_of_a_call(run):
    """A draw times the draws of a call; lost samples are left out, and so is the copy."""
    slow, quick = exchange.timed(run)
    assert (slow.name, slow.group, slow.inner, slow.units) == ("slow-toy", "gradients/toy", INNER, UNITS)
    assert slow.processes == tuple(tuple(v * UNITS for v in part if v is not None) for part in ROUNDS)
    assert quick.processes[0][0] == pytest.approx(UNITS * 1e-6)


def test_statistics_are_those_that_pytest_benchmark_computes(run):
    """Of the same values, by its own class; quartiles are defined in another way there and are not compared."""
    stats = pytest.importorskip("pytest_benchmark.stats").Stats()
    row = json.loads(exchange.pytest_benchmark(run))["benchmarks"][0]["stats"]
    for value in row["data"]:
        stats.update(value)
    for name in ("min", "max", "mean", "stddev", "rounds", "median", "total", "ops", "stddev_outliers"):
        assert row[name] == pytest.approx(getattr(stats, name)), name
    assert row["hd15iqr"] < row["max"], "one value is far out"
    assert row["iterations"] == INNER


def test_pytest_benchmark_compares_the_file(run, tmp_path):
    """Its own command lists both methods, and the ratio of their medians."""
    pytest.importorskip("pytest_benchmark")
    (tmp_path / "times.json").write_text(exchange.pytest_benchmark(run))
    command = ["-m", "pytest_benchmark", "compare", str(tmp_path / "times.json"), "--columns=median"]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ratios = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if "-toy" in line}
    assert {name.rpartition("/")[2]: ratio for name, ratio in ratios.items()} == {
        "quick-toy": "(1.0)",
        "slow-toy": "(2.00)",
    }


def test_pyperf_compares_the_file(run, tmp_path):
    """Its own command finds the methods of both files, each process as a run."""
    pyperf = pytest.importorskip("pyperf")
    text = exchange.pyperf(run)
    (tmp_path / "old.json").write_text(text)
    halved = text.replace("slow-toy", "other").replace("quick-toy", "slow-toy")
    (tmp_path / "new.json").write_text(halved)
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "old.json"))
    slow = suite.get_benchmark("slow-toy")
    assert slow.get_nrun() == 2
    assert slow.mean() == pytest.approx(statistics.fmean(v * UNITS for part in ROUNDS for v in part if v is not None))
    command = ["-m", "pyperf", "compare_to", str(tmp_path / "old.json"), str(tmp_path / "new.json")]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "slow-toy" in done.stdout


def test_names_of_two_families_stay_apart(run):
    """Pyperf refuses a file with the same name twice."""
    plan = run.plan
    other = replace(case("slow", 0), family="logdet")
    outcome = replace(run.outcomes[plan.cases[0].key], key=other.key)
    both = replace(
        run, plan=Plan(jobs=(*plan.jobs, Job(cases=(other,)))), outcomes={**run.outcomes, other.key: outcome}
    )
    names = [row["metadata"]["name"] for row in json.loads(exchange.pyperf(both))["benchmarks"]]
    assert sorted(names) == ["gradients/slow-toy", "logdet/slow-toy", "quick-toy"]


def test_a_run_without_times_is_refused(tmp_path):
    """And told how to get some."""
    alone = replace(case("slow", 0), stage="evaluate")
    run = stored(tmp_path, Plan(jobs=(Job(cases=(alone,)),)), [Outcome(key=alone.key, status="ok")])
    with pytest.raises(UsageError, match="--stage time"):
        exchange.pyperf(run)
