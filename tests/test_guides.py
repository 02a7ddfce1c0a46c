"""The pages that a reader follows by typing: each command runs, and each answer has the rows that the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import commands, files, rows, run, write_files

DOCS = Path(__file__).parents[1] / "docs"
QUESTIONS = {
    part.partition("\n")[0].strip(): part
    for part in re.split(r"^## ", (DOCS / "questions.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    if "```console" in part
}
TUTORIAL = (DOCS / "tutorial.md").read_text(encoding="utf-8")
SMALLER = {"5000": "300", "4000": "1000", "variables=200": "variables=6", "2000": "60", "524288": "16384"}
"""Sizes of the files and of the problems."""
QUICK = ["--budget", "256", "--stage", "evaluate", "-r", "2"]


def smaller(text):
    for large, small in SMALLER.items():
        text = text.replace(large, small)
    return text


def test_the_four_questions_are_asked():
    """One section each, with a file of the reader's, a command and what it prints."""
    assert len(QUESTIONS) == 4
    assert all(files(section) and list(commands(section)) for section in QUESTIONS.values())


@pytest.mark.parametrize("title", QUESTIONS)
def test_a_question_is_answered_as_printed(title, tmp_path, monkeypatch, capsys):
    """The rows of the answer are those in the document, whatever their numbers on a smaller problem."""
    monkeypatch.chdir(tmp_path)
    section = smaller(QUESTIONS[title])
    write_files(section)
    for command, printed in commands(section):
        run(command, *QUICK)
        out = capsys.readouterr().out
        if "compare" in command:
            expected = rows(command[2], printed)
            assert expected
            assert expected.keys() <= rows(command[2], out).keys()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("title", QUESTIONS)
def test_a_question_has_the_answer_of_the_page(title, tmp_path, monkeypatch, capsys):
    """At full size the marks and the verdicts are those that the page shows and explains."""
    monkeypatch.chdir(tmp_path)
    write_files(QUESTIONS[title])
    for command, printed in commands(QUESTIONS[title]):
        run(command)
        out = capsys.readouterr().out
        if "compare" in command:
            found = rows(command[2], out)
            assert {name: found.get(name) for name in rows(command[2], printed)} == rows(command[2], printed)


def test_the_tutorial_can_be_followed(tmp_path, monkeypatch, capsys):
    """In order and in one folder: its commands run, and its tables have the rows that it shows."""
    monkeypatch.chdir(tmp_path)
    write_files(TUTORIAL)
    for command, printed in commands(TUTORIAL):
        run(command, *QUICK)
        assert rows("gradients", printed).keys() <= rows("gradients", capsys.readouterr().out).keys()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.py", "results", "rows.csv"]
    assert len(list((tmp_path / "results").glob("0*"))) == 3
