"""Settings of the process that everybody shares, and that methods, tasks and plugins must leave as they are.

Those of torch and numpy are looked at only where they are loaded, so that the desk can watch a plugin's import too.
"""

from __future__ import annotations

import gc
import locale
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

THREADS = "running threads"
"""The one watched setting that nothing can restore."""


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """One setting.

    Args:
        read: its value; of a library, called with it.
        write: sets it; of a library, called with it first. None where nothing can.
        library: the library that must be loaded; empty for none.
        fresh: its value where the library was imported meanwhile; None if that is unknown.
    """

    read: Callable[..., object]
    write: Callable[..., object] | None
    library: str = ""
    fresh: object = None

    @property
    def given(self) -> tuple[Any, ...] | None:
        """The library as an argument; None if it is not loaded."""
        if not self.library:
            return ()
        found = sys.modules.get(self.library)
        return None if found is None else (found,)


_OF_IMPORTS = (b"KMP_DUPLICATE_LIB_OK", b"KMP_INIT_AT_FORK", b"TORCHINDUCTOR_CACHE_DIR")
"""Variables that scikit-learn and parts of torch set when they are first imported."""


def _environment() -> dict[bytes, bytes]:
    # Reading the mapping itself encodes every name again: 50 us, which is more than all other settings together.
    values = dict(getattr(os.environb, "_data", os.environb))
    for name in _OF_IMPORTS:
        values.pop(name, None)
    return values


def _write_environment(values: Mapping[bytes, bytes]) -> None:
    for name in set(os.environb) - {*values, *_OF_IMPORTS}:
        del os.environb[name]
    os.environb.update(values)


def _write_path(values: tuple[str, ...]) -> None:
    sys.path[:] = values


# What a library installs on import is not in the list, or every first import would count against the case.
_HANDLED = tuple(
    getattr(signal, n) for n in ("SIGTERM", "SIGINT", "SIGALRM", "SIGUSR1", "SIGCHLD") if hasattr(signal, n)
)


def _write_handlers(values: tuple[Any, ...]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number, handler in zip(_HANDLED, values, strict=True):
            # None: installed by something other than Python, which Python cannot put back.
            if handler is not None:
                signal.signal(number, handler)


def _mask() -> int:
    mask = os.umask(0o22)
    os.umask(mask)
    return mask


_SMALLEST = sys.float_info.min


def _flushes(torch: object) -> bool:  # noqa: ARG001  # it sets this and cannot read it
    """Whether this thread rounds denormal numbers to 0."""
    return _SMALLEST / 2 == 0


def _write_dtype(torch: Any, name: str) -> None:
    torch.set_default_dtype(getattr(torch, name.removeprefix("torch.")))


def _strict_warnings() -> tuple[object, ...]:
    # Filters that only hide a warning come with many imports.
    return tuple(entry for entry in warnings.filters if entry[0] == "error")


def _write_strict_warnings(values: Sequence[Any]) -> None:
    lenient = [entry for entry in warnings.filters if entry[0] != "error"]
    warnings.resetwarnings()
    warnings.filters[:] = [*values, *lenient]  # pyright: ignore[reportIndexIssue]  # a list at run time


def _affinity() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()


def _write_affinity(cores: frozenset[int]) -> None:
    # Every thread: those of the numerical libraries inherited the mask of the thread that started them.
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)


def _write_trace(values: tuple[Any, Any]) -> None:
    sys.settrace(values[0])
    sys.setprofile(values[1])


def _torch(read: Callable[[Any], object], write: Callable[[Any, Any], object], fresh: object = None) -> _Setting:
    return _Setting(read=read, write=write, library="torch", fresh=fresh)


def _write_collector(values: tuple[bool, tuple[int, int, int]]) -> None:
    gc.set_threshold(*values[1])
    (gc.enable if values[0] else gc.disable)()


def _write_streams(values: tuple[TextIO, TextIO]) -> None:
    sys.stdout, sys.stderr = values


