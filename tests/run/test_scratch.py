"""scratch: the folder of a driver is removed with it, or by the next one if it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from kexue_bench.run import scratch
from kexue_bench.run.scratch import PREFIX, Scratch, sweep


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


DRIVER = "from kexue_bench.run.scratch import Scratch; s = Scratch(); print(s.path, flush=True); input()"


def test_the_folder_of_a_killed_driver_goes_with_the_next(place):
    """Not while it lives: its lock is its own, and ends with the process."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        env=os.environ | {"TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    left = driver.stdout.readline().strip()
    mine = Scratch()
    assert sorted(map(str, place.iterdir())) == sorted([left, str(mine.path)])
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert sweep() == 1
    assert list(place.iterdir()) == [mine.path]
    mine.remove()
    assert list(place.iterdir()) == []


def test_only_folders_of_dead_drivers_are_removed(place, monkeypatch):
    """Neither a young folder without an owner, nor a link, a file, rescued records or a folder of another name."""
    (place / f"{PREFIX}young").mkdir()
    old = place / f"{PREFIX}old"
    old.mkdir()
    os.utime(old, (0, 0))
    (place / "precious").mkdir()
    (place / f"{PREFIX}link").symlink_to(place / "precious")
    (place / f"{PREFIX}file").write_text("")
    (place / "kexue-bench-rescued.jsonl").write_text("")
    kept = {path.name for path in place.iterdir()} - {old.name}
    assert sweep() == 1
    assert {path.name for path in place.iterdir()} == kept
    # A file system without locks cannot tell whether the driver lives.
    (place / f"{PREFIX}young" / "owner").write_text("")
    monkeypatch.setattr(scratch.OS_FILES, "lock", lambda fd: False)
    assert sweep() == 0
