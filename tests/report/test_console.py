"""The width of reports, and the pager."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Group
from rich.text import Text

from kexue_bench.report import console


@pytest.mark.parametrize(
    ("asked", "found"), [("100", 100), ("0", 80), ("20", 40), ("", 80), ("x", 80), ("-3", 80), ("9999999999", 80)]
)
def test_a_width_of_nothing_is_the_usual_one_and_a_tiny_one_is_forty(monkeypatch, asked, found):
    """`COLUMNS=0` says nothing; without it and without a terminal there are 80."""
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console.columns({"COLUMNS": asked}) == found


def test_nothing_is_cut_in_a_narrow_terminal(monkeypatch, capsys):
    """A line that is longer than the width is printed whole."""
    monkeypatch.setenv("COLUMNS", "20")
    console.show(Group(Text("x" * 70, no_wrap=True, overflow="ignore")))
    assert capsys.readouterr().out == "x" * 70 + "\n"


@pytest.mark.parametrize(
    ("environment", "command"),
    [
        ({"KEXUE_PAGER": "true -a", "PAGER": "false"}, ["true", "-a"]),
        ({"PAGER": "true"}, ["true"]),
        ({"PAGER": "cat"}, []),
        ({"KEXUE_PAGER": "", "PAGER": "true"}, []),
        ({"PAGER": "no-such-pager-here"}, []),
        ({"PAGER": "'"}, []),
    ],
)
def test_the_pager_is_chosen_as_git_chooses(environment, command):
    """The own variable before the common one; empty, `cat` and what cannot run mean none."""
    assert console.pager_of(environment) == command


class Terminal(io.StringIO):
    """A standard output that says it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("lines", "paged", "used"), [(500, True, True), (3, True, False), (500, False, False)])
def test_only_long_output_on_a_terminal_is_paged(monkeypatch, tmp_path, lines, paged, used):
    """The pager gets all of it; otherwise it is printed."""
    seen = tmp_path / "seen"
    monkeypatch.setenv("KEXUE_PAGER", f"tee {seen}")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    console.show(Text("\n".join(map(str, range(lines)))), paged=paged)
    assert seen.exists() == used
    assert (seen.read_text() if used else sys.stdout.getvalue()).split() == [str(i) for i in range(lines)]
