"""What a method may leave changed: settings of the process and global generators, which other cases rely on."""

from __future__ import annotations

import hashlib
import locale
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import torch

from kexue_bench.api import Case


@dataclass(frozen=True)
class _Setting:
    read: Callable[[], object]
    write: Callable[..., object] | None


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
    "environment": _Setting(lambda: dict(os.environb), _write_environment),
    "sys.path": _Setting(lambda: tuple(sys.path), _write_path),
    "standard streams": _Setting(lambda: (sys.stdout, sys.stderr), _write_streams),
    "uncaught exceptions": _Setting(lambda: sys.excepthook, _write_hook),
    "signal handlers": _Setting(lambda: tuple(map(signal.getsignal, _HANDLED)), _write_handlers),
    "file mask": _Setting(_mask, os.umask),
    "locale": _Setting(lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    "running threads": _Setting(threading.active_count, None),
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
    """Restore every setting and name those that had changed."""
    changed = []
    for name, setting in _SETTINGS.items():
        try:
            now = setting.read()
        except OSError:
            now = None
        if now != before[name]:
            changed.append(name)
            if setting.write is not None:
                setting.write(before[name])
    return tuple(changed)


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
