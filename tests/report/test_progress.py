"""A bar on a terminal, lines in a notebook or where asked for, nothing in a pipe."""

from __future__ import annotations

import builtins

import pytest
import stored

from kexue_bench.catalog.plugins import Hooks
from kexue_bench.report.progress import LINES, progress_display


def drive(**options):
    """Show the progress of the stored study."""
    study = stored.study()
    with progress_display(**options) as display:
        observer = display.observing(Hooks(()))
        observer.started(study.plan)
        for key, outcome in study.outcomes.items():
            observer.finished(outcome, study.plan.by_key[key])
        observer.done("0001")
    return len(study.outcomes)


@pytest.fixture
def notebook(monkeypatch):
    """What IPython's kernel puts into every notebook."""
    shell = type("ZMQInteractiveShell", (), {})
    monkeypatch.setattr(builtins, "get_ipython", shell, raising=False)


def test_a_pipe_stays_empty(capfd):
    """Neither stream is a terminal."""
    drive()
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_a_bar_and_loses_it_at_the_end(capfd, monkeypatch):
    """On the standard error; what `quiet` keeps away."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    drive()
    out, err = capfd.readouterr()
    assert out == ""
    assert "\x1b[2K" in err
    drive(quiet=True)
    assert capfd.readouterr() == ("", "")


def test_first_verdicts_stand_above_the_bar_or_are_lines(capfd, monkeypatch):
    """Drawn on a terminal and gone at the end; with `verbose` a line each; in a pipe nobody asks for them."""

    def verdict():
        counted = iter(range(1, 100))
        return lambda outcome, case: f"verdict {next(counted)}" if case.stage == "time" else ""

    drive(verdict=pytest.fail)
    assert capfd.readouterr() == ("", "")
    drive(verbose=True, verdict=verdict)
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("so far: ")]
    assert told == [
        f"so far: verdict {n + 1}" for n in range(sum(c.stage == "time" for c in stored.study().plan.cases))
    ]
    monkeypatch.setenv("FORCE_COLOR", "1")
    drive(verdict=verdict)
    err = capfd.readouterr().err
    assert f"  verdict {len(told)}\x1b" in err or f"  verdict {len(told)}\n" in err.replace("\r", "")
    assert err.rstrip().endswith("\x1b[2K")


def test_a_verdict_that_fails_does_not_end_the_run(capfd):
    """There are no further ones; the report will fail in its own time."""
    asked = []

    def fail(outcome, case):
        asked.append(outcome)
        raise ValueError

    drive(verbose=True, verdict=lambda: fail)
    assert len(asked) == 1
    assert "so far" not in capfd.readouterr().err


@pytest.mark.usefixtures("notebook")
def test_a_notebook_gets_a_few_lines_without_a_widget(capfd):
    """However many cases there are; the last line counts all of them."""
    count = drive()
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert 1 < len(lines) <= LINES
    assert lines[-1].startswith(f"{count} of {count} cases done, ")
    assert lines[-1].endswith(" failed")
    drive(quiet=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("where", ["pipe", "notebook"])
def test_verbose_is_one_line_a_case_unless_quiet(capfd, request, where):
    """Status, seconds, key and what it was, on the standard error."""
    if where == "notebook":
        request.getfixturevalue("notebook")
    count = drive(verbose=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == count
    drive(verbose=True, quiet=True)
    assert capfd.readouterr() == ("", "")
