"""What a worker and its native libraries print: one bounded file per slot, attached to outcomes as text."""

from __future__ import annotations

import ctypes
import faulthandler
import io
import os
import re
import sys
from pathlib import Path

KEEP = 8_000
"""Most bytes of output in an outcome."""
CAP = 1 << 20
"""Bytes a capture file may hold before the driver cuts it."""
_HIGH_FD = 200
_KEEP_SIZE_AND_PUNCH = 0x03
_MODULES = re.compile(rb"\n*^Extension modules: .*$", re.MULTILINE)
_OURS = re.compile(
    rb'^  File "(?:[^"\n]*(?:/kexue_bench/run/(?:worker|engines/\w+)|/pebble/(?:\w+/)*\w+|/multiprocessing/\w+)\.py'
    rb'|<string>)", line \d+ in .*\n?',
    re.MULTILINE,
)


def bounded(data: bytes | str, keep: int = KEEP) -> str:
    """The first quarter and the last three quarters of `keep` bytes, as text, with a note of what was left out."""
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    # The fault handler lists every extension module that is loaded, 6 kB of unhelpful names, and the frames below
    # the worker, which are the same for every case.
    raw = _OURS.sub(b"", _MODULES.sub(b"", raw))
    if len(raw) > keep:
        head, tail = raw[: keep // 4], raw[-(keep - keep // 4) :]
        raw = head + f"\n[... {len(raw) - keep} bytes left out ...]\n".encode() + tail
    return raw.decode("utf-8", "replace").strip("\n")


def _ends(path: Path, start: int, stop: int) -> bytes:
    """The bytes of a file from `start` to `stop`, or the first and the last of them with a note between."""
    with path.open("rb") as file:
        file.seek(start)
        # The middle of an earlier flood is now a hole and reads as zeros.
        if stop - start <= CAP:
            return file.read(stop - start).lstrip(b"\0")
        head = file.read(KEEP // 4).strip(b"\0")
        file.seek(stop - KEEP // 2)
        return head + f"\n[... {stop - start} bytes in all ...]\n".encode() + file.read(KEEP // 2)


class Capture:
    """The worker's side: file descriptors 1 and 2 and the fault handler write to one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._since = 0

    def redirect(self) -> None:
        """Send stdout, stderr and fatal stack dumps to the file; stdin is empty.

        The fault handler has a separate high descriptor, because some code closes the low ones.
        """
        import fcntl
        import resource

        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (fd, 1), (fd, 2)):
            os.dup2(source, target)
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = _HIGH_FD if most == resource.RLIM_INFINITY else min(_HIGH_FD, most - 1)
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, highest)
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
    """The driver's side: limits the file while a worker floods it, and reads it after the worker's death."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def clear(self) -> None:
        """Discard everything printed so far."""
        try:
            if self._path.stat().st_size:
                os.truncate(self._path, 0)
        except OSError:
            return

    def trim(self) -> None:
        """Free the disk space between the two ends of a file that takes more than `CAP`.

        Its size does not change, so neither the writers nor the worker's reader notice. If the file system has no
        holes, the file is truncated to 0 bytes: its writers append, so they continue at the new end.
        """
        try:
            status = self._path.stat()
            if status.st_blocks * 512 <= CAP:
                return
            with self._path.open("r+b") as file:
                if not _punch(file.fileno(), KEEP, status.st_size - 2 * KEEP):
                    file.truncate(0)
        except OSError:
            return

    def text(self) -> str:
        """Head and tail of what was printed."""
        try:
            return bounded(_ends(self._path, 0, self._path.stat().st_size))
        except OSError:
            return ""


def _punch(fd: int, offset: int, size: int) -> bool:
    """Make a hole in a file (Linux); False if that is not possible."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.fallocate(fd, _KEEP_SIZE_AND_PUNCH, ctypes.c_int64(offset), ctypes.c_int64(size)) == 0
