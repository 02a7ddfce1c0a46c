"""Breadcrumbs: what one side writes the other reads, whole."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from kexue_bench.run.crumb import Crumb


def test_a_breadcrumb_reads_back_what_was_written(tmp_path):
    """One side writes, the other reads; a member's clock starts with the member and not with its phase."""
    writer, reader = Crumb(tmp_path / "crumb"), Crumb(tmp_path / "crumb")
    assert reader.read().pid == 0
    writer.begin()
    writer.enter(7)
    stamp = reader.read().stamp
    writer.phase("time")
    position = reader.read()
    assert (position.pid, position.member, position.phase, position.stamp) == (os.getpid(), 7, "time", stamp)
    reader.clear()
    assert writer.read().pid == 0


def test_a_breadcrumb_is_never_read_half_written(tmp_path):
    """A driver that looks while a member begins sees the old stamp or the new one: no member seems hours old."""
    path = tmp_path / "crumb"
    Crumb(path).begin()
    code = f"from kexue_bench.run import crumb as c\nx = c.Crumb(c.Path({str(path)!r}))\nwhile 1: x.enter(3)"
    root = Path(__file__).parents[2]
    reader = Crumb(path)
    writer = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(root)})
    try:
        end = time.monotonic() + 20
        while reader.read().member != 3 and time.monotonic() < end:
            time.sleep(0.01)
        oldest = max(time.monotonic() - reader.read().stamp for _ in range(200_000))
    finally:
        writer.kill()
        writer.wait()
    assert oldest < 15


def test_a_new_job_starts_without_what_the_last_one_wrote(tmp_path):
    """Member, phase and clock are those of the job that begins."""
    crumb = Crumb(tmp_path / "crumb")
    crumb.begin()
    crumb.enter(3)
    crumb.phase("time")
    crumb.begin()
    position = crumb.read()
    assert (position.pid, position.server, position.member) == (os.getpid(), os.getppid(), 0)
    assert position.phase == "start"
    assert position.begun == position.stamp <= time.monotonic()


def test_a_spoiled_breadcrumb_reads_as_no_phase(tmp_path):
    """A method may write anywhere in its memory: the driver that reads the bytes does not raise."""
    path = tmp_path / "crumb"
    crumb = Crumb(path)
    path.write_bytes(b"\xff" * path.stat().st_size)
    assert crumb.read().phase == ""


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a file system in memory")
def test_a_breadcrumb_has_its_block_from_the_start():
    """In memory a file has no page before its first byte: a write would end the process once the memory is full."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="kexue-bench-test-") as folder:
        Crumb(Path(folder, "crumb"))
        assert Path(folder, "crumb").stat().st_blocks > 0
