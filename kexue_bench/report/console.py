"""Where reports are printed: a console of a usable width, and a pager for output longer than the terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping

from rich.console import Console, RenderableType

NARROWEST = 40
"""Reports are laid out for at least this many columns; a narrower terminal wraps the lines."""
_USUAL = 80


def columns(environment: Mapping[str, str] = os.environ) -> int:
    """Columns to lay a report out for: those of `COLUMNS` or of the terminal; a width of 0 says nothing."""
    asked = environment.get("COLUMNS", "")
    found = int(asked) if asked.isdecimal() and len(asked) < 6 else 0
    return max(found or shutil.get_terminal_size((_USUAL, 24)).columns or _USUAL, NARROWEST)


def show(view: RenderableType, *, paged: bool = False) -> None:
    """Print to standard output; no line is cut where it is longer than the terminal is wide.

    Args:
        paged: use a pager if standard output is a terminal with fewer lines than the output.
    """
    console = Console(width=columns())
    pager = pager_of(os.environ) if paged and console.is_terminal and not console.is_dumb_terminal else []
    if not pager:
        console.print(view, crop=False)
        return
    with console.capture() as captured:
        console.print(view, crop=False)
    text = captured.get()
    if text.count("\n") < shutil.get_terminal_size().lines or not _page(text, pager):
        sys.stdout.write(text)


def pager_of(environment: Mapping[str, str]) -> list[str]:
    """The command of the pager: `KEXUE_PAGER`, then `PAGER`, then less; none if it is empty, `cat` or not installed."""
    command = environment.get("KEXUE_PAGER", environment.get("PAGER", "less"))
    try:
        words = shlex.split(command)
    except ValueError:
        return []
    return words if words and words != ["cat"] and shutil.which(words[0]) else []


def _page(text: str, pager: list[str]) -> bool:
    """Show a text in a pager; False if it could not be started. It keeps colors and what it showed, as under git."""
    sys.stdout.flush()
    try:
        process = subprocess.Popen(pager, stdin=subprocess.PIPE, env={"LESS": "FRX", **os.environ})
    except OSError:
        return False
    try:
        process.communicate(text.encode())
    except KeyboardInterrupt:
        # Ctrl-C belongs to the pager, which may stop a search by it.
        process.wait()
    return True
