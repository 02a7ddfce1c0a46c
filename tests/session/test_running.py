"""What a run is made of before it begins: the plan of one case, the engine, the folder it goes on in."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import installed
import pytest
from tuned import registry, request

from kexue_bench.api import Case, Given, Instance, Job, Plan
from kexue_bench.catalog import selectors
from kexue_bench.catalog.plugins import Hooks, PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import PluginError, ResultsError, UsageError
from kexue_bench.plan.plan import Request
from kexue_bench.session import running
from kexue_bench.session.options import RunOptions
from kexue_bench.session.running import load, make_engine, plan_of, run_session
from kexue_bench.store.folder import Head
from kexue_bench.store.results import Run, RunWriter


def test_the_installed_plugins_are_loaded_with_those_that_are_named():
    """A named one that cannot be loaded is an error; without any family nothing can run."""
    found, _ = load()
    assert set(found.families) == set(installed.registry().families)
    with pytest.raises(PluginError, match="no_such_plugin"):
        load(["no_such_plugin"])
    with pytest.raises(UsageError, match="no family is registered"):
        load([f"no:{record.name}" for record in found.records])


def test_one_case_brings_the_tuning_that_it_rests_on():
    """And nothing else; the beginning of its key is enough."""
    asked, known, hooks = request("shifted", "plain"), registry(), Hooks([])
    whole = plan_of(asked, known, hooks)
    assert plan_of(asked, known, hooks, case="").by_key.keys() == whole.by_key.keys()
    tuned = next(case for case in whole.cases if "tuned" in case.options and case.method.name == "plain")
    plan = plan_of(asked, known, hooks, case=tuned.key[:10])
    assert {case.key for case in plan.cases} == {tuned.key, tuned.options["tuned"]}
    plain = next(case for case in whole.cases if "tuned" not in case.options and case.stage == "evaluate")
    assert [case.key for case in plan_of(asked, known, hooks, case=plain.key).cases] == [plain.key]
    with pytest.raises(UsageError, match="got 'xyz'"):
        plan_of(asked, known, hooks, case="xyz")


@pytest.mark.parametrize(("asked", "workers"), [(3, 3), (None, os.cpu_count())])
def test_an_engine_has_the_workers_that_were_asked_for(asked, workers):
    """As many as there are cores where nothing is said; an engine in this process has one."""
    with make_engine(RunOptions(jobs=asked), threads=1) as engine:
        assert engine.capacity == workers
    with make_engine(RunOptions(jobs=4, isolation="none"), threads=1) as engine:
        assert engine.capacity == 1


def plan(*methods: str) -> Plan:
    """One case a method."""
    cases = tuple(
        Case(
            family="f",
            task=Instance(name="t", target="m:T"),
            task_version=1,
            method=Instance(name=name, target=f"m:{name}"),
            stage="evaluate",
        )
        for name in methods
    )
    return Plan(jobs=(Job(cases=cases),))


FACTS = {"machine": "x", "cpu": "c", "python": "3.11", "packages": {"torch": "2"}, "git": "1234"}


@pytest.mark.parametrize(
    ("methods", "facts", "goes_on"),
    [
        (("b", "a"), FACTS, True),
        (("a", "b"), FACTS | {"git": "5678"}, True),
        (("a",), FACTS, False),
        (("a", "b", "c"), FACTS, False),
        (("a", "b"), FACTS | {"packages": {"torch": "3"}}, False),
        (("a", "b"), FACTS | {"cpu": "d"}, False),
    ],
    ids=["order", "commit", "fewer", "more", "torch", "processor"],
)
def test_a_folder_takes_outcomes_of_the_same_cases_and_software(methods, facts, goes_on):
    """Another torch or processor gives other numbers and gets a folder of its own; fingerprints tell of code."""
    earlier = Head(name="f", plan=plan("a", "b"), environment=FACTS)
    assert running._goes_on(earlier, plan(*methods), facts) is goes_on


def test_a_folder_takes_no_outcomes_of_another_content():
    """What it tells of the user's file would not be what they were made from."""

    def own(digest):
        task = Instance(name="t", target="m:T", files={"path": Given(place="/K", digest=digest, size=1)})
        (job,) = plan("a").jobs
        return Plan(jobs=(Job(cases=tuple(replace(case, task=task) for case in job.cases)),))

    earlier = Head(name="f", plan=own("1"), environment=FACTS)
    assert running._goes_on(earlier, own("1"), FACTS)
    assert not running._goes_on(earlier, own("2"), FACTS)


