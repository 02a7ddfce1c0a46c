"""The scratch folder of a driver in the folder of temporary files, and those that killed drivers left there.

A driver holds a lock in its folder, which the kernel frees when the process ends, however it ends. So a folder whose
lock is free belongs to no driver, and the next run removes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from ..files import OS_FILES, open_plain

PREFIX = "kexue-bench-scratch-"
_OWNER = "owner"
_YOUNG = 600.0
"""Seconds that a folder without an owner's file is left alone: its driver may be about to write the file."""


class Scratch:
    """A new scratch folder, with the lock of this process.

    Raises:
        OSError: the folder of temporary files cannot be written.
    """

    def __init__(self) -> None:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._fd = open_plain(self.path / _OWNER, os.O_RDWR | os.O_CREAT)
        with contextlib.suppress(BlockingIOError):
            OS_FILES.lock(self._fd)

    def remove(self) -> None:
        """Remove the folder and free the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._fd)


def sweep() -> int:
    """Remove the scratch folders of this user's dead drivers; returns their number. What cannot be removed stays."""
    count = 0
    with contextlib.suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                count += _remove_if_dead(path)
    return count


def _remove_if_dead(path: Path) -> bool:
    known = path.lstat()
    if path.is_symlink() or not path.is_dir() or (hasattr(os, "getuid") and known.st_uid != os.getuid()):
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
        shutil.rmtree(path)
    finally:
        os.close(fd)
    return True
