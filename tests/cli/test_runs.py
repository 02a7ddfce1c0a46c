"""A run from the command line that fails, is stopped, is killed or goes on: what is printed, stored and returned."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kexue_bench.cli import options
from kexue_bench.cli.runs import plan_only
from kexue_bench.cli.story import rerun_command
from kexue_bench.cli.verbs import VERBS
from kexue_bench.store.results import Run, list_runs, load_run

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "tests" / "plugins"
CHAOS = ("chaos", "-p", "chaos.plugin", "-t", "run")
PATHS = os.pathsep.join(map(str, (ROOT, ROOT / "plugins", PLUGINS)))


@pytest.fixture
def chaos_cli(cli, monkeypatch):
    """The command line of this process, which can import the misbehaving plugin."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    return cli


@pytest.fixture
def start(tmp_path):
    """Start `python -m kexue_bench ...` as a process of its own, in an empty folder."""
    started = []

    def start(*arguments, **environment) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "kexue_bench", *arguments],
            env=os.environ | {"PYTHONPATH": PATHS} | environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    # A shell's background jobs ignore the interrupt from birth, and so would what these tests start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield start
    signal.signal(signal.SIGINT, before)
    for process in started:
        process.kill()
        process.communicate()


def the_run(root: Path) -> Run:
    """The newest run below a folder."""
    return load_run(list_runs(root / "results")[-1].path)


# -- failures ---------------------------------------------------------------------------------------------------------


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
    return plan_only(arguments, arguments.what, *options.load(arguments))


def test_a_key_that_nothing_has_is_a_usage_error(chaos_cli):
    """Before anything runs."""
    result = chaos_cli("compare", *CHAOS, "-m", "fine", "--case", "0123456789abcdef")
    assert result.code == 2
    assert "--case must be the beginning of the key of a planned case" in result.err


@pytest.mark.parametrize(
    ("text", "size"), [("4GB", 4 * 10**9), ("1.5g", 15 * 10**8), ("2GiB", 2 << 30), ("500 MB", 5 * 10**8), ("12", 12)]
)
def test_memory_is_written_as_people_write_it(text, size):
    """Decimal and binary units, any case, with or without the B."""
    assert options.size(text) == size


@pytest.mark.parametrize("text", ["", "0", "GB", "-1GB", "4 parsecs", "1e9", "nan"])
def test_no_memory_is_refused(text):
    """With a sentence that says how to write it."""
    with pytest.raises(argparse.ArgumentTypeError, match="write 4GB or 500MB"):
        options.size(text)


def test_the_memory_limit_reaches_the_workers(chaos_cli, tmp_path):
    """A hoarder ends as `out-of-memory`, and the case beside it as `ok`."""
    arguments = ("-m", "bomb", "-m", "fine", "--stage", "evaluate", "--memory", "700MB")
    result = chaos_cli("compare", *CHAOS, *arguments)
    assert result.code == 3
    assert sorted(o.status for o in the_run(tmp_path).outcomes.values()) == ["ok", "out-of-memory"]


# -- resume -----------------------------------------------------------------------------------------------------------


