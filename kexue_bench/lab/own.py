"""What tasks on the user's own files need in a worker: code is loaded here and nowhere else, and read once."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..store.cache import Cache, stamp_of
from .state import kept_generators

if TYPE_CHECKING:
    from types import ModuleType

    from ..api import Case

T = TypeVar("T")
_READ: dict[object, tuple[object, object]] = {}
_KEPT = 4
"""Files whose content a process keeps: the cases of one job share them."""


def once(read: Callable[[str], T], place: str) -> T:
    """What `read` makes of a file, kept for the next case of this process that works on the same content.

    Args:
        read: takes the absolute path, with `:function` if it is code; what it returns must not be changed.
        place: as a task gets it.
    """
    file = place.rpartition(":")[0] if place.rpartition(":")[0].endswith(".py") else place
    stat = Path(file).stat()
    key, stamp = (read, place), (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if key not in _READ or _READ[key][0] != stamp:
        value = read(place)
        while len(_READ) >= _KEPT:
            del _READ[next(iter(_READ))]
        _READ[key] = stamp, value
    return _READ[key][1]  # pyright: ignore[reportReturnType]  # written under the same function


def kept(make: Callable[[], float], place: str, what: str) -> float:
    """A number that is expensive to get from a file, kept on disk for the processes that need it after this one.

    Args:
        make: computes it.
        place: absolute path of the file.
        what: names the number and the version of its computation, as part of a file name.
    """
    cache, path = Cache(f"own-{what}", version="1"), Path(place)
    stamp = stamp_of(path)
    value = cache.get(place, stamp)
    if not isinstance(value, float):
        value = make()
        cache.put(place, stamp, value)
        # The processes of a run do not end by themselves.
        cache.save()
    return value


class RefusedError(ValueError):
    """What is wrong with a file, as the rest of a sentence that starts with its name."""


def content(place: str, readers: Mapping[str, Callable[[Path], T]], *, what: str) -> T:
    """What the reader for the suffix of a file makes of it.

    Args:
        place: the path.
        readers: suffix -> function that reads such a file, without running anything in it; it may raise `RefusedError`.
        what: what files hold, as the subject of a sentence: `a table`.

    Raises:
        ValueError: no reader has this suffix, the file was refused, or it could not be read.
    """
    path = Path(place)
    if path.suffix not in readers:
        raise ValueError(f"{what} must be in a file {', '.join(readers)}, got {path.name!r}")
    try:
        return readers[path.suffix](path)
    except RefusedError as error:
        raise ValueError(f"{path.name} {error}") from error
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise ValueError(f"{path.name} cannot be read as {path.suffix}, got {type(error).__name__}: {text}") from error


def function_of(place: str) -> Callable[..., object]:
    """The function that a field of type `CodePath` names; running its file is running its code.

    Modules beside the file can be imported, after those that are installed.

    Args:
        place: the absolute path with `:function`.

    Raises:
        TypeError: what bears that name cannot be called.
        Exception: whatever the file raises as it is loaded.
    """
    file, _, name = place.rpartition(":")
    found = getattr(once(_module, file), name)
    if not callable(found):
        raise TypeError(f"{Path(file).name}:{name} must be a function, got {type(found).__name__}")
    return found


def reach_beside(case: Case) -> None:
    """Let modules beside the user's code that a case names be imported, after those that are installed."""
    for given in (*case.task.files.values(), *case.method.files.values()):
        file = given.place.rpartition(":")[0]
        if file.endswith(".py"):
            _reach(file)


def _reach(file: str) -> None:
    folder = str(Path(file).parent)
    if folder not in sys.path:
        sys.path.append(folder)


def _module(file: str) -> ModuleType:
    _reach(file)
    # Never the name of an installed module.
    name = f"own_{Path(file).stem}_{hashlib.sha256(file.encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Known by its name while it runs, as dataclasses with deferred annotations need.
    sys.modules[name] = module
    try:
        # A file may seed the global generators, which is not the doing of the method that runs on it.
        with kept_generators():
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