def test_what_a_resume_replays_and_why_the_rest_runs_is_told():
    """Counts that add up, the most frequent reason first, and the folder if it is new."""
    earlier = Run(path=Path("0003-f"), plan=plan("a"), environment={}, outcomes={})
    again = Counter({"": 80, "cancelled": 1, "code or libraries changed": 3})
    assert running._resume_note(earlier, again, in_place=True) == (
        "resuming 0003-f: 80 replayed, 4 to run (3 code or libraries changed, 1 cancelled)"
    )
    assert running._resume_note(earlier, Counter({"": 2}), in_place=False) == (
        "resuming 0003-f: 2 replayed, nothing to run, in a new folder"
    )


def test_the_latest_run_of_a_new_folder_is_none(tmp_path):
    """`--resume` may stand in a command from its first use on; another name must exist."""
    assert running._place(RunOptions(output=tmp_path)) is None
    assert running._place(RunOptions(output=tmp_path, resume="latest")) is None
    with pytest.raises(UsageError, match="0007"):
        running._place(RunOptions(output=tmp_path, resume="0007"))
    with RunWriter.create(tmp_path, name="f", plan=plan("a"), environment={}) as writer:
        pass
    assert running._place(RunOptions(output=tmp_path, resume="latest")) == writer.path
    assert running._place(RunOptions(output=tmp_path)) is None


def test_a_resume_that_asks_for_nothing_takes_over_the_stored_request(tmp_path):
    """And keeps its own otherwise; a run of claims is resumed by `verify`, which takes over no other."""
    asked, blank = request("shifted", "plain"), Request()
    latest = RunOptions(output=tmp_path, resume="latest")
    assert running.taken_over(blank, latest) == blank
    with RunWriter.create(tmp_path, name="f", plan=plan_of(asked, registry(), Hooks([])), environment={}):
        pass
    assert running.taken_over(blank, latest) == asked
    assert running.taken_over(blank, RunOptions(output=tmp_path)) == blank
    other = Request(families=("toy",))
    assert running.taken_over(other, latest) == other
    checks = Request(stages=("verify",))
    assert running.taken_over(checks, latest) == checks
    claims = replace(plan("a"), request=Request(stages=("verify",), methods=("a",)).record())
    with RunWriter.create(tmp_path, name="f", plan=claims, environment={}):
        pass
    assert running.taken_over(checks, latest).methods == selectors.read(["a"])
    with pytest.raises(UsageError, match="write `kexue-bench verify --resume`"):
        running.taken_over(blank, latest)


def test_a_resume_locks_a_run_before_it_reads_it(tmp_path, monkeypatch):
    """Otherwise the driver that is about to finish stores outcomes after they were read, and they run a second time."""
    asked, known, hooks = request("shifted", "plain"), registry(), Hooks([])
    facts = running._environment(hooks)
    with RunWriter.create(tmp_path, name="f", plan=plan_of(asked, known, hooks), environment=facts) as other:
        with pytest.raises(ResultsError, match="another process is writing"):
            run_session(asked, RunOptions(output=tmp_path, resume="latest", quiet=True), known, hooks)
        path = other.path

    class ReadError(Exception):
        """The moment at which the folder is read."""

    def read(place: Path) -> Run:
        with pytest.raises(ResultsError, match="another process is writing"):
            RunWriter.open(place)
        raise ReadError

    monkeypatch.setattr(running, "load_run", read)
    with pytest.raises(ReadError):
        run_session(asked, RunOptions(output=tmp_path, resume="latest", quiet=True), known, hooks)
    RunWriter.open(path).close()
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_workers_import_what_is_not_installed_wherever_they_run(monkeypatch, tmp_path):
    """Files by absolute path, modules by name; neither what is installed nor what is broken."""
    monkeypatch.chdir(tmp_path)
    records = [
        PluginRecord(name="one", origin="one", load="one.py"),
        PluginRecord(name="two", origin="two", load="pack.two"),
        PluginRecord(name="three", origin="three", load="three", distribution="three 1.0"),
        PluginRecord(name="four", origin="four", load="four.py", status="broken"),
    ]
    assert running._worker_plugins(Registry(records)) == (str(tmp_path.resolve() / "one.py"), "pack.two")


def test_a_run_is_named_for_its_families():
    """Each once, in the order of the plan."""
    assert running._name(plan("a", "b")) == "f"