def test_resume_runs_what_an_edit_touched_and_nothing_else(cli, tmp_path, monkeypatch):
    """Two methods in two files: the edited one runs again as the next attempt, the other is replayed bit for bit."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    source = (PLUGINS / "chaos" / "plugin.py").read_text()
    source = source.replace("chaos.methods:{name}", "mine.{name}:Method").replace("chaos.tasks", "mine.tasks")
    source = (
        source[: source.index("METHODS = (")] + 'METHODS = ("one", "two")\n\n\n' + source[source.index("@hookimpl") :]
    )
    (package / "plugin.py").write_text(source.replace('baseline="fine"', 'baseline="one"'))
    (package / "tasks.py").write_text((PLUGINS / "chaos" / "tasks.py").read_text())
    for name in ("one", "two"):
        (package / f"{name}.py").write_text(
            "from dataclasses import dataclass\n\n\n@dataclass(frozen=True, kw_only=True)\nclass Method:\n"
            "    def run(self):\n        return 1.0\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ("compare", "chaos", "-p", "mine.plugin", "-t", "run", "--stage", "evaluate")
    assert cli(*arguments).code == 0
    before = {o.key: o for o in the_run(tmp_path).outcomes.values()}
    file = package / "two.py"
    file.write_text(file.read_text().replace("1.0", "2.0"))
    resumed = cli(*arguments, "--resume")
    assert resumed.code == 0
    assert "1 replayed, 1 to run (1 code or libraries changed)" in resumed.err
    run = the_run(tmp_path)
    assert len(list_runs(tmp_path / "results")) == 1
    after = {run.plan.by_key[key].method.name: outcome for key, outcome in run.outcomes.items()}
    assert after["one"] == before[after["one"].key]
    assert after["two"].attempt == 2
    assert [m.value for m in after["two"].measurements if m.metric == "score"] == [2.0]
    assert len(run.ledger) == 3


# -- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_with_a_report_of_what_there_is(start, tmp_path, number, code):
    """The finished case keeps its number, the running one is `cancelled`, and nothing of ours lives on."""
    process = start("compare", *CHAOS, "-m", "fine", "-m", "sleeps", "--stage", "evaluate", "--grace", "0.5", "-v")
    below = wait_for_first_outcome(process, tmp_path)
    begun = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - begun < 8
    assert process.returncode == code
    assert {o.status for o in the_run(tmp_path).outcomes.values()} == {"ok", "cancelled"}
    assert "stopping; running cases have 0.5 s" in err
    assert "planned 2 = ok 1 + cancelled 1" in err
    assert "cancelled" in out
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(below, timeout=5)
    assert alive == []


def test_a_second_signal_ends_it_at_once(start, tmp_path):
    """Whatever grace is left; what was told is on the disk."""
    process = start("compare", *CHAOS, "-m", "fine", "-m", "sleeps", "--stage", "evaluate", "--grace", "60")
    below = wait_for_first_outcome(process, tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert time.monotonic() - begun < 2
    assert process.returncode == 130
    assert [o.status for o in the_run(tmp_path).outcomes.values()] == ["ok"]
    _, alive = psutil.wait_procs(below, timeout=5)
    assert alive == []


def wait_for_first_outcome(process, folder):
    """Until one case is on the disk and the other runs; returns every process below."""
    end = time.monotonic() + 90
    while time.monotonic() < end and process.poll() is None:
        runs = list_runs(folder / "results")
        if runs and runs[0].outcomes:
            time.sleep(0.3)
            return psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.1)
    out, err = process.communicate(timeout=5)
    raise AssertionError(f"no outcome: {out}{err}")


def test_a_closed_terminal_does_not_cost_the_run(start, tmp_path):
    """The reader of both streams goes away in the middle; every outcome is stored all the same."""
    names = [word for name in ("fine", "late", "raises", "prints") for word in ("-m", name)]
    process = start("compare", *CHAOS, *names, "--stage", "evaluate", "-v")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    process.wait(timeout=90)
    assert len(the_run(tmp_path).outcomes) == 4


def test_a_poor_terminal_gets_plain_text(start, tmp_path):
    """Twenty columns, no colours, an encoding without signs: a table and no traceback."""
    process = start(
        "compare", *CHAOS, "-m", "fine", "-m", "raises", "--stage", "evaluate",
        LANG="C", LC_ALL="C", TERM="dumb", COLUMNS="20", PYTHONIOENCODING="ascii", PYTHONUTF8="0",
    )  # fmt: skip
    out, err = process.communicate(timeout=90)
    assert process.returncode == 3
    assert "Traceback" not in err
    assert (out + err).isascii()
    assert "raises" in out
    assert "told to raise" in err


def test_a_killed_run_goes_on_where_it_was(start, tmp_path):
    """SIGKILL in the middle: nothing of ours lives on, and `--resume` keeps what was finished and runs the rest."""
    arguments = ("compare", *CHAOS, "-m", "fine", "-m", "late[seconds=3]", "--stage", "evaluate", "-j", "1")
    process = start(*arguments)
    below = wait_for_first_outcome(process, tmp_path)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(below, timeout=5)
    assert alive == []
    (before,) = the_run(tmp_path).ledger
    resumed = start(*arguments, "--resume")
    _, err = resumed.communicate(timeout=90)
    assert resumed.returncode == 0
    assert "1 replayed, 1 to run (1 new)" in err
    run = the_run(tmp_path)
    assert run.ledger[0] == before
    assert [outcome.status for outcome in run.ledger] == ["ok", "ok"]
