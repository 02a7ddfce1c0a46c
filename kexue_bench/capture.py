"""What a worker and its native libraries print: kept in one file a slot, bounded, and attached to outcomes as text."""

from __future__ import annotations

import faulthandler
import io
import os
import re
import sys
from pathlib import Path

KEEP = 8_000
"""Bytes of output that an outcome carries at most."""
CAP = 1 << 20
"""Bytes a capture file may hold before the driver cuts it."""
_HIGH_FD = 200
_MODULES = re.compile(rb"\n*^Extension modules: .*$", re.MULTILINE)


def bounded(data: bytes | str, keep: int = KEEP) -> str:
    """The first quarter and the last three quarters of `keep` bytes, as text, with a note of what was left out."""
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    # The fault handler lists every extension module that is loaded, 6 kB of names that help nobody.
    raw = _MODULES.sub(b"", raw)
    if len(raw) > keep:
        head, tail = raw[: keep // 4], raw[-(keep - keep // 4) :]
        raw = head + f"\n[... {len(raw) - keep} bytes left out ...]\n".encode() + tail
    return raw.decode("utf-8", "replace").strip("\n")


def _ends(path: Path, start: int, stop: int) -> bytes:
    """The bytes of a file from `start` to `stop`, or the first and the last of them with a note between."""
    with path.open("rb") as file:
        file.seek(start)
        if stop - start <= CAP:
            return file.read(stop - start)
        head = file.read(KEEP // 4)
        file.seek(stop - KEEP // 2)
        return head + f"\n[... {stop - start} bytes in all ...]\n".encode() + file.read(KEEP // 2)


class Capture:
    """The worker's side: file descriptors 1 and 2 and the fault handler write to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._since = 0

    def redirect(self) -> None:
        """Send stdout, stderr and fatal stack dumps to the file; stdin reads nothing.

        The fault handler has a descriptor of its own, out of the way of code that closes the low ones.
        """
        import fcntl

        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (fd, 1), (fd, 2)):
            os.dup2(source, target)
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)
        os.close(fd)
        os.close(null)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True, errors="backslashreplace")
        faulthandler.enable(file=high)

    def take(self) -> str:
        """What was printed since the last call."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                continue
        try:
            size = self._path.stat().st_size
            if size == self._since:
                return ""
            if size < self._since:
                self._since = 0
            data, self._since = _ends(self._path, self._since, size), size
        except OSError:
            return ""
        return bounded(data)


class Tail:
    """The driver's side: keeps the file small while a worker floods it, and reads it after the worker's death."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = b""
        self._dropped = 0

    def clear(self) -> None:
        """Forget everything printed so far."""
        self._head, self._dropped = b"", 0
        try:
            if self._path.stat().st_size:
                os.truncate(self._path, 0)
        except OSError:
            return

    def trim(self) -> None:
        """Cut the file to nothing when it exceeds `CAP`; its writers append, so they go on at the new end."""
        try:
            size = self._path.stat().st_size
            if size <= CAP:
                return
            if not self._head:
                with self._path.open("rb") as file:
                    self._head = file.read(KEEP // 4)
            os.truncate(self._path, 0)
        except OSError:
            return
        self._dropped += size

    def text(self) -> str:
        """Head and tail of what was printed."""
        try:
            data = self._path.read_bytes()
        except OSError:
            data = b""
        if self._head:
            note = f"\n[... about {self._dropped} bytes left out ...]\n".encode()
            return self._head.decode("utf-8", "replace") + note.decode() + bounded(data, KEEP * 3 // 4)
        return bounded(data)
