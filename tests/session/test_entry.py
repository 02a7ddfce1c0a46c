"""`compare` and `verify` from Python: in a script, a thread and a notebook, twice, interrupted, and refused."""

from __future__ import annotations

import doctest
import gc
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

import kexue_bench
from kexue_bench.errors import KexueError, PluginError, UnknownNameError, UsageError
from kexue_bench.plan.plan import Request
from kexue_bench.run.runner import GRACE
from kexue_bench.session import RunOptions
from kexue_bench.store.results import list_runs, load_run

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "tests" / "plugins"
TOY = {"families": "gradients", "tasks": "bernoulli-toy", "stages": "evaluate", "budget": 4096, "jobs": 2}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Every test works in an empty folder and can import the misbehaving plugin."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(PLUGINS))


def numbers(found) -> dict[tuple[object, ...], float]:
    """Every value of a comparison that chance decides."""
    return {(row["label"], row["metric"]): row["value"] for row in found.rows() if row["metric"] != "memory"}


# -- where it runs ----------------------------------------------------------------------------------------------------

SCRIPT = """
import os, sys
from pathlib import Path

here = Path(__file__).parent
with (here / "imported").open("a") as file:
    file.write("x")
import kexue_bench
assert not {"torch", "pandas"} & set(sys.modules)
first = kexue_bench.compare("selfcheck", "null", "known", stages="time", processes=1,
                            plugins="kexue_bench.selfcheck.plugin", output="first")
(here / "other").mkdir()
os.chdir(here / "other")
second = kexue_bench.compare("selfcheck", "null", "known", stages="time", processes=1,
                             plugins="kexue_bench.selfcheck.plugin", output="second")
assert not {"torch", "pandas"} & set(sys.modules)
print(second.statuses, len(second.to_frame()))
"""


def test_a_script_needs_no_main_guard_and_may_change_its_folder(tmp_path):
    """Workers never import the script; twice in one process; each run has its details in its own folder."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "plugins")))},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("{'ok': 3}")
    assert (tmp_path / "imported").read_text() == "x"
    for folder in ("first", "other/second"):
        (run,) = list_runs(tmp_path / folder)
        named = {f"{digest}.json" for o in load_run(run.path).outcomes.values() for digest in o.details.values()}
        assert named
        assert named <= {path.name for path in (run.path / "details").iterdir()}
    assert not (tmp_path / "second").exists()


def test_it_runs_in_a_thread_and_twice_in_one_process_with_equal_numbers():
    """As a notebook with a busy main thread would: no signal handler is touched, and every value is the same."""
    handler, found = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(
        target=lambda: found.append(kexue_bench.compare(**TOY, methods="rloo", output=None, quiet=True))
    )
    thread.start()
    seen = set()
    while thread.is_alive():
        seen.add(signal.getsignal(signal.SIGINT))
        thread.join(0.01)
    found.append(kexue_bench.compare(**TOY, methods="rloo", output=None, quiet=True))
    assert seen == {handler}
    assert numbers(found[0]) == numbers(found[1])
    assert ("rloo", "bias") in numbers(found[0])


def test_it_is_the_comparison_of_the_command_line():
    """Equal rows but for the run's name, the key included; and the stored run has no command.

    Sums of numpy depend on where their terms lie in memory, so numbers are equal to nine digits.
    """
    found = kexue_bench.compare(**TOY, methods=["rloo", "disarm"], output="mine", margin=0.1, columns=["bias", "mse"])
    command = [
        *("compare", "gradients", "-m", "rloo", "-m", "disarm", "-t", "bernoulli-toy", "--stage", "evaluate"),
        *("--budget", "4096", "--margin", "10%", "--columns", "bias,mse", "--format", "json", "-o", "theirs"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "kexue_bench", *command],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "plugins")))},
    )
    theirs = json.loads(done.stdout)["rows"]

    def comparable(rows):
        return [{k: v for k, v in row.items() if k != "run"} for row in rows if row["metric"] != "memory"]

    for mine, other in zip(comparable(json.loads(json.dumps(found.rows()))), comparable(theirs), strict=True):
        numbers = {k for k, v in mine.items() if isinstance(v, float)}
        assert {k: v for k, v in mine.items() if k not in numbers} == {
            k: v for k, v in other.items() if k not in numbers
        }
        assert {k: mine[k] for k in numbers} == pytest.approx({k: other[k] for k in numbers}, rel=1e-9, nan_ok=True)
    assert found.tables[0].columns == ("bias", "mse")
    assert found.runs[0].command == ()


def test_quiet_prints_nothing_and_notes_tell_what_was_not_said(capfd):
    """Both streams stay empty; what would have been printed stands in `notes`. Otherwise notes go to stderr."""
    kexue_bench.compare(**TOY, methods="rloo", quiet=True)
    again = kexue_bench.compare(**TOY, methods="rloo", quiet=True, resume="latest")
    assert capfd.readouterr() == ("", "")
    assert any("2 replayed, nothing to run" in note for note in again.notes)
    kexue_bench.compare(**TOY, methods="rloo", resume="latest")
    assert "2 replayed, nothing to run" in capfd.readouterr().err


# -- where it stores --------------------------------------------------------------------------------------------------


def test_results_lie_where_the_command_line_looks_for_them():
    """By default in `results`, to be read by `load_run`."""
    found = kexue_bench.compare(**TOY, methods="rloo", quiet=True)
    stored = kexue_bench.load_run("latest")
    assert stored.path == found.runs[0].path
    pd.testing.assert_frame_equal(stored.to_frame(), found.to_frame())


def test_a_temporary_folder_lives_as_long_as_the_comparison(tmp_path, monkeypatch):
    """With `output=None` nothing is left when the value is gone, nor after an error."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = kexue_bench.compare(**TOY, methods="rloo", output=None, quiet=True)
    path = found.runs[0].path
    assert path.is_dir()
    assert path.parent.parent == tmp_path
    del found
    gc.collect()
    assert not path.parent.exists()
    with pytest.raises(UnknownNameError):
        kexue_bench.compare(**TOY, methods="rlooo", output=None)
    assert list(tmp_path.glob("kexue-bench-run-*")) == []


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_method_that_fails_is_a_row_and_no_exception():
    """Its status, phase, reason and traceback; the others are measured."""
    found = kexue_bench.compare(
        "chaos", ["raises", "fine"], "run", stages="evaluate", plugins="chaos.plugin", quiet=True
    )
    assert found.statuses == {"ok": 1, "failed": 1}
    (row,) = found.failures
    assert (row["method"], row["status"], row["phase"]) == ("raises", "failed", "evaluate")
    assert row["reason"] == "RuntimeError: told to raise"
    assert "Traceback" in row["trace"]


