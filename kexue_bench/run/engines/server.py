"""The fork server: a process without threads that has done the heavy imports and forks a worker in milliseconds.

`ensure` starts it from the driver; the server imports this module first, which makes it leave the terminal's session,
adopt orphans, and end with the driver together with all its descendants.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing.forkserver
import os
import signal
import sys
import threading
import types
import warnings
from collections.abc import Sequence

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
_lock = threading.Lock()
_keepers: list[threading.Thread] = []


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
    """
    with _lock:
        if not any(keeper.is_alive() for keeper in _keepers):
            started = threading.Event()
            keeper = threading.Thread(
                target=_keep, args=(started, threads, tuple(preload)), name="kexue-bench-server", daemon=True
            )
            keeper.start()
            while keeper.is_alive() and not started.wait(0.01):
                pass
            if not keeper.is_alive():
                raise RuntimeError("the fork server could not be started; see the error printed above")
            _keepers[:] = [keeper]


def _keep(started: threading.Event, threads: int, preload: tuple[str, ...]) -> None:
    values = environment(threads) | {_MARK: str(os.getpid())}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        multiprocessing.forkserver.set_forkserver_preload([__name__, "kexue_bench.run.engines.local", *preload])
        multiprocessing.forkserver.ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    started.set()
    threading.Event().wait()


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
