"""The calls through which a run accesses the disk, in one place, so that a test can make any of them fail."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: the folder is used without a lock, and the writer says so
    fcntl = None

_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Files:
    """The calls through which a run accesses the disk; tests replace them to make any of them fail."""

    def open(self, path: Path, flags: int) -> int:
        """Open without following a link at `path` and without leaving the descriptor to child processes."""
        return os.open(path, flags | _FLAGS, 0o644)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        """Write once; the number of bytes taken may be smaller than `len(data)`."""
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        """Return when everything written to `fd` is on disk."""
        os.fsync(fd)

    def replace(self, source: Path, target: Path) -> None:
        """Rename over `target` in one step."""
        source.replace(target)

    def fsync_dir(self, path: Path) -> None:
        """Return when the names in the folder `path` are on disk."""
        if os.name == "nt":
            return
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, fd: int) -> bool:
        """Take the lock, which the kernel frees when the process ends; False if the file system has no locks.

        Raises:
            BlockingIOError: another process holds it.
        """
        if fcntl is None:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return False
        return True


OS_FILES = Files()


def open_plain(path: Path, flags: int = os.O_RDONLY, *, files: Files = OS_FILES) -> int:
    """Open a plain file, without following a link at `path` and without waiting for a pipe or a device.

    Raises:
        FileNotFoundError: nothing is there, and `flags` creates nothing.
        OSError: it cannot be opened, or is a link, a folder, a pipe or a device.
    """
    try:
        fd = files.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    except OSError as error:
        if path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link, and links are not followed") from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is not a plain file")
    return fd


def write_all(files: Files, fd: int, data: bytes) -> None:
    """Write all of `data`, however few bytes the disk takes at a time.

    Raises:
        OSError: the disk takes no more bytes.
    """
    rest = memoryview(data)
    while rest:
        taken = files.write(fd, rest)
        if taken <= 0:
            raise OSError("the disk took no bytes")
        rest = rest[taken:]


def write_atomic(path: Path, data: bytes, *, files: Files = OS_FILES) -> None:
    """Write a whole file so that a reader, or a crash, sees the old content or the new one, never a part.

    Raises:
        OSError: it could not be written; the old content is kept.
    """
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.tmp")
    try:
        fd = files.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write_all(files, fd, data)
            files.fsync(fd)
        finally:
            os.close(fd)
        files.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    files.fsync_dir(path.parent)


def reason_of(error: OSError) -> str:
    """The system's message of an error, without its number and path."""
    return error.strerror or str(error)


def shortened(file: str) -> str:
    """A path that does not name the user, if the file is below the home folder."""
    try:
        home = Path.home()
    except RuntimeError:
        return file
    return str(Path("~") / Path(file).relative_to(home)) if Path(file).is_relative_to(home) else file
