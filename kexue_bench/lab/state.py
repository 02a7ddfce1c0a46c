"""What a method may leave changed: settings of the process and global generators, which other cases rely on."""

from __future__ import annotations

import gc
import hashlib
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch

from kexue_bench.api import Case

THREADS = "running threads"
"""The one watched setting that nothing can restore."""


@dataclass(frozen=True)
class _Setting:
    read: Callable[[], object]
    write: Callable[..., object] | None


def _environment() -> dict[bytes, bytes]:
    # Reading the mapping itself encodes every name again: 50 us, which is more than all other settings together.
    return dict(getattr(os.environb, "_data", os.environb))


def _write_environment(values: Mapping[bytes, bytes]) -> None:
    for name in set(os.environb) - set(values):
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


def _flushes() -> bool:
    """Whether this thread rounds denormal numbers to 0, which torch can set and not read."""
    return _SMALLEST / 2 == 0


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


def _write_numpy(values: Mapping[str, Any]) -> None:
    np.seterr(**values)


def _write_collector(values: tuple[bool, tuple[int, int, int]]) -> None:
    gc.set_threshold(*values[1])
    (gc.enable if values[0] else gc.disable)()


def _write_streams(values: tuple[TextIO, TextIO]) -> None:
    sys.stdout, sys.stderr = values


def _write_hook(value: Callable[..., object]) -> None:
    sys.excepthook = value


_SETTINGS: Mapping[str, _Setting] = {
    "default dtype": _Setting(torch.get_default_dtype, torch.set_default_dtype),
    "default device": _Setting(torch.get_default_device, torch.set_default_device),
    "threads": _Setting(torch.get_num_threads, torch.set_num_threads),
    "grad mode": _Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    "deterministic algorithms": _Setting(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms
    ),
    "matmul precision": _Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "autocast": _Setting(lambda: torch.is_autocast_enabled("cpu"), lambda on: torch.set_autocast_enabled("cpu", on)),
    "anomaly mode": _Setting(torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    "working directory": _Setting(os.getcwd, os.chdir),
    "environment": _Setting(_environment, _write_environment),
    "sys.path": _Setting(lambda: tuple(sys.path), _write_path),
    "standard streams": _Setting(lambda: (sys.stdout, sys.stderr), _write_streams),
    "uncaught exceptions": _Setting(lambda: sys.excepthook, _write_hook),
    "signal handlers": _Setting(lambda: tuple(map(signal.getsignal, _HANDLED)), _write_handlers),
    "file mask": _Setting(_mask, os.umask),
    "locale": _Setting(lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    "flushed denormals": _Setting(_flushes, torch.set_flush_denormal),
    "numpy errors": _Setting(np.geterr, _write_numpy),
    "warnings as errors": _Setting(_strict_warnings, _write_strict_warnings),
    "garbage collection": _Setting(lambda: (gc.isenabled(), gc.get_threshold()), _write_collector),
    "tracing": _Setting(lambda: (sys.gettrace(), sys.getprofile()), _write_trace),
    "recursion limit": _Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    "thread switches": _Setting(sys.getswitchinterval, sys.setswitchinterval),
    "cores": _Setting(_affinity, _write_affinity),
    THREADS: _Setting(threading.active_count, None),
}


def prepare(case: Case) -> None:
    """Threads and global generators in the state in which this case starts, whatever ran here before.

    The seed of the global generators depends on the task and the replicate, never on the method.
    """
    if torch.get_num_threads() != case.threads:
        torch.set_num_threads(case.threads)
    words = repr((case.seed, case.family, case.task.name, sorted(case.task.params.items()), case.replicates))
    seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "little")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the legacy generator is the one that stray code would use
    # torch.manual_seed queues a traceback for every device that is not yet in use: 0.3 ms per case.
    torch.default_generator.manual_seed(seed)
    if case.device.startswith("cuda"):
        torch.cuda.manual_seed_all(seed)


def snapshot() -> Mapping[str, object]:
    """The current value of every watched setting."""
    return {name: setting.read() for name, setting in _SETTINGS.items()}


def restore(before: Mapping[str, object]) -> tuple[str, ...]:
    """Restore every setting, as far as the system permits, and name those that had changed."""
    changed = []
    for name, setting in _SETTINGS.items():
        if _read(setting) != before[name]:
            changed.append(name)
            if setting.write is not None:
                with suppress(OSError):
                    setting.write(before[name])
    return tuple(changed)


def _read(setting: _Setting) -> object:
    try:
        return setting.read()
    except OSError:
        return None


def generators() -> tuple[object, ...]:
    """States of the global generators, for comparison."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002  # the legacy generator is what stray code uses
    return (
        torch.get_rng_state().numpy().tobytes(),
        numpy_state["state"]["key"].tobytes(),
        numpy_state["state"]["pos"],
        random.getstate(),
    )


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators, and restore them on leaving."""
    kept, numpy_kept, torch_kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002  # the legacy generator
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the legacy generator
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(numpy_kept)  # noqa: NPY002  # the legacy generator
        torch.set_rng_state(torch_kept)
