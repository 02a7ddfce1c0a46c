"""A driver that is killed, at any moment or at any call that reaches the disk, loses nothing that it had told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KILLS = 50


def arena(kind: str, count: int, folder: Path, *, seconds: float = 0.0) -> dict[str, int]:
    """The figures of at least `count` killed drivers, and of as many as the time allows."""
    paths = os.pathsep.join((str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, str(HERE / "arena.py"), kind, str(count), "1", str(folder), str(seconds)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return json.loads(done.stdout)


def test_a_driver_killed_at_any_moment_loses_nothing(scratch, book, soak):
    """200 cases, SIGKILL at 50 random moments, then a resume (a third of them killed as well), then a second one.

    Nothing told is missing, nothing is stored twice, and every outcome equals that of an uninterrupted run bit for bit.
    """
    figures = arena("random", KILLS, scratch, seconds=15 * soak)
    assert figures["trials"] >= KILLS
    assert figures["kills"] >= figures["trials"] * 0.8
    assert figures["acked"] == 200 * figures["trials"]
    assert (figures["duplicated"], figures["different"]) == (0, 0)
    book.add("W6", trials=figures["kills"], lost=figures["lost"], unaccounted=figures["unaccounted"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks drivers")
def test_a_driver_killed_at_any_call_loses_nothing(scratch, book):
    """Before and after every open, write, fsync, replace and fsync of a folder, and again inside the recovery."""
    figures = arena("points", 0, scratch)
    assert figures["kills"] > 40
    assert (figures["duplicated"], figures["different"]) == (0, 0)
    book.add("W5", trials=figures["kills"], lost=figures["lost"], unaccounted=figures["unaccounted"])
    book.add("W8", trials=figures["kills"] // 2)
