"""The scratch folder of a driver in the folder of temporary files, and those that killed drivers left there.

A driver holds a lock in its folder, which the kernel frees when the process ends, however it ends. So a folder whose
lock is free belongs to no driver. The next run ends the processes that this driver's server or its workers started and
that are still alive, which it knows by the path of the folder in their environment, and removes the folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from multiprocessing import util
from pathlib import Path

from ...files import OS_FILES, open_plain
from . import processes

PREFIX = "kexue-bench-scratch-"
_MARK = "KEXUE_BENCH_SCRATCH"
"""Environment variable of the server and of everything below it: the scratch folder of their driver."""
_OWNER = "owner"
_YOUNG = 600.0
"""Seconds that a folder without an owner's file is left alone: its driver may be about to write the file."""
_TRIES = 20
"""How often in a row a sweep may take the new folder of a driver before it has the lock."""
_LONGEST = 60
"""Bytes of the path of a folder in which the path of a socket in a scratch folder (107 at most) still fits."""
_lock = threading.Lock()
_homes: dict[int, Scratch] = {}
"""This process -> its folder; a forked process has an entry of its parent."""


def home() -> Path:
    """The scratch folder of this process: made on first use, or again if it was removed; removed at its end.

    It is below the folder of temporary files, or below a shorter one if sockets would not fit there.

    Raises:
        OSError: no such folder can be written.
    """
    with _lock:
        mine = _homes.get(os.getpid())
        if mine is None or not mine.path.is_dir():
            mine = _homes[os.getpid()] = Scratch(_place())
            util.Finalize(None, mine.remove, exitpriority=-100)
        return mine.path


def mark(folder: Path) -> tuple[str, str]:
    """Name and value of the variable by which processes of the driver with this folder are known."""
    return _MARK, os.path.realpath(folder)


def _place() -> Path:
    """Where sockets fit."""
    usual = tempfile.gettempdir()
    for folder in (usual, "/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108  # a fresh folder is made inside
        if len(os.fsencode(folder)) <= _LONGEST and os.access(folder, os.W_OK):
            return Path(folder)
    raise OSError(f"no folder of temporary files has a path that is short enough for a socket: {usual}; set TMPDIR")


class Scratch:
    """A new scratch folder, with the lock of this process.

    Args:
        place: the folder in which it is made, swept before.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, place: Path) -> None:
        sweep(place)
        for _ in range(_TRIES):
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            self._fd = open_plain(self.path / _OWNER, os.O_RDWR | os.O_CREAT)
            if self._owns():
                return
            os.close(self._fd)
        raise OSError(f"new folders in {place} are removed at once")

    def _owns(self) -> bool:
        """Take the lock. Another driver may have swept the folder before; then the file that was locked is gone."""
        try:
            OS_FILES.lock(self._fd)
            return os.path.samestat(os.fstat(self._fd), (self.path / _OWNER).stat())
        except (BlockingIOError, FileNotFoundError):
            return False

    def remove(self) -> None:
        """Remove the folder and free the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._fd)


def sweep(place: Path) -> int:
    """End what this user's dead drivers left running, and remove their scratch folders; returns the number of folders.

    What cannot be removed stays.
    """
    count = 0
    with contextlib.suppress(OSError):
        for path in place.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                count += _remove_if_dead(path)
    return count


def _remove_if_dead(path: Path) -> bool:
    known = path.lstat()
    if path.is_symlink() or not path.is_dir() or known.st_uid != os.getuid():
        return False
    try:
        fd = open_plain(path / _OWNER, os.O_RDWR)
    except FileNotFoundError:
        if time.time() - known.st_mtime < _YOUNG:
            return False
        shutil.rmtree(path)
        return True
    try:
        # BlockingIOError: its driver is alive. Without locks it may be.
        if not OS_FILES.lock(fd):
            return False
        processes.end_marked(*mark(path))
        shutil.rmtree(path)
    finally:
        os.close(fd)
    return True
