"""The worker process between pebble and `kexue_bench.run.worker`: what it sets up once, and the one function it runs.

Only text crosses the pipe. The worker module is named, not imported, so that a driver never loads it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

from ..capture import Capture
from ..crumb import Crumb
from . import processes, server

CRUMB, OUTPUT, WORKERS = "crumb", "output", "workers"
_station: list[tuple[Crumb, Capture, bool]] = []


def initialize(slot: str, memory: int = 0, shared: bool = False) -> None:
    """Set up a fresh worker of a slot: registered, in a new session, silent, tied to its parent, with bounded memory.

    Args:
        slot: the slot's folder.
        memory: bytes that it may allocate beyond those at its start; 0 for no such bound.
        shared: it runs several jobs.
    """
    folder = Path(slot)
    register = folder.parent / WORKERS
    processes.register(register)
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = os.getppid()
    processes.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent or not register.is_dir():
        os._exit(1)
    processes.adopt_orphans()
    server.restore_path()
    _forget_server()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        processes.bound_memory(memory)
    capture = Capture(folder / OUTPUT)
    capture.redirect()
    _station.append((Crumb(folder / CRUMB), capture, shared))


def _forget_server() -> None:
    """Close the pipes of the fork server and its tracker: a method that writes to stray descriptors would end them.

    A method that uses multiprocessing starts its own.
    """
    for owner, name in (
        (forkserver._forkserver, "_forkserver_alive_fd"),  # noqa: SLF001  # multiprocessing has no public way
        (resource_tracker._resource_tracker, "_fd"),  # noqa: SLF001  # multiprocessing has no public way
    ):
        fd = getattr(owner, name, None)
        if isinstance(fd, int):
            setattr(owner, name, None)
            with contextlib.suppress(OSError):
                os.close(fd)


def enter(text: str) -> tuple[str, str, tuple[str, ...]]:
    """Run one job; returns its answer or the error, and the settings that it left changed.

    Never raises: an exception is an object made by the method, and would have to cross the pipe.
    """
    try:
        crumb, capture, shared = _station[-1]
        crumb.begin()
        worker = importlib.import_module("kexue_bench.run.worker")
        answer, changed = worker.run_watched(text, crumb=crumb, capture=capture, shared=shared)
        if processes.has_children():
            processes.sweep()
    except BaseException as error:  # noqa: BLE001  # the driver gets the name of any exception, never the object
        return "", f"the worker failed with {type(error).__name__}", ()
    return answer, "", changed
