"""The code that a worker has really loaded, and whether it is still the same.

The fingerprint of a case covers what its own package imports, as far as that can be read from the sources. A worker
also reports every loaded module that is neither of the standard library nor of an installed distribution (an editable
installation is source), with the digest of its file, and the versions of the distributions that it loaded. The list is
a side file of the run, and a resume compares it with the files as they are then, without importing anything.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
import tempfile
import types
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import cast

import psutil

from ..api import Outcome
from ..files import open_plain, shortened
from ..modules import find
from .codec import check_weight
from .details import digest_of

SOURCES = "sources"
"""The folder of lists of loaded code, below that of the run."""
_SITES = frozenset({"site-packages", "dist-packages"})
# At import: a method may have used up the descriptors by the time it is needed.
_STANDARD = os.path.realpath(sysconfig.get_path("stdlib")) + os.sep
_LARGEST_FILE = 1 << 30
_LARGEST_TEXT = 128 << 20
_CHUNK = 1 << 20


# -- in a worker ------------------------------------------------------------------------------------------------------


class Loaded:
    """The code that this process has loaded so far; a fork continues with what its parent knew."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._modules: dict[str, tuple[str, str]] = {}
        self._packages: dict[str, str] = {}

    def take(self, since: int = 0) -> None:
        """Look at the modules that were imported after the last call.

        Args:
            since: time in ns at or after which they were imported; 0 for the start of this process. The digest of a
                file that changed later is unknown, because the old content may have been loaded.
        """
        since = since or int(psutil.Process().create_time() * 1e9)
        for name, module in list(sys.modules.items()):
            if name in self._known:
                continue
            self._known.add(name)
            file = "" if name in {"__main__", "__mp_main__"} else _file_of(module)
            try:
                self._add(name, file, since)
            except OSError:
                # The method used up the descriptors, for example: what cannot be read is unknown, and runs again.
                self._modules[name] = (file, "")

    def _add(self, name: str, file: str, since: int) -> None:
        if not file or _is_passing(file):
            return
        if versions := _versions(name.partition(".")[0], file):
            self._packages |= versions
        else:
            self._modules[name] = (shortened(file), _digest_since(file, since))

    def text(self) -> str:
        """The list as JSON: `modules` (name -> file and digest) and `packages` (distribution -> version)."""
        return json.dumps({"modules": self._modules, "packages": self._packages}, sort_keys=True)


LOADED = Loaded()


def _file_of(module: object) -> str:
    """The file of a module, or the archive that holds it; empty if it has none."""
    # Not by attribute: a lazy module may import something, or raise, when one is read.
    space = module.__dict__ if isinstance(module, types.ModuleType) else {}
    file = space.get("__file__")
    if not isinstance(file, str):
        return ""
    archive = getattr(space.get("__loader__"), "archive", None)
    return os.path.realpath(archive if isinstance(archive, str) else file)


def _is_passing(file: str) -> bool:
    """Whether a file is of the standard library, or was written by torch.compile for this process."""
    if file.startswith(_STANDARD):
        return not _SITES & set(Path(file).parts)
    made = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or f"{tempfile.gettempdir()}{os.sep}torchinductor_"
    return file.startswith(os.path.realpath(made))


@cache
def _owners() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


@cache
def _installed(top: str) -> tuple[tuple[str, str, str], ...]:
    """Folder, name and version of each distribution with a top-level module `top`, editable ones left out."""
    found: list[tuple[str, str, str]] = []
    for name in sorted(set(_owners().get(top, ()))):
        try:
            distribution = metadata.distribution(name)
        except (metadata.PackageNotFoundError, ValueError):
            continue
        folder = os.path.realpath(str(distribution.locate_file("")))
        if Path(folder).name in _SITES or distribution.read_text("RECORD") is not None:
            found.append((folder + os.sep, name, distribution.version))
    return tuple(found)


def _versions(top: str, file: str) -> dict[str, str]:
    """Name and version of the distributions to which a module with this file belongs; empty if it is source."""
    parts = Path(file).parts
    if site := next((at for at, part in enumerate(parts) if part in _SITES), 0):
        # Some extension modules have a name of their own in `sys.modules`.
        top = parts[site + 1].partition(".")[0]
    return {name: version for folder, name, version in _installed(top) if file.startswith(folder)}


def _digest_since(file: str, since: int) -> str:
    try:
        return "" if Path(file).stat().st_mtime_ns > since else _digest(file)
    except OSError:
        return ""


def _digest(file: str) -> str:
    """Digest of a file.

    Raises:
        OSError: it cannot be read, is not a plain file, or too large for code.
    """
    digest = hashlib.sha256()
    with os.fdopen(open_plain(Path(file)), "rb") as stream:
        if os.fstat(stream.fileno()).st_size > _LARGEST_FILE:
            raise OSError("too large for code")
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:16]


# -- at a desk --------------------------------------------------------------------------------------------------------


def edited(folder: Path, outcomes: Iterable[Outcome]) -> frozenset[str]:
    """Keys of the outcomes of the run in `folder` whose code is not as it was when they were made, or not known."""
    by_list: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.sources:
            by_list.setdefault(outcome.sources, []).append(outcome.key)
    now = _Present()
    keys: list[str] = []
    for digest, same in by_list.items():
        text = read_text(folder / SOURCES, digest)
        if text is None or not now.matches(text):
            keys.extend(same)
    return frozenset(keys)


def read_text(folder: Path, digest: str) -> str | None:
    """A side file by its digest; None if it is missing, damaged, a link or too large."""
    if not digest.isalnum() or folder.is_symlink():
        return None
    try:
        with os.fdopen(open_plain(folder / f"{digest}.json"), "rb") as stream:
            text = stream.read(_LARGEST_TEXT).decode("utf-8")
    except (OSError, ValueError):
        return None
    return text if digest_of(text) == digest else None


class _Present:
    """Files and distributions as they are now, each looked at once."""

    def __init__(self) -> None:
        self._files: dict[str, str | None] = {}
        self._versions: dict[str, str] = {}

    def matches(self, text: str) -> bool:
        """Whether everything in a list is as it was."""
        try:
            check_weight(text.encode())
            data = json.loads(text)
            modules = cast("dict[str, tuple[str, str]]", data["modules"])
            packages = cast("dict[str, str]", data["packages"])
            return all(self._version(name) == version for name, version in packages.items()) and all(
                digest and self._file(name, file) == digest for name, (file, digest) in modules.items()
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False

    def _version(self, name: str) -> str:
        if name not in self._versions:
            try:
                self._versions[name] = metadata.version(name)
            except (metadata.PackageNotFoundError, ValueError):
                self._versions[name] = ""
        return self._versions[name]

    def _file(self, module: str, file: str) -> str | None:
        """The digest of a file; if it is gone, of the file in which the module is now: a project may have moved."""
        if file not in self._files:
            try:
                self._files[file] = _digest(str(Path(file).expanduser()))
            except (OSError, ValueError, RuntimeError):
                self._files[file] = None
        if self._files[file] is not None:
            return self._files[file]
        spec = find(module)
        try:
            return _digest(spec.origin) if spec is not None and spec.origin else None
        except (OSError, ValueError):
            return None
