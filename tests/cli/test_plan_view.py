"""What --dry-run prints."""

from __future__ import annotations

from kexue_bench.api import Case, Instance, Job, Outcome, Plan
from kexue_bench.cli.plan_view import print_plan
from kexue_bench.plan.forecast import Forecast


def test_a_dry_run_runs_nothing(cli, tmp_path):
    """The plan is printed and no folder is made."""
    result = cli("compare", "-n", "--isolation", "none")
    assert result.code == 0
    assert "digits-vae" in result.out
    assert list(tmp_path.iterdir()) == []


def case(method, task="t", stage="evaluate", replicate=0):
    """One case of a family."""
    return Case(
        family="f",
        task=Instance(name=task, target="m:T", label=task),
        task_version=1,
        method=Instance(name=method, target="m:A", label=method),
        stage=stage,
        replicates=(replicate,),
    )


def test_a_row_counts_what_runs_and_what_does_not(capsys, monkeypatch):
    """Cases a stage, methods once however many cases they have, and a column for each stage in the plan."""
    monkeypatch.setenv("COLUMNS", "100")
    run = [case("a"), case("a", replicate=1), case("b"), case("a", stage="verify"), case("\x1b[31mc", task="u")]
    skipped = case("b", stage="verify")
    plan = Plan(
        jobs=(Job(cases=tuple(run)),),
        settled=(Outcome(key=skipped.key, status="skipped", reason="no"),),
        settled_cases=(skipped,),
        baselines={"f": run[2].method},
        added=("b",),
    )
    print_plan(plan)
    title, heading, first, second, baseline = capsys.readouterr().out.splitlines()
    assert title.rstrip() == "plan: 6 cases in 1 jobs"
    assert heading.split() == ["task", "methods", "evaluate", "verify", "time", "not", "run"]
    assert first.split() == ["f/t", "2", "3", "1", "0", "1"]
    assert second.split() == ["f/u", "1", "1", "0", "0"]
    assert baseline.rstrip() == "baseline of f: b (added)"


def test_what_it_will_take_is_told_as_far_as_it_is_known(capsys, monkeypatch):
    """Seconds and bytes with the cases that they rest on; without any, that."""
    monkeypatch.setenv("COLUMNS", "100")
    plan = Plan(jobs=(Job(cases=(case("a"),)),))
    print_plan(plan, Forecast(seconds=None, known=0, of=1))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "time: unknown, no stored run has these tasks",
        "memory: unknown, no stored run has these tasks",
    ]
    print_plan(plan, Forecast(seconds=62.4, known=3, of=4, bytes=4.8e8, weighed=2, workers=2))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "time: about 1 min 2 s, as measured on 3 of 4 cases in stored runs",
        "memory: up to 480 MB in a process, 2 at once, as measured on 2 of 4 cases in stored runs",
    ]
