"""Breadcrumbs: a few mapped bytes through which a worker says who is running, read by the driver after its death.

Writing one is a store into shared memory, without a system call, so that it may stand before every timed block.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

PHASES = ("", "start", "resolve", "build", "tune", "evaluate", "verify", "time", "report")
_LAYOUT = struct.Struct("=ddIIHB")
_STAMP = struct.Struct("=d")
_MEMBER = struct.Struct("=H")
_STAMP_AT, _MEMBER_AT, _PHASE_AT = 8, 24, 26


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a worker was.

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
    """One mapped file; the worker of a slot writes it, the driver reads it. The monotonic clock is the machine's."""

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, _LAYOUT.size)
            self._map = mmap.mmap(fd, _LAYOUT.size)
        finally:
            os.close(fd)

    def begin(self) -> None:
        """A worker takes a job; the pid comes last, since it is what the driver waits for."""
        now = time.monotonic()
        _LAYOUT.pack_into(self._map, 0, now, now, 0, os.getppid(), 0, 1)
        struct.pack_into("=I", self._map, 16, os.getpid())

    def enter(self, member: int) -> None:
        """Member `member` begins (again); its time limit counts from here."""
        _MEMBER.pack_into(self._map, _MEMBER_AT, member)
        _STAMP.pack_into(self._map, _STAMP_AT, time.monotonic())

    def phase(self, name: str) -> None:
        """The running member reaches a phase; its time limit goes on."""
        self._map[_PHASE_AT] = PHASES.index(name)

    def clear(self) -> None:
        """Nobody is running."""
        self._map[:] = bytes(_LAYOUT.size)

    def read(self) -> Position:
        """The position last written."""
        begun, stamp, pid, server, member, phase = _LAYOUT.unpack_from(self._map)
        name = PHASES[phase] if phase < len(PHASES) else ""
        return Position(pid=pid, server=server, begun=begun, stamp=stamp, member=member, phase=name)

    def close(self) -> None:
        """Unmap."""
        self._map.close()
