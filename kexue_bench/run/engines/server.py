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
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import forkserver, util
from multiprocessing.process import current_process
from pathlib import Path
from typing import Any

from . import processes, scratch

_MARK = "KEXUE_BENCH_DRIVER"
_SAFE = "PYTHONSAFEPATH"
PRELOAD = (
    "torch",
    # The first TorchDispatchMode imports torch._dynamo, sympy and torch.distributed: 1.7 s in every fresh process.
    "torch._dynamo",
    "scipy.special",
    "sklearn.datasets",
    "kexue_bench.run.worker",
    "kexue_bench.lab.stages",
    "kexue_bench.lab.training",
    # Last: it looks at what the others have loaded.
    "kexue_bench.run.ground",
)
RETIRED = 5.0
"""Seconds that a server which is told to end has for ending what it started."""
STUCK = 20.0
"""Seconds within which a server that has made a worker must make the next."""
START_LIMIT = 120.0
"""Seconds within which a new server must make a worker, its imports included."""
LINES = 12
"""Last lines of a server that an error shows."""
_python: Any = forkserver._forkserver  # noqa: SLF001  # multiprocessing has no public way to know its server
_lock = threading.Lock()
_requests: queue.SimpleQueue[tuple[_Setting, Future[int]]] = queue.SimpleQueue()


@dataclass(kw_only=True)
class _State:
    """What this driver knows of its server: the thread that starts it, how, and its pid.

    Args:
        users: engines that were started and not closed.
        served: it has made a worker.
        deaths: servers in a row that ended before they made one.
        output: where servers and workers at their start write errors.
    """

    keeper: threading.Thread | None = None
    setting: _Setting | None = None
    pid: int = 0
    users: int = 0
    served: bool = False
    deaths: int = 0
    output: int | None = None


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
    """Start the server for one more engine; returns before its imports are done. `release` is its counterpart.

    A server with other settings, or whose socket was removed, is replaced if no engine uses it; engines that overlap
    share the one of the first.
    The kernel's death signal is tied to the thread that started a process, so the server is started by a thread that
    lives as long as the driver. The environment of the driver is not changed.

    Raises:
        OSError: the process cannot be started.
    """
    with _lock:
        setting = _Setting(threads=threads, preload=tuple(preload))
        if not _state.users and (setting != _state.setting or not _reachable()):
            _retire()
        if not _runs():
            # Whoever asks anew gets a new try: the cause may be gone.
            _state.deaths = 0
            _start(setting)
        _state.users += 1


def release() -> None:
    """An engine was closed. The server stays for the next one; it ends with the driver, unless something stopped it."""
    wake()
    with _lock:
        _state.users -= 1


def revive() -> None:
    """Start the server again if it has ended, with the setting it had.

    multiprocessing would do so by itself, but from any thread and without the environment by which the new process
    knows that it is ours: its workers would have other settings, and orphans would escape.

    Raises:
        OSError: the process cannot be started, or ended twice before it made a worker.
    """
    with _lock:
        if _state.setting is None or _runs():
            return
        _state.deaths = 0 if _state.served else _state.deaths + 1
        if _state.deaths >= 2:
            raise OSError("the fork server ends at its start")
        _start(_state.setting)


def pid() -> int:
    """The process that makes workers now; it may have ended."""
    return _state.pid


def serves() -> None:
    """A worker was seen, so this server works."""
    _state.served, _state.deaths = True, 0


