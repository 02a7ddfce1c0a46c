"""Breadcrumbs: a few mapped bytes in which a worker records what is running, read by the driver after its death.

Writing one is a store to shared memory without a system call, so it may precede every timed block.
"""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass
from pathlib import Path

PHASES = ("", "start", "resolve", "build", "tune", "evaluate", "verify", "time", "report")
_SIZE = 48
_BEGUN, _STAMP = 0, 1
_PID, _SERVER, _MEMBER, _PHASE = 2, 3, 4, 5


def _allocate(fd: int) -> None:
    # A page that is first written when the disk is full would end the process by SIGBUS.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, _SIZE)
    else:
        os.ftruncate(fd, _SIZE)


@dataclass(frozen=True, kw_only=True)
class Position:
    """The last position of a worker.

    Args:
        pid: the worker; 0 before it has taken the job.
        server: its parent, the fork server.
        begun: monotonic second at which it took the job.
        stamp: monotonic second at which the running member began.
        member: index of the running case in the job.
        phase: one of `PHASES`.
    """

    pid: int
    server: int
    begun: float
    stamp: float
    member: int
    phase: str


class Crumb:
    """One mapped file; the worker of a slot writes it, the driver reads it. The monotonic clock is the machine's.

    Every field is an aligned word that is stored and loaded whole: `struct.pack_into` clears the bytes before it writes
    them, and a driver that reads in between would see a start time of 0.
    """

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _allocate(fd)
            self._map = mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)
        self._bytes = memoryview(self._map)
        self._times, self._words = self._bytes.cast("d"), self._bytes.cast("Q")

    def begin(self) -> None:
        """A worker takes a job; the pid comes last, because the driver waits for it."""
        self._times[_BEGUN] = self._times[_STAMP] = time.monotonic()
        self._words[_MEMBER] = 0
        self._words[_PHASE] = 1
        self._words[_SERVER] = os.getppid()
        self._words[_PID] = os.getpid()

    def enter(self, member: int) -> None:
        """Member `member` begins (again); its time limit counts from here."""
        # The stamp first: a driver that reads in between must not charge this member for the time of the last one.
        self._times[_STAMP] = time.monotonic()
        self._words[_MEMBER] = member

    def phase(self, name: str) -> None:
        """The running member reaches a phase; its time limit continues."""
        self._words[_PHASE] = PHASES.index(name)

    def clear(self) -> None:
        """No case is running."""
        # The pid first: it says whether the rest is valid.
        for word in (_PID, _SERVER, _BEGUN, _STAMP, _MEMBER, _PHASE):
            self._words[word] = 0

    def read(self) -> Position:
        """The position last written."""
        words = self._words
        phase = words[_PHASE]
        return Position(
            pid=words[_PID],
            server=words[_SERVER],
            begun=self._times[_BEGUN],
            stamp=self._times[_STAMP],
            member=words[_MEMBER],
            phase=PHASES[phase] if phase < len(PHASES) else "",
        )

    def close(self) -> None:
        """Unmap."""
        for view in (self._times, self._words, self._bytes):
            view.release()
        self._map.close()
