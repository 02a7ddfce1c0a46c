"""The fork server: a process without threads that has done the heavy imports and forks a worker in milliseconds.

`ensure` starts it from the driver; the server imports this module first, which makes it leave the terminal's session,
adopt orphans, and end with the driver together with all its descendants.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import signal
import sys
import threading
import types
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import forkserver
from typing import Any

from . import processes

_MARK = "KEXUE_BENCH_DRIVER"
PRELOAD = (
    "torch",
    # The first TorchDispatchMode imports torch._dynamo, sympy and torch.distributed: 1.7 s in every fresh process.
    "torch._dynamo",
    "scipy.special",
    "sklearn.datasets",
    "kexue_bench.run.worker",
    "kexue_bench.lab.stages",
    "kexue_bench.lab.training",
)
_python: Any = forkserver._forkserver  # noqa: SLF001  # multiprocessing has no public way to know its server
_lock = threading.Lock()
_requests: queue.SimpleQueue[tuple[_Setting, Future[int]]] = queue.SimpleQueue()


@dataclass(kw_only=True)
class _State:
    """What this driver knows of its server: the thread that starts it, how, and its pid."""

    keeper: threading.Thread | None = None
    setting: _Setting | None = None
    pid: int = 0


@dataclass(frozen=True, kw_only=True)
class _Setting:
    threads: int
    preload: tuple[str, ...]


_state = _State()


def environment(threads: int) -> dict[str, str]:
    """Environment variables that must be set before numerical libraries are loaded, so that results repeat."""
    count = str(threads)
    names = (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
    fixed = {
        "OMP_DYNAMIC": "FALSE",
        "MKL_DYNAMIC": "FALSE",
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        # Every batch allocates and frees tensors of a few megabytes; on the heap they keep their pages, with mmap every
        # page is cleared again, which costs more than the arithmetic on it.
        "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=67108864:glibc.malloc.trim_threshold=268435456",
        # A query for a GPU must not initialize CUDA in a process that forks.
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    }
    return dict.fromkeys(names, count) | fixed


def ensure(*, threads: int, preload: Sequence[str]) -> None:
    """Start the server unless one runs; returns before its imports are done.

    The kernel's death signal is tied to the thread that started a process, so the server is started by a thread that
    lives as long as the driver. The environment of the driver is changed only meanwhile.

    Raises:
        OSError: the process cannot be started.
    """
    with _lock:
        setting = _Setting(threads=threads, preload=tuple(preload))
        if not _runs():
            _start(setting)
        _state.setting = _state.setting or setting


def revive() -> None:
    """Start the server again if it has ended, with the setting it had.

    multiprocessing would do so by itself, but from any thread and without the environment by which the new process
    knows that it is ours: its workers would have other settings, and orphans would escape.

    Raises:
        OSError: the process cannot be started.
    """
    with _lock:
        if _state.setting is not None and not _runs():
            _start(_state.setting)


def _runs() -> bool:
    return _state.pid > 0 and _python._forkserver_pid == _state.pid and processes.alive(_state.pid)  # noqa: SLF001  # the same


def _start(setting: _Setting) -> None:
    if _state.keeper is None or not _state.keeper.is_alive():
        _state.keeper = threading.Thread(target=_keep, name="kexue-bench-server", daemon=True)
        _state.keeper.start()
    reply: Future[int] = Future()
    _requests.put((setting, reply))
    _state.pid = reply.result()


def _keep() -> None:
    while True:
        setting, reply = _requests.get()
        try:
            reply.set_result(_launch(setting))
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it, and this thread must not end
            reply.set_exception(error)


def _launch(setting: _Setting) -> int:
    values = environment(setting.threads) | {_MARK: str(os.getpid())}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        forkserver.set_forkserver_preload([__name__, "kexue_bench.run.engines.local", *setting.preload])
        _leave_foreign_server()
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return _python._forkserver_pid  # noqa: SLF001  # the same


def _leave_foreign_server() -> None:
    """Let a server that is not ours go on for those who use it, and ask for a new one.

    A program that compares through Python may have started one, without our imports and settings.
    """
    if _python._forkserver_pid not in {None, _state.pid}:  # noqa: SLF001  # the same
        _python._forkserver_pid = _python._forkserver_address = _python._forkserver_alive_fd = None  # noqa: SLF001  # the same


def _become_server(driver: int) -> None:
    """Set up the server; runs on its first import."""
    here = os.getpid()

    def end(*_: object) -> None:
        # At once: the interpreter may be shutting down and would fail on an exception.
        if os.getpid() == here:
            processes.sweep()
            os._exit(0)

    def clean() -> None:
        if os.getpid() == here:
            processes.sweep()

    def tell(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        # A worker started while its pool is being closed finds its locks gone, which is harmless.
        if os.getpid() == here or not isinstance(error, (FileNotFoundError, EOFError, ConnectionError)):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = tell
    with contextlib.suppress(OSError):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    processes.adopt_orphans()
    atexit.register(clean)
    warnings.filterwarnings("ignore", message="forkserver: waitpid returned unexpected pid")
    processes.die_with_parent(signal.SIGTERM)
    if os.getppid() != driver:
        os._exit(0)


if _driver := os.environ.pop(_MARK, ""):
    _become_server(int(_driver))