@pytest.fixture
def interrupt():
    """Send SIGINT to this process as soon as the first outcome is on the disk; returns the list of when it was sent."""
    sent: list[float] = []

    def send(times: int) -> None:
        end = time.monotonic() + 90
        while time.monotonic() < end and not any(info.outcomes for info in list_runs(Path("results"))):
            time.sleep(0.05)
        sent.append(time.monotonic())
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)

    # A shell's background jobs ignore the interrupt from birth.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda times=1: (threading.Thread(target=send, args=(times,), daemon=True).start(), sent)[1]
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_the_run_and_keeps_what_is_finished(interrupt):
    """`KeyboardInterrupt` names the run; the handler is put back; `resume` goes on, in the same process."""
    handler = signal.getsignal(signal.SIGINT)
    options = {"tasks": "run", "stages": "evaluate", "plugins": "chaos.plugin", "jobs": 1, "quiet": True}
    interrupt()
    with pytest.raises(KeyboardInterrupt, match=r"finished cases are stored in results/0001-"):
        kexue_bench.compare("chaos", ["fine", "late[seconds=4]"], **options)
    assert signal.getsignal(signal.SIGINT) is handler
    before = load_run("latest")
    assert "ok" in {outcome.status for outcome in before.outcomes.values()}
    again = kexue_bench.compare("chaos", ["fine", "late[seconds=4]"], **options, resume="latest")
    assert again.statuses == {"ok": 2}
    assert again.runs[0].path == before.path


def test_a_second_interrupt_does_not_wait_for_running_cases(interrupt):
    """Whatever grace is left; this process lives on and can run again."""
    options = {"tasks": "run", "stages": "evaluate", "plugins": "chaos.plugin", "quiet": True}
    sent = interrupt(2)
    with pytest.raises(KeyboardInterrupt):
        kexue_bench.compare("chaos", ["fine", "sleeps"], **options, jobs=2)
    assert time.monotonic() - sent[0] < 0.8 * GRACE
    assert kexue_bench.compare("chaos", "fine", **options).statuses == {"ok": 1}


class Mine:
    """A method of this very module, which no worker can import under its name."""


