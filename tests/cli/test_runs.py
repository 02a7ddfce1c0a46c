"""A run from the command line that fails, is stopped, is killed or goes on: what is printed, stored and returned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from misbehaving import CHAOS, PLUGINS, the_run

from kexue_bench.api import Case, Instance, Job, Outcome, Plan
from kexue_bench.cli.runs import exit_code, tally
from kexue_bench.session.running import Session
from kexue_bench.store.results import Run, list_runs

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(map(str, (ROOT, ROOT / "plugins", PLUGINS)))


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


def ended(*statuses, signal=0):
    """A session whose cases ended so; None for one that has no outcome."""
    cases = tuple(
        Case(
            family="f",
            task=Instance(name="t", target="m:T", label="t"),
            task_version=1,
            method=Instance(name=f"m{i}", target="m:A", label=f"m{i}"),
            stage="evaluate",
        )
        for i in range(len(statuses))
    )
    found = {c.key: Outcome(key=c.key, status=s) for c, s in zip(cases, statuses, strict=True) if s}
    run = Run(path=Path("0001"), plan=Plan(jobs=(Job(cases=cases),)), environment={}, outcomes=found)
    return Session(run=run, signal=signal)


@pytest.mark.parametrize(
    ("statuses", "number", "code"),
    [
        (["ok", "unsupported", "skipped", "diverged"], 0, 0),
        (["ok", "failed"], 0, 3),
        (["ok", "timeout"], 0, 3),
        (["ok", "cancelled"], 0, 3),
        (["ok", "failed"], signal.SIGTERM, 143),
        (["ok"], signal.SIGINT, 130),
    ],
)
def test_the_exit_code_says_how_a_run_ended(statuses, number, code):
    """A signal goes before what the outcomes say; what was never meant to run is no failure."""
    assert exit_code(ended(*statuses, signal=number)) == code


def test_the_tally_adds_up():
    """A case without an outcome is missing, and not forgotten."""
    assert tally(ended("ok", "failed", "ok", None).run) == "planned 4 = ok 2 + failed 1 + missing 1"


def test_a_key_that_nothing_has_is_a_usage_error(chaos_cli):
    """Before anything runs."""
    result = chaos_cli("compare", *CHAOS, "-m", "fine", "--case", "0123456789abcdef")
    assert result.code == 2
    assert "--case must be the beginning of the key of a planned case" in result.err


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


BORROWER = """
from dataclasses import dataclass
from kexue_bench import MethodSpec, hookimpl

@hookimpl
def kexue_methods():
    return [MethodSpec(name="borrower", family="chaos", target="borrower:Borrower", summary="borrows its number")]

@dataclass(frozen=True, kw_only=True)
class Borrower:
    def run(self):
        from lender import NUMBER
        return NUMBER
"""


def test_an_edited_helper_of_a_method_runs_again(start, tmp_path):
    """A module beside the file of `-p`, imported when the method runs: its edit is seen, and the case runs again."""
    (tmp_path / "borrower.py").write_text(BORROWER)
    lender = tmp_path / "lender.py"
    lender.write_text("NUMBER = 1.0\n")
    arguments = ("run", *CHAOS, "-p", "borrower.py", "-m", "borrower", "--stage", "evaluate", "-j", "1")

    def scores(*more: str) -> tuple[list[float | None], str]:
        _, err = (process := start(*arguments, *more, PYTHONDONTWRITEBYTECODE="1")).communicate(timeout=120)
        assert process.returncode == 0, err
        rows = [m for outcome in the_run(tmp_path).outcomes.values() for m in outcome.measurements]
        return [row.value for row in rows if row.metric == "score"], err

    # The baseline runs too, and its worker does not load the helper.
    assert scores()[0] == [1.0, 1.0]
    assert "2 replayed, nothing to run" in scores("--resume")[1]
    lender.write_text("NUMBER = 0.5\n")
    values, err = scores("--resume")
    assert "1 replayed, 1 to run (1 code or libraries changed)" in err
    assert sorted(values) == [0.5, 1.0]