def _write_hook(value: Callable[..., object]) -> None:
    sys.excepthook = value


_SETTINGS: Mapping[str, _Setting] = {
    "default dtype": _torch(lambda t: str(t.get_default_dtype()), _write_dtype, "torch.float32"),
    "default device": _torch(lambda t: str(t.get_default_device()), lambda t, name: t.set_default_device(name), "cpu"),
    "threads": _torch(lambda t: t.get_num_threads(), lambda t, count: t.set_num_threads(count)),
    "grad mode": _torch(lambda t: t.is_grad_enabled(), lambda t, on: t.set_grad_enabled(on), fresh=True),
    "deterministic algorithms": _torch(
        lambda t: t.are_deterministic_algorithms_enabled(),
        lambda t, on: t.use_deterministic_algorithms(on),
        fresh=False,
    ),
    "matmul precision": _torch(
        lambda t: t.get_float32_matmul_precision(), lambda t, name: t.set_float32_matmul_precision(name), "highest"
    ),
    "autocast": _torch(
        lambda t: t.is_autocast_enabled("cpu"), lambda t, on: t.set_autocast_enabled("cpu", on), fresh=False
    ),
    "anomaly mode": _torch(lambda t: t.is_anomaly_enabled(), lambda t, on: t.set_anomaly_enabled(on), fresh=False),
    "flushed denormals": _torch(_flushes, lambda t, on: t.set_flush_denormal(on), fresh=False),
    "numpy errors": _Setting(
        read=lambda numpy: numpy.geterr(),
        write=lambda numpy, values: numpy.seterr(**values),
        library="numpy",
        fresh={"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
    ),
    "working directory": _Setting(read=os.getcwd, write=os.chdir),
    "environment": _Setting(read=_environment, write=_write_environment),
    "sys.path": _Setting(read=lambda: tuple(sys.path), write=_write_path),
    "standard streams": _Setting(read=lambda: (sys.stdout, sys.stderr), write=_write_streams),
    "uncaught exceptions": _Setting(read=lambda: sys.excepthook, write=_write_hook),
    "signal handlers": _Setting(read=lambda: tuple(map(signal.getsignal, _HANDLED)), write=_write_handlers),
    "file mask": _Setting(read=_mask, write=os.umask),
    "locale": _Setting(
        read=lambda: locale.setlocale(locale.LC_ALL), write=lambda name: locale.setlocale(locale.LC_ALL, name)
    ),
    "warnings as errors": _Setting(read=_strict_warnings, write=_write_strict_warnings),
    "garbage collection": _Setting(read=lambda: (gc.isenabled(), gc.get_threshold()), write=_write_collector),
    "tracing": _Setting(read=lambda: (sys.gettrace(), sys.getprofile()), write=_write_trace),
    "recursion limit": _Setting(read=sys.getrecursionlimit, write=sys.setrecursionlimit),
    "thread switches": _Setting(read=sys.getswitchinterval, write=sys.setswitchinterval),
    "cores": _Setting(read=_affinity, write=_write_affinity),
    THREADS: _Setting(read=threading.active_count, write=None),
}


def snapshot() -> Mapping[str, object]:
    """The current value of every setting that can be read."""
    return {name: value for name, setting in _SETTINGS.items() if (value := _read(setting)) is not None}


def restore(before: Mapping[str, object]) -> tuple[str, ...]:
    """Restore every setting, as far as the system permits, and name those that had changed.

    Args:
        before: what `snapshot` returned.
    """
    changed = []
    for name, setting in _SETTINGS.items():
        then = before.get(name, setting.fresh)
        if then is None or setting.given is None or _read(setting) == then:
            continue
        changed.append(name)
        if setting.write is not None:
            with suppress(OSError):
                setting.write(*setting.given, then)
    return tuple(changed)


def _read(setting: _Setting) -> object:
    """Its value; None if the library is not loaded, or the working directory is gone."""
    try:
        return None if setting.given is None else setting.read(*setting.given)
    except OSError:
        return None
