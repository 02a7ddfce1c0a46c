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