@pytest.mark.parametrize("name", ["families", "methods", "tasks"])
@pytest.mark.parametrize("value", [[Mine()], [Mine], Mine, Mine(), ["rloo", Mine()]], ids=lambda v: type(v).__name__)
def test_an_object_is_refused_with_what_to_do(name, value, tmp_path):
    """`write it to a file: workers import it`, in the three parts of every error; nothing is run."""
    with pytest.raises(UsageError, match="write it to a file: workers import it") as caught:
        kexue_bench.compare(**{name: value})
    assert caught.value.what == f"{name} must be names, as text"
    assert "Mine" in caught.value.got
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"families": "gradient"}, UnknownNameError, "did you mean gradients"),
        ({"methods": "rlooo"}, UnknownNameError, "did you mean rloo"),
        ({"methods": 3}, UsageError, "methods must be names, as text, got 3"),
        ({"methods": "rloo[n=two]"}, UsageError, "must be of type int"),
        ({"methods": "rloo[n=1]", "tasks": "bernoulli-toy"}, UsageError, "n must be"),
        ({"suite": "huge"}, UsageError, "quick, standard, full"),
        ({"stages": "evalute"}, UsageError, "stages must be some of"),
        ({"stages": ()}, UsageError, "stages must be some of"),
        ({"device": "tpu"}, UsageError, "cpu, cuda"),
        ({"dtype": "int8"}, UsageError, "dtype must be float32 or float64"),
        ({"columns": "biass"}, UnknownNameError, "did you mean bias"),
        ({"margin": 5.0}, UsageError, "between 0 and 1"),
        ({"correction": "sidak"}, UsageError, "correction must be one of holm"),
        ({"isolation": "thread"}, UsageError, "isolation must be one of case"),
        ({"engine": "slurm"}, UsageError, "engine must be one of local"),
        ({"jobs": 0}, UsageError, "jobs must be positive"),
        ({"timeout": -1.0}, UsageError, "timeout must be positive"),
        ({"plugins": "no_such_module"}, PluginError, "no_such_module"),
        ({"plugins": [Mine]}, UsageError, "write it to a file"),
        ({"resume": "0007"}, UsageError, "no run"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_makes_no_sense_is_an_error_of_ours(arguments, kind, words, tmp_path):
    """An exception of `kexue_bench.errors`, never an exit; no run is stored."""
    with pytest.raises(kind, match=re.escape(words)) as caught:
        kexue_bench.compare(**{"families": "gradients", "stages": "evaluate", "quiet": True} | arguments)
    assert isinstance(caught.value, KexueError)
    assert list_runs(tmp_path / "results") == ()


# -- plugins ----------------------------------------------------------------------------------------------------------


def test_a_plugin_is_a_file_or_a_module(tmp_path):
    """A method in a file of one's own, named by a relative path, beside one of ours."""
    (tmp_path / "halves.py").write_text(
        "from dataclasses import dataclass, replace\n\nfrom kexue_bench import MethodSpec, hookimpl\n\n\n"
        "@hookimpl\ndef kexue_methods():\n"
        "    return [MethodSpec(name='half', family='gradients', target='halves:Half', summary='half of RLOO')]\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Half:\n    share: float = 0.5\n\n"
        "    def estimate(self, distribution, objective, noise, repeats, state=None):\n"
        "        from kexue_gradients import Rloo\n\n"
        "        sample = Rloo().estimate(distribution, objective, noise, repeats)\n"
        "        return replace(sample, gradient=self.share * sample.gradient)\n"
    )
    found = kexue_bench.compare(**TOY, methods=["half", "half[share=1.0]", "rloo"], plugins=["halves.py"], quiet=True)
    values = numbers(found)
    assert values["half[share=1] (halves)", "variance"] == values["rloo", "variance"]
    assert values["half (halves)", "variance"] == pytest.approx(values["rloo", "variance"] / 4)


# -- verify -----------------------------------------------------------------------------------------------------------


def test_verify_tells_honest_methods_from_others():
    """An honest method passes; a biased one that calls itself unbiased does not, and the claim is named."""
    honest = kexue_bench.verify("gradients", "rloo", "bernoulli-toy", isolation="none", quiet=True)
    assert honest.passed
    assert honest.verdicts["PASS"] > 3
    mutant = kexue_bench.verify(
        "gradients", "st-unbiased", "bernoulli-toy", isolation="none", plugins="mutants.plugin", quiet=True
    )
    assert not mutant.passed
    assert [finding.case.claim for finding in mutant.failed] == ["unbiased"]
    assert "FAIL" in {row["verdict"] for row in mutant.rows()}


# -- what it takes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [kexue_bench.compare, kexue_bench.verify])
def test_every_argument_is_typed_and_explained(function):
    """One line of the docstring for each, in the order of the signature; no `**options`."""
    parameters = inspect.signature(function).parameters.values()
    assert all(p.annotation is not p.empty for p in parameters)
    assert not {p.kind for p in parameters} & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    section = inspect.getdoc(function).partition("Args:\n")[2].partition("\n\n")[0]
    assert re.findall(r"^    (\w+): ", section, re.MULTILINE) == [p.name for p in parameters]


def test_what_the_command_line_can_ask_for_python_can_too():
    """Every field of a request and of its options is an argument, but for what only a command has."""
    own = {"case", "grace", "command"}
    wanted = {field.name for kind in (Request, RunOptions) for field in fields(kind)} - own
    assert wanted <= set(inspect.signature(kexue_bench.compare).parameters)
    # A check of claims has neither trials nor baselines, and its own number of draws.
    only_compared = {"stages", "replicates", "precision", "processes", "rigorous", "baseline", "tune"}
    assert wanted - only_compared <= set(inspect.signature(kexue_bench.verify).parameters)


def test_the_example_of_the_docstring_is_true():
    """Pasted as it stands."""
    (example,) = doctest.DocTestFinder(recurse=False).find(kexue_bench.compare, globs={})
    assert doctest.DocTestRunner().run(example) == (0, 4)


def test_a_verification_that_would_check_nothing_is_refused(tmp_path):
    """With the reason, before anything is stored."""
    with pytest.raises(UsageError, match="nothing"):
        kexue_bench.verify("chaos", "fine", "run", plugins="chaos.plugin", quiet=True)
    assert list(tmp_path.iterdir()) == []
