"""Data read from files before, kept in the user's cache folder for speed; nothing depends on it.

One JSON file holds an entry for each file that was read, with the file's size and times. It is read once, and written
once at the end of a process that added to it. A cache that is missing, damaged, of another user, or of another version
is ignored; one that cannot be written stays as it is.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import stat
import time
from functools import cached_property
from pathlib import Path

from ..files import OS_FILES, Files, write_atomic

VARIABLE = "KEXUE_BENCH_CACHE"
"""Environment variable that names a folder to use instead of the user's cache folder."""
Stamp = tuple[int, int, int]
"""Size of a file, and when its content and its entry last changed, in ns."""
_LARGEST = 1 << 26
# A file may change twice within the resolution of its times (2 s on some file systems), so newer files are not cached.
_SETTLED = 2_000_000_000


def folder() -> Path:
    """The folder of the caches."""
    import platformdirs

    override = os.environ.get(VARIABLE)
    return Path(override) if override else platformdirs.user_cache_path("kexue-bench", appauthor=False)


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file.

    Raises:
        OSError: there is no such file.
    """
    known = path.stat()
    return known.st_size, known.st_mtime_ns, known.st_ctime_ns


class Cache:
    """Data about files, by path and stamp.

    Args:
        name: name of the file in the cache folder.
        version: version of the code that makes the entries; entries of another version are not read.
    """

    def __init__(self, name: str, *, version: str, files: Files = OS_FILES) -> None:
        self._name, self._version, self._files = name, version, files
        self._new: dict[str, list[object]] = {}

    @cached_property
    def path(self) -> Path:
        """The file of this cache."""
        return folder() / f"{self._name}.json"

    @cached_property
    def _entries(self) -> dict[str, object]:
        try:
            return self._load()
        # RuntimeError: there is no home folder.
        except (OSError, ValueError, RecursionError, RuntimeError):
            return {}

    def _load(self) -> dict[str, object]:
        """Every entry of the file.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged.
        """
        if not _is_mine(self.path.lstat()):
            return {}
        fd = self._files.open(self.path, os.O_RDONLY)
        with os.fdopen(fd, "rb") as file:
            digest, _, body = file.read(_LARGEST).partition(b"\n")
        if digest != _digest(body):
            return {}
        match json.loads(body):
            case {"version": self._version, "entries": dict(entries)}:
                return entries
        return {}

    def get(self, path: str, stamp: Stamp) -> object | None:
        """The entry of a file with this stamp, or None. The caller checks its form."""
        match self._entries.get(path):
            case [[*known], data] if tuple(known) == stamp:
                return data
        return None

    def put(self, path: str, stamp: Stamp, data: object) -> None:
        """Keep data read from a file; nothing is written before the process ends."""
        if time.time_ns() - max(stamp[1:]) < _SETTLED:
            return
        if not self._new:
            atexit.register(self.save)
        self._new[path] = [list(stamp), data]

    def save(self) -> None:
        """Merge new entries with those that other processes wrote meanwhile; entries of deleted files are dropped."""
        if not self._new:
            return
        self.__dict__.pop("_entries", None)
        entries = {path: entry for path, entry in self._entries.items() if Path(path).exists()} | self._new
        try:
            body = json.dumps({"version": self._version, "entries": entries}, separators=(",", ":"), allow_nan=False)
            data = body.encode("ascii")
            if len(data) + len(_digest(b"")) < _LARGEST:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self.path, _digest(data) + b"\n" + data, files=self._files)
        except (OSError, ValueError, TypeError, RecursionError, RuntimeError):
            return
        self._new.clear()


def _is_mine(known: os.stat_result) -> bool:
    """Whether a file is a plain file that only this user can have written."""
    own = not hasattr(os, "getuid") or (known.st_uid == os.getuid() and not known.st_mode & 0o022)
    return own and stat.S_ISREG(known.st_mode) and known.st_size <= _LARGEST


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode("ascii")
