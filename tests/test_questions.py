"""The questions of docs/questions.md, asked again on smaller problems: each command runs, each answer has its rows."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pytest

from kexue_bench.cli.main import main

TEXT = (Path(__file__).parents[1] / "docs/questions.md").read_text(encoding="utf-8")
SECTIONS = {
    part.partition("\n")[0].strip(): part
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    if "```console" in part
}
SMALLER = {"5000": "300", "4000": "1000", "variables=200": "variables=6", "2000": "60"}
"""Sizes of the files and of the problems."""
QUICK = ["--budget", "256", "--stage", "evaluate", "-r", "2"]


def files(section):
    """Name -> content of the files that a section writes."""
    return dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", section, re.DOTALL))


def commands(section):
    """The commands of a section, with what was printed."""
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        command, _, printed = block.removeprefix("$ ").partition("\n")
        yield shlex.split(command), printed


def labels(printed, names):
    """Those of the names that begin a row of a table, in alphabetical order."""
    rows = re.findall(r"^[★·=x ]*\s*(\S+)", printed, re.MULTILINE)
    return sorted({row for row in rows if row.partition("[")[0] in names})


def smaller(text):
    for large, small in SMALLER.items():
        text = text.replace(large, small)
    return text


def test_the_four_questions_are_asked():
    """One section each, with a file of the reader's, a command and what it prints."""
    assert len(SECTIONS) == 4
    assert all(files(section) and list(commands(section)) for section in SECTIONS.values())


@pytest.mark.parametrize("title", SECTIONS)
def test_a_question_is_answered_as_printed(title, tmp_path, monkeypatch, capsys):
    """The rows of the answer are those in the document, whatever their numbers on a smaller problem."""
    monkeypatch.chdir(tmp_path)
    section = SECTIONS[title]
    for name, content in files(section).items():
        Path(name).write_text(smaller(content))
    for command, printed in commands(section):
        if command[0] == "python":
            runpy.run_path(command[1])
            continue
        assert command[0] == "kexue-bench"
        words = [smaller(word) for word in command[1:]]
        assert main([*words, *QUICK]) == 0
        names = {name.partition("[")[0] for name in labels(printed, _methods(words[1]))}
        assert names
        assert names <= {name.partition("[")[0] for name in labels(capsys.readouterr().out, _methods(words[1]))}


def _methods(family):
    import installed

    return set(installed.registry().methods_of(family))
