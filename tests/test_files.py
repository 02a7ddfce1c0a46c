"""files: a whole file is written or none, whatever the disk does."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from pathlib import Path

import pytest
from disks import FAULTS, Faulty

from kexue_bench import files
from kexue_bench.files import OS_FILES, Files, reason_of, write_all, write_atomic


@pytest.mark.parametrize(("kind", "fault"), [*FAULTS, ("replace", errno.EIO)])
def test_an_atomic_write_is_old_or_new(tmp_path, kind, fault):
    """Whatever call fails, the file holds the old content or the new one whole, and no temporary file stays."""
    path = tmp_path / "run.json"
    for at in range(1, 6):
        write_atomic(path, b"old")
        with contextlib.suppress(OSError):
            write_atomic(path, b"new content", files=Faulty(kind, at, fault, sticky=True))
        assert path.read_bytes() in {b"old", b"new content"}
        assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_the_default_layer_is_the_disk():
    """Nobody gets a layer without syncs by accident."""
    assert type(OS_FILES) is Files


def test_everything_is_written_however_little_the_disk_takes():
    """One byte a call is slow and whole; a disk that takes nothing is an error and not an endless loop."""
    taken = bytearray()

    class Drop(Files):
        def write(self, fd, data):
            taken.extend(data[:1])
            return 1

    write_all(Drop(), -1, b"abc")
    assert bytes(taken) == b"abc"

    class Full(Files):
        def write(self, fd, data):
            return 0

    with pytest.raises(OSError, match="took no bytes"):
        write_all(Full(), -1, b"abc")


def test_the_content_is_on_the_disk_before_its_name_is():
    """Sync, rename, sync of the folder: in any other order a crash can leave an empty file under the name."""
    calls = []

    class Told(Files):
        def fsync(self, fd):
            calls.append("fsync")

        def replace(self, source, target):
            calls.append("replace")
            super().replace(source, target)

        def fsync_dir(self, path):
            calls.append("fsync_dir")

    with tempfile.TemporaryDirectory() as folder:
        write_atomic(Path(folder) / "x", b"content", files=Told())
    assert calls == ["fsync", "replace", "fsync_dir"]


@pytest.mark.skipif(sys.platform == "win32", reason="locks are POSIX")
def test_a_lock_is_free_again_when_its_file_is_closed(tmp_path):
    """Held by one descriptor, refused to another, and given back by the kernel."""
    path = tmp_path / "lock"
    first = OS_FILES.open(path, os.O_RDWR | os.O_CREAT)
    assert OS_FILES.lock(first)
    second = OS_FILES.open(path, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        OS_FILES.lock(second)
    os.close(first)
    assert OS_FILES.lock(second)
    os.close(second)


def test_a_reason_is_what_the_system_says():
    """Without number and path; an error of our own has its text."""
    assert reason_of(OSError(errno.ENOSPC, "No space left on device", "/some/path")) == "No space left on device"
    assert reason_of(OSError("the disk took no bytes")) == "the disk took no bytes"


def test_a_disk_without_locks_says_so(tmp_path, monkeypatch):
    """Some file systems refuse them, some systems have none: the run goes on without, and is told."""
    fd = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    try:
        monkeypatch.setattr(files, "fcntl", None)
        assert not OS_FILES.lock(fd)

        class Refusing:
            LOCK_EX = LOCK_NB = 0

            @staticmethod
            def flock(fd, how):
                raise OSError(errno.ENOLCK, "no locks")

        monkeypatch.setattr(files, "fcntl", Refusing)
        assert not OS_FILES.lock(fd)
    finally:
        os.close(fd)