def wake() -> None:
    """Let a server go on that something has stopped: it would make no worker and end nothing."""
    if _state.pid and processes.stopped(_state.pid):
        with contextlib.suppress(OSError):
            os.kill(_state.pid, signal.SIGCONT)


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """End a server that does not make a worker in time: whoever asked for one would wait for ever."""

    def end() -> None:
        with contextlib.suppress(OSError):
            os.kill(_state.pid, signal.SIGKILL)

    timer = threading.Timer(STUCK if _state.served else START_LIMIT, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def failure() -> str:
    """Why no server can be had; empty if one runs or may be started."""
    return "the process that starts workers ended twice at its start" if _state.deaths >= 2 else ""


def last_words() -> str:
    """The last lines that servers, and workers at their start, wrote as errors."""
    if _state.output is None:
        return ""
    size = os.fstat(_state.output).st_size
    data = os.pread(_state.output, 8000, max(0, size - 8000))
    return "\n".join(data.decode("utf-8", "replace").splitlines()[-LINES:])


def _runs() -> bool:
    return _state.pid > 0 and _python._forkserver_pid == _state.pid and processes.alive(_state.pid)  # noqa: SLF001  # the same


def _reachable() -> bool:
    """Whether the socket of the server, if there is one, still lies in the scratch folder."""
    address = _python._forkserver_address  # noqa: SLF001  # the same
    return address is None or Path(address).exists()


def _retire() -> None:
    """End a server that nobody uses."""
    if not _runs():
        return
    number, end = signal.SIGTERM, time.monotonic() + RETIRED
    while _runs():
        with contextlib.suppress(OSError):
            os.kill(_state.pid, number)
        number = signal.SIGTERM if time.monotonic() < end else signal.SIGKILL
        time.sleep(0.005)


def _start(setting: _Setting) -> None:
    if _state.keeper is None or not _state.keeper.is_alive():
        _state.keeper = threading.Thread(target=_keep, name="kexue-bench-server", daemon=True)
        _state.keeper.start()
    reply: Future[int] = Future()
    _requests.put((setting, reply))
    _state.pid, _state.served, _state.setting = reply.result(), False, setting
    # Called for every new process: between a look at the server and its use it may end, and would be restarted plainly.
    _python.ensure_running = _ensure_running


def _ensure_running() -> None:
    revive()
    if _python._forkserver_pid != _state.pid:  # noqa: SLF001  # the same
        forkserver.ensure_running()


def _keep() -> None:
    while True:
        setting, reply = _requests.get()
        try:
            reply.set_result(_launch(setting))
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it, and this thread must not end
            reply.set_exception(error)


def _launch(setting: _Setting) -> int:
    place = scratch.home()
    values = environment(setting.threads) | {_MARK: str(os.getpid()), _SAFE: "1"} | dict([scratch.mark(place)])
    home = str(Path(__file__).parents[3])
    if home == str(Path.cwd()):
        # The package itself is run from the current folder, which a safe path leaves out.
        values["PYTHONPATH"] = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), home)))
    forkserver.set_forkserver_preload([__name__, "kexue_bench.run.engines.local", *setting.preload])
    _leave_foreign_server()
    _await_end()
    config: Any = current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001  # multiprocessing's own place
    config["tempdir"] = str(place)
    with _spawning(values):
        forkserver.ensure_running()
    return _python._forkserver_pid  # noqa: SLF001  # the same


def _leave_foreign_server() -> None:
    """Let a server that is not ours go on for those who use it, and ask for a new one.

    A program that compares through Python may have started one, without our imports and settings.
    """
    if _python._forkserver_pid not in {None, _state.pid}:  # noqa: SLF001  # the same
        _python._forkserver_pid = _python._forkserver_address = _python._forkserver_alive_fd = None  # noqa: SLF001  # the same


def _await_end() -> None:
    """Wait until the last server has given back its memory: until then multiprocessing takes it for a running one."""
    if _state.pid and not processes.alive(_state.pid):
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, _state.pid, os.WEXITED | os.WNOWAIT)


@contextlib.contextmanager
def _spawning(values: Mapping[str, str]) -> Iterator[None]:
    """Let multiprocessing start its processes with more environment variables, and errors that the driver can read."""
    before, starter = util.spawnv_passfds, threading.get_ident()
    if _state.output is None:
        _state.output = _anonymous_file()

    def spawn(path: bytes, args: Sequence[str], fds: Sequence[int]) -> int:
        if threading.get_ident() != starter:
            return before(path, args, fds)
        process = subprocess.Popen(args, executable=path, pass_fds=fds, stderr=_state.output, env=os.environ | values)
        # multiprocessing waits for it.
        process.returncode = 0
        return process.pid

    util.spawnv_passfds = spawn
    try:
        yield
    finally:
        util.spawnv_passfds = before


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("kexue-bench-errors", os.MFD_CLOEXEC)
    fd, path = tempfile.mkstemp(prefix="kexue-bench-errors-")
    Path(path).unlink()
    return fd


_path: list[str] = []


def restore_path() -> None:
    """In a worker: put the import path of the server before what multiprocessing copied from the driver.

    The driver may have the current folder first, in which a file of any name must not hide a module of Python.
    """
    sys.path[:] = [*_path, *(folder for folder in sys.path if folder and folder not in _path)]


def _become_server(driver: int) -> None:
    """Set up the server; runs on its first import."""
    here = os.getpid()
    os.environ.pop(_SAFE, None)
    _path[:] = sys.path

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
