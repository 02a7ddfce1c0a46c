"""Disks that are fast, full or broken, in place of the real one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from kexue_bench.files import Files


class NoSync(Files):
    """A file layer whose syncs cost nothing."""

    def fsync(self, fd: int) -> None:
        """Nothing."""

    def fsync_dir(self, path: Path) -> None:
        """Nothing."""


class Faulty(NoSync):
    """Fails at the n-th call of one kind, once or from then on; a short write takes half of the bytes."""

    def __init__(self, kind: str, at: int, fault: int | str, *, sticky: bool) -> None:
        self.kind, self.at, self.fault, self.sticky = kind, at, fault, sticky
        self.calls = 0

    def hit(self, kind: str) -> bool:
        if kind != self.kind:
            return False
        self.calls += 1
        return self.calls == self.at or (self.sticky and self.calls > self.at)

    def fail(self):
        raise OSError(self.fault, os.strerror(self.fault))

    def open(self, path, flags):
        return self.fail() if self.hit("open") else super().open(path, flags)

    def write(self, fd, data):
        if not self.hit("write"):
            return super().write(fd, data)
        if self.fault == "short":
            return super().write(fd, data[: len(data) // 2 or 1])
        if self.fault == "partial":
            super().write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.fault == "nothing":
            return 0
        return self.fail()

    def fsync(self, fd):
        if self.hit("fsync"):
            self.fail()

    def replace(self, source, target):
        if self.hit("replace"):
            self.fail()
        super().replace(source, target)

    def fsync_dir(self, path):
        if self.hit("fsync_dir"):
            self.fail()


FAULTS = [
    *(("write", fault) for fault in (errno.EIO, errno.ENOSPC, "short", "partial", "nothing")),
    *(("fsync", fault) for fault in (errno.EIO, errno.ENOSPC)),
    ("open", errno.EACCES),
    ("fsync_dir", errno.EIO),
]
