"""results: the door of scripts that read stored runs."""

from __future__ import annotations

import subprocess
import sys

import kexue_bench
from kexue_bench import results
from kexue_bench.api import Case, Instance, Job, Outcome, Plan
from kexue_bench.store.results import RunWriter


def test_a_script_finds_lists_and_reads_a_run(tmp_path):
    """The run that was written is the only one, the latest, and holds its outcome."""
    case = Case(
        family="f",
        task=Instance(name="t", target="x:Y"),
        task_version=1,
        method=Instance(name="m", target="x:Y"),
        stage="evaluate",
    )
    outcome = Outcome(key=case.key, status="ok")
    plan = Plan(jobs=(Job(cases=(case,)),))
    with RunWriter.create(tmp_path, name="one", plan=plan, environment={}) as writer:
        writer.append([outcome])
    (info,) = results.list_runs(tmp_path)
    assert info.path == writer.path == results.find_run("latest", tmp_path)
    run = results.load_run("latest", root=tmp_path)
    assert dict(run.outcomes) == {case.key: outcome}
    assert run.notes == ()


def test_it_is_the_reader_of_the_package_and_light():
    """One function under two names, and neither torch nor pandas is loaded for it."""
    assert (results.load_run, results.Run) == (kexue_bench.load_run, kexue_bench.Run)
    code = "import sys, kexue_bench.results; print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
