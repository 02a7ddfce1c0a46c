"""The story of a case, and the command that runs it alone."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from misbehaving import CHAOS, the_run

from kexue_bench.api import Case, Instance, Job, Measurement, Outcome, Plan
from kexue_bench.cli import options
from kexue_bench.cli.story import failures, rerun_command, story
from kexue_bench.cli.verbs import VERBS
from kexue_bench.session import running
from kexue_bench.store.results import Run


def test_failures_are_told_shown_and_rerun_alone(chaos_cli, tmp_path):
    """Exit code 3, a summary with reason, phase and last lines, the story, and a command that runs that case again."""
    first = chaos_cli("compare", *CHAOS, "-m", "raises", "-m", "settings", "--stage", "evaluate")
    assert first.code == 3
    run = the_run(tmp_path)
    (bad,) = [case for case in run.plan.cases if case.method.name == "raises"]
    assert "failed in evaluate: chaos/run raises: RuntimeError: told to raise" in first.err
    assert '  |     raise RuntimeError("told to raise")' in first.err
    assert f"  kexue-bench show {bad.key}" in first.err
    assert "planned 3 = ok 2 + failed 1" in first.err

    shown = chaos_cli("show", bad.key[:8], "-p", "chaos.plugin")
    assert shown.code == 0
    for part in (bad.key, "failed in evaluate", "told to raise", "Traceback", "chaos/run   raises   evaluate"):
        assert part in shown.out
    command = shown.out.partition("rerun this case:")[2].strip()
    again = chaos_cli(*shlex.split(command)[1:])
    assert again.code == 3
    assert set(the_run(tmp_path).outcomes) == {bad.key}
    assert the_run(tmp_path).path != run.path

    (leaky,) = [case for case in run.plan.cases if case.method.name == "settings"]
    story = chaos_cli("show", leaky.key, "-p", "chaos.plugin")
    assert "process settings that it changed (restored): default dtype, threads" in story.out


def test_a_timed_case_of_one_process_is_rerun_alone(chaos_cli, tmp_path):
    """Its key holds the process and the copy, which the command names through the options of the run."""
    timing = ("--stage", "time", "--processes", "2", "--seed", "3", "--timeout", "30")
    chaos_cli("compare", *CHAOS, "-m", "fine", *timing)
    run = the_run(tmp_path)
    (case,) = [case for case in run.plan.cases if case.copy == 1 and case.replicates == (1,)]
    assert chaos_cli(*shlex.split(rerun_command(run, case))[1:]).code == 0
    assert set(the_run(tmp_path).outcomes) == {case.key}


def test_every_case_of_every_verb_finds_itself_again(tmp_path, monkeypatch):
    """The plan of the printed command is that one case, for evaluation, timing, claims, and non-default options."""
    monkeypatch.chdir(tmp_path)
    for words in (
        ("compare", "--seed", "7", "--suite", "standard", "--processes", "3", "--resume"),
        ("verify", "--budget", "4096", "--retry-failed", "--resume=latest"),
    ):
        plan = plan_of(words)
        run = Run(path=Path("0001"), plan=plan, environment={}, command=("kexue-bench", *words), outcomes={})
        for case in plan.cases[:: max(1, len(plan.cases) // 12)]:
            command = shlex.split(rerun_command(run, case))
            assert "--resume" not in command
            found = plan_of(tuple(command[1:])).cases
            assert case.key in {c.key for c in found}
            assert len(found) == 1 or case.options.get("tuned")


def plan_of(words):
    """The plan of a command line."""
    verb, rest = words[0], words[1:]
    assert verb in VERBS
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*")
    options.add_plan_options(parser)
    options.add_plugin_options(parser)
    arguments = parser.parse_args(["--resume=latest" if word == "--resume" else word for word in rest])
    if verb == "verify":
        arguments.stage = ["verify"]
    return running.plan_of(options.request_of(arguments, arguments.what), *options.load(arguments), case=arguments.case)


def study(*outcomes, command=("kexue-bench", "compare"), ledger=()):
    """A stored run of as many methods as there are outcomes, given as fields."""
    cases = [
        Case(
            family="f",
            task=Instance(name="t", target="m:T", label="t"),
            task_version=1,
            method=Instance(name=f"m{i}", target="m:A", label=f"m{i}"),
            stage="evaluate",
        )
        for i in range(len(outcomes))
    ]
    found = {c.key: Outcome(key=c.key, **fields) for c, fields in zip(cases, outcomes, strict=True) if fields}
    earlier = tuple(Outcome(key=cases[0].key, **fields) for fields in ledger)
    plan = Plan(jobs=(Job(cases=tuple(cases)),))
    return Run(path=Path("0001"), plan=plan, environment={}, command=command, outcomes=found, ledger=earlier)


def test_a_story_tells_every_attempt_and_every_number():
    """Why it ran again, how each attempt ended, numbers with all digits, labels and flags; points of a curve do not."""
    row = Measurement(metric="mse", value=0.1, low=0.05, high=0.2, n=64, unit="nats", flags=frozenset({"exact"}))
    labelled = replace(row, metric="f1", labels={"reading": "half"}, replicate=4)
    run = study(
        {"status": "ok", "attempt": 2, "seconds": 1.5, "stop": "precision", "details": {"errors": "abc"},
         "measurements": (row, replace(row, metric="curve", point=3), labelled)},
        ledger=({"status": "crashed", "attempt": 1, "reason": "killed by SIGSEGV"},),
    )  # fmt: skip
    text = story(run, run.plan.cases[0])
    assert "  ok, stopped by precision   1.50 s   attempt 2\n" in text
    assert "  attempt 1: crashed: killed by SIGSEGV\n" in text
    assert "[0.05, 0.2]  n=64 nats exact\n" in text
    assert "exact reading=half replicate 4\n" in text
    assert "curve" not in text
    assert "errors: details/abc.json" in text


def test_a_case_without_an_outcome_says_so():
    """The run was stopped before it."""
    run = study({})
    assert "no outcome: the run ended before this case did" in story(run, run.plan.cases[0])


def test_no_field_of_a_stored_run_can_forge_a_line():
    """Reasons, traces and names are made visible each by itself."""
    forged = "x\n  attempt 9: ok\x1b[2J"
    run = study({"status": "failed", "reason": forged, "trace": forged, "state_leak": (forged,), "phase": "evaluate"})
    text = story(run, run.plan.cases[0])
    assert "\x1b" not in text
    assert "\n  attempt 9" not in text


def test_a_summary_shows_ten_failures_and_counts_the_rest():
    """Each with its last three lines that hold something."""
    bad = {"status": "failed", "reason": "no", "phase": "build", "trace": "one\ntwo\n\nthree\nfour\n"}
    run = study({"status": "ok"}, {"status": "unsupported"}, *[bad] * 12)
    lines = failures(run)
    assert lines[:5] == [
        "failed in build: f/t m2: no",
        "  | two",
        "  | three",
        "  | four",
        f"  kexue-bench show {run.plan.cases[2].key}",
    ]
    assert len(lines) == 10 * 5 + 1
    assert lines[-1] == "and 2 more; `kexue-bench report` shows all of them"
    assert failures(study({"status": "ok"})) == []


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (("compare", "f", "--case", "ab", "--seed", "3"), "compare f --seed 3"),
        (("run", "--case=ab", "--resume=0001", "--retry-failed", "-n"), "run"),
        (("verify", "--resume", "-j", "2", "--dry-run"), "verify -j 2"),
        (("compare", "-t", "t[a=[1,2]]"), "compare -t 't[a=[1,2]]'"),
    ],
)
def test_a_command_is_kept_but_for_what_decides_how_much_runs(words, kept):
    """The options of the first command make the key; a bare --resume takes no word with it."""
    run = study({}, command=("kexue-bench", *words))
    assert rerun_command(run, run.plan.cases[0]) == f"kexue-bench {kept} --case {run.plan.cases[0].key}"


@pytest.mark.parametrize("command", [(), ("kexue-bench",), ("kexue-bench", "doctor")])
def test_a_run_that_no_command_made_has_none_to_repeat(command):
    """It was asked for from Python, or by a verb without `--case`."""
    run = study({}, command=command)
    assert rerun_command(run, run.plan.cases[0]) == ""
    assert "rerun this case" not in story(run, run.plan.cases[0])
