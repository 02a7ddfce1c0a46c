"""The commands of a page of the documentation, with the files that its reader writes."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import installed

from kexue_bench.cli.main import main


def files(text: str) -> dict[str, str]:
    """Name -> content of the files that a page tells its reader to write."""
    return dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL))


def commands(text: str) -> Iterator[tuple[list[str], str]]:
    """The commands of a page in order, with what it shows of their output."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        command, _, printed = block.removeprefix("$ ").partition("\n")
        yield shlex.split(command), printed


def run(command: list[str], *options: str) -> None:
    """Run a command of a page in the current folder; `options` are added to comparisons."""
    if command[0] == "python":
        runpy.run_path(command[1])
        return
    assert command[0] == "kexue-bench"
    assert main([*command[1:], *(options if command[1] == "compare" else ())]) == 0, command


def rows(family: str, printed: str) -> dict[str, tuple[str, str]]:
    """Method -> its mark and its verdict, of the rows of a table; a long name stands on a line above its row."""
    found: dict[str, tuple[str, str]] = {}
    for line in re.sub(r"(\])\n(?=   )", r"\1", printed).splitlines():
        match = re.match(r"([★·=x! ]) ([\w-]+)(\[\S*\])?", line)
        if match and match[2] in installed.registry().methods_of(family):
            verdict = re.search(r"better|worse|equivalent|undecided|\(baseline\)", line)
            # Notes below the table may begin with a name too.
            found.setdefault(match[2], (match[1], verdict[0] if verdict else ""))
    return found


def write_files(text: str) -> None:
    """Write the files of a page into the current folder."""
    for name, content in files(text).items():
        Path(name).write_text(content, encoding="utf-8")
