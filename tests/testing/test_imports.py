"""Files of other programs, written by them, become runs of ours with the same seconds."""

import json
import statistics
import subprocess
import sys

import pytest
from installed import registry

from kexue_bench.errors import UsageError
from kexue_bench.testing import imports

THEIRS = """
import pytest

def test_sum(benchmark):
    benchmark.group = "builtin"
    benchmark.pedantic(sum, args=(range(99),), rounds=4, iterations=3)

def test_max(benchmark):
    benchmark.pedantic(max, args=(range(99),), rounds=5)
"""


def test_a_file_of_pytest_benchmark_has_its_numbers(tmp_path):
    """Written by its own plugin: every round, and the groups as tasks."""
    pytest.importorskip("pytest_benchmark")
    (tmp_path / "test_theirs.py").write_text(THEIRS)
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-json=t.json", "test_theirs.py"]
    subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, check=True)
    sheet = imports.read(tmp_path / "t.json")
    rows = json.loads((tmp_path / "t.json").read_text())["benchmarks"]
    assert [(one.family, one.task, one.method) for one in sheet.times] == [
        ("", "builtin", "test_sum"),
        ("", "benchmarks", "test_max"),
    ]
    assert [one.processes for one in sheet.times] == [(tuple(row["stats"]["data"]),) for row in rows]
    assert [one.inner for one in sheet.times] == [3, 1]
    plan, outcomes = imports.as_run(sheet, registry())
    assert [case.family for case in plan.cases] == ["imported", "imported"]
    (row,) = outcomes[0].measurements
    assert row.value == pytest.approx(statistics.geometric_mean(rows[0]["stats"]["data"]))
    assert row.series.values == tuple(rows[0]["stats"]["data"])


def test_a_file_of_pyperf_has_its_numbers(tmp_path):
    """Written by its own classes: one process for each run with values; calibration has none."""
    pyperf = pytest.importorskip("pyperf")
    values = ([1e-6, 2e-6], [3e-6, 1.5e-6])
    runs = [pyperf.Run([], warmups=[(1, 9e-6)], metadata={"name": "mine", "loops": 8}, collect_metadata=False)]
    runs += [pyperf.Run(v, metadata={"name": "mine", "loops": 8}, collect_metadata=False) for v in values]
    pyperf.BenchmarkSuite([pyperf.Benchmark(runs)]).dump(str(tmp_path / "p.json"))
    (one,) = imports.read(tmp_path / "p.json").times
    assert (one.task, one.method, one.inner) == ("benchmarks", "mine", 8)
    assert one.processes == tuple(map(tuple, values))
    plan, _ = imports.as_run(imports.read(tmp_path / "p.json"), registry())
    assert [case.replicates for case in plan.cases] == [(0,), (1,)]


def document(**extra):
    """A file with one benchmark."""
    stats = {"data": [4e-6, 6e-6, 8e-6], "median": 6e-6, "iterations": 2}
    return {"benchmarks": [{"name": "test_it[a]", "group": None, "extra_info": extra, "stats": stats}]}


def read(tmp_path, content):
    """The benchmarks of a document."""
    (tmp_path / "f.json").write_text(json.dumps(content))
    return imports.read(tmp_path / "f.json")


def test_what_was_ours_is_ours_again(tmp_path):
    """Method and task with every parameter, the seconds of a draw, and the processes in which they were taken."""
    ours = {
        "family": "gradients",
        "task": "bernoulli-toy[power=3]",
        "method": "rloo[n=4]",
        "units": 2,
        "rounds": [1, 2],
    }
    plan, outcomes = imports.as_run(read(tmp_path, document(**ours, dtype="float64")), registry())
    first, second = plan.cases
    assert (first.task.label, first.task.params["power"], first.method.params["n"]) == (
        "bernoulli-toy[power=3]",
        3.0,
        4,
    )
    assert (first.task_version, first.dtype) == (registry().tasks["gradients", "bernoulli-toy"].version, "float64")
    assert (first.replicates, second.replicates) == ((0,), (1,))
    assert [outcome.measurements[0].series.values for outcome in outcomes] == [(2e-6,), (3e-6, 4e-6)]


def test_benchmarks_that_were_timed_one_by_one_share_no_group(tmp_path):
    """A ratio is formed inside a group only, round by round."""
    content = document()
    content["benchmarks"] *= 2
    _, outcomes = imports.as_run(read(tmp_path, content), registry())
    assert len({outcome.measurements[0].series.group for outcome in outcomes}) == len(outcomes) == 2


@pytest.mark.parametrize("changed", [{"family": "gone"}, {"method": "gone"}, {"task": "gone"}, {"method": "rloo[n=x]"}])
def test_what_is_not_installed_here_keeps_its_names(tmp_path, changed):
    """The file can be read wherever it is taken."""
    ours = {"family": "gradients", "task": "bernoulli-toy", "method": "rloo", **changed}
    plan, _ = imports.as_run(read(tmp_path, document(**ours)), registry())
    case = plan.cases[0]
    assert (case.family, case.task.label, case.method.label) == (ours["family"], ours["task"], ours["method"])


def test_without_single_times_the_median_is_kept(tmp_path):
    """As `--benchmark-save` writes files."""
    content = document()
    del content["benchmarks"][0]["stats"]["data"]
    assert read(tmp_path, content).times[0].processes == ((6e-6,),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a JSON file"),
        ("[]", "not a JSON file"),
        ('{"benchmarks": 3}', "not a JSON file"),
        ('{"benchmarks": [{"name": "a", "stats": {"median": "x"}}]}', "not a JSON file"),
        ('{"benchmarks": [{"name": "a", "stats": {"data": [0.0]}}]}', "positive and finite"),
        ('{"benchmarks": [{"metadata": {"name": "a", "unit": "byte"}, "runs": [{"values": [1]}]}]}', "not in seconds"),
        ('{"benchmarks": []}', "has no benchmark"),
        ("[" * 100_000, "not a JSON file"),
    ],
)
def test_other_files_are_refused(tmp_path, text, words):
    """With what was found and how to make one."""
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(UsageError, match=words):
        imports.read(tmp_path / "f.json")
