"""A slot of the local engine: one pebble pool with one worker, its breadcrumb, its output, and the job it holds.

One pool per slot means that workers share no lock: a worker that dies badly can corrupt only its own slot, which is
then replaced.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import multiprocessing.process
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pebble
from pebble.common.types import CONSTS

from ..capture import Tail
from ..crumb import Crumb
from . import Delivery, DeliveryStatus, entry, processes, server

# pebble polls its workers ten times per second, which is most of the cost of a fresh process.
CONSTS.sleep_unit = 0.01
# Workers die at SIGTERM at once, unless a method blocks it; the limit must hold for that one too.
CONSTS.term_timeout = 0.1

_UNKNOWN = 255
"""Exit code of a worker whose end its server could not tell."""
_ORPHANED: tuple[DeliveryStatus, str] = ("lost", "the process that makes workers ended")
_main_lock = threading.Lock()


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep multiprocessing from running the driver's main script again in every worker, which does not need it."""
    with _main_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


if "forkserver" in multiprocessing.get_all_start_methods():
    _BaseProcess = multiprocessing.context.ForkServerProcess
    _BaseContext = multiprocessing.context.ForkServerContext
else:
    _BaseProcess = multiprocessing.context.SpawnProcess
    _BaseContext = multiprocessing.context.SpawnContext


class WorkerProcess(_BaseProcess):  # pyright: ignore[reportGeneralTypeIssues]  # the one this platform has
    """A worker that does not import the driver's main module."""

    @staticmethod
    def _Popen(process_obj: multiprocessing.process.BaseProcess) -> object:  # noqa: N802  # multiprocessing's name
        with _without_main(), server.answering():
            return _BaseProcess._Popen(process_obj)  # noqa: SLF001  # multiprocessing's own way to start a process


class _WorkerContext(_BaseContext):  # pyright: ignore[reportGeneralTypeIssues]  # the one this platform has
    Process = WorkerProcess


@dataclass(kw_only=True)
class Ticket:
    """A job on its way through the engine.

    Args:
        text: the job.
        limit: seconds allowed to each of its members; None for no limit.
        members: number of cases.
        exclusive: runs alone on the machine, in a fresh process.
        future: what the caller waits for.
        tries: how often it was given to a worker.
        fatal: how often the process that makes workers ended while it ran; such a job runs alone from then on.
    """

    text: str
    limit: float | None
    members: int
    exclusive: bool
    future: Future[Delivery] = field(default_factory=Future)
    tries: int = 0
    fatal: int = 0


class Slot:
    """One worker at a time.

    Args:
        folder: where its breadcrumb and output live.
        fresh: every job gets a new process.
        memory: bytes that a worker may allocate; 0 if only the watchdog limits memory.
        wake: called from any thread when a job has ended, in whatever way.
    """

    def __init__(self, folder: Path, *, fresh: bool, wake: Callable[[], None], memory: int = 0) -> None:
        folder.mkdir()
        (folder.parent / entry.WORKERS).mkdir(exist_ok=True)
        self.fresh = fresh
        self.ticket: Ticket | None = None
        self.pid = 0
        self.server = 0
        self.maker = server.pid()
        self.freed = 0.0
        self.verdict: tuple[DeliveryStatus, str] | None = None
        self.condemned = 0.0
        self.leaving = 0
        self.unheard = False
        self._folder = folder
        self._wake = wake
        self._crumb = Crumb(folder / entry.CRUMB)
        self._tail = Tail(folder / entry.OUTPUT)
        self._inner: pebble.ProcessFuture | None = None
        self._pidfd: int | None = None
        self._sent = 0.0
        self._ended = 0.0
        self._pool = pebble.ProcessPool(
            max_workers=1,
            max_tasks=1 if fresh else 0,
            initializer=entry.initialize,
            initargs=(str(folder), memory, not fresh),
            context=_WorkerContext(),
        )

    def warm(self) -> None:
        """Start the worker before there is a job."""
        with suppress(RuntimeError):
            self._pool.active  # noqa: B018  # reading it starts the pool

    @property
    def started(self) -> bool:
        """Whether a worker took the running job."""
        return bool(self.pid)

    @property
    def pidfd(self) -> int | None:
        """A descriptor that becomes readable when the worker of the running job ends."""
        return self._pidfd

    @property
    def ended(self) -> bool:
        """Whether pebble has finished with the running job, in whatever way."""
        return self._inner is not None and self._inner.done()

    @property
    def stranded(self) -> bool:
        """Whether its idle worker has ended, by itself or with the process that made it.

        The worker may have held a lock of the pool, for which the next one would wait.
        """
        used = 0 if self.fresh or self.ticket is not None else self.pid
        return not processes.alive(self.maker) or bool(used and not processes.alive(used))

    @property
    def healthy(self) -> bool:
        """Whether the pool takes jobs."""
        return bool(self._pool.active)

    def send(self, ticket: Ticket) -> None:
        """Give a job to the worker.

        Raises:
            RuntimeError: the pool is broken; nothing was sent.
        """
        self._forget()
        self._crumb.clear()
        self._tail.clear()
        self._sent = time.monotonic()
        self._inner = self._pool.schedule(entry.enter, args=(ticket.text,))
        ticket.tries += 1
        self.ticket = ticket
        self._inner.add_done_callback(lambda _: self._wake())

    def release(self) -> None:
        """The job is over; a fresh worker is about to exit."""
        if not self.pid and self._is_worker(pid := self._crumb.read().pid):
            self.pid = pid
        self.ticket, self._inner, self.verdict = None, None, None
        self.freed = time.monotonic()
        self.leaving = self.pid if self.fresh else 0

    def tidy(self, now: float) -> None:
        """End a worker that answered but does not exit (a thread that never ends, a hanging finalizer)."""
        if self.leaving and now - self.freed > 1.0:
            if processes.alive(self.leaving):
                processes.kill_group(self.leaving)
            self.leaving = 0

    def condemn(self, status: DeliveryStatus, reason: str) -> None:
        """Let pebble end the worker, which it does while holding the locks of the pool."""
        if self.verdict is None and self._inner is not None:
            self.verdict = (status, reason)
            self.condemned = time.monotonic()
            self._inner.cancel()

    def answer(self) -> tuple[str, str, tuple[str, ...]] | None:
        """The return value of `entry.enter`, if it returned."""
        inner = self._inner
        if inner is None or not inner.done() or inner.cancelled() or inner.exception() is not None:
            return None
        return inner.result()

    def seconds(self) -> float:
        """Wall seconds since the worker took the job."""
        position = self._crumb.read()
        now = time.monotonic()
        return now - self._moment(position.begun, now) if position.pid else 0.0

    def _moment(self, second: float, now: float) -> float:
        """A time that a worker wrote; the time of sending if it is impossible: the worker's memory may be corrupt."""
        return second if self._sent <= second <= now else self._sent

    def _is_worker(self, pid: int) -> bool:
        """Whether a worker of this slot registered the pid: a breadcrumb may be corrupt, and the pid will be killed."""
        return bool(pid) and (self._folder.parent / entry.WORKERS / str(pid)).exists()

    def look(self, now: float, *, memory_limit: int) -> bool:
        """Watch the running job; True when it is over without an answer and its process is gone."""
        ticket, inner = self.ticket, self._inner
        if ticket is None or inner is None:
            return False
        position = self._crumb.read()
        if not self.pid and self._is_worker(position.pid):
            self.pid, self.server = position.pid, position.server
            server.serves()
            self._pidfd = processes.open_pidfd(self.pid)
        if self.verdict is None and not inner.done():
            self._judge(now, ticket, memory_limit)
        self._tail.trim()
        gone = bool(self.pid) and not processes.alive(self.pid)
        if gone:
            self._ended = self._ended or now
        if inner.done():
            # A worker may be stuck in its answer, after a method wrote to the pipe what ended the job for pebble.
            self._ended = self._ended or now
            return gone or not self.pid or self._overdue(now)
        if gone and now - self._ended > 0.3:
            # pebble ignores a worker that ends with code 0, or whose answer it could not read, and would wait forever.
            self.unheard = True
            self.condemn(*(_ORPHANED if self.orphaned else ("crashed", "exited with code 0 before it answered")))
        if not self._pool_works() and not inner.done():
            # pebble will not end it.
            processes.kill_group(self.pid)
            self.unheard = True
            self.verdict = ("lost", "a thread of its pool ended")
            return True
        return False

    @property
    def orphaned(self) -> bool:
        """Whether the process that made the worker has ended, which ends the worker as well."""
        return bool(self.server) and not processes.alive(self.server)

    def _pool_works(self) -> bool:
        loops = getattr(self._pool, "_loops", ())
        return not self._pool.active or all(loop.is_alive() for loop in loops)

    def _judge(self, now: float, ticket: Ticket, memory_limit: int) -> None:
        position = self._crumb.read()
        if not self.pid:
            if self.stranded:
                self.condemn(*_ORPHANED)
            elif now - self._sent > server.START_LIMIT:
                self.condemn("lost", f"no worker took the job within {server.START_LIMIT:g} s")
            return
        # The limit holds for each member since its last turn; the sum of limits holds for all members together.
        begun, stamp = (self._moment(second, now) for second in (position.begun, position.stamp))
        slowest = max(now - max(stamp, begun), (now - begun) / ticket.members)
        if ticket.limit is not None and slowest > ticket.limit:
            self.condemn("timeout", f"exceeded its time limit of {ticket.limit:g} s")
            return
        if (used := processes.rss(self.pid)) > memory_limit:
            self.condemn("out-of-memory", f"used {used / 1e9:.2f} GB; the limit is {memory_limit / 1e9:.2f} GB")

    def _overdue(self, now: float) -> bool:
        """Whether a process outlived pebble's attempt to end it; it is then killed here."""
        if now - (self.condemned or self._ended or now) < 2.0:
            return False
        processes.kill_group(self.pid)
        return True

    def autopsy(self) -> Delivery:
        """The delivery of a job without an answer."""
        position = self._crumb.read()
        status, reason = self.verdict or self._cause()
        members = self.ticket.members if self.ticket is not None and position.phase not in {"", "start"} else 0
        return Delivery(
            status=status,
            reason=reason,
            member=position.member if position.member < members else None,
            phase=position.phase,
            trace=self._tail.text(),
            seconds=self.seconds(),
        )

    def _cause(self) -> tuple[DeliveryStatus, str]:
        inner = self._inner
        if inner is None or inner.cancelled():
            return "cancelled", "withdrawn"
        error = inner.exception()
        if isinstance(error, pebble.ProcessExpired):
            if error.exitcode == _UNKNOWN and self.orphaned:
                return _ORPHANED
            return "crashed", processes.describe_exit(error.exitcode)
        return "lost", f"the pool failed with {type(error).__name__}"

    def kill(self) -> None:
        """End the worker without pebble."""
        pid = self.pid or self._crumb.read().pid
        if self._is_worker(pid):
            processes.kill_group(pid)

    def close(self) -> None:
        """End the pool and its worker for good; never blocks for long."""
        self._forget()
        threading.Thread(target=self._end_pool, name="kexue-bench-close", daemon=True).start()

    def end(self) -> None:
        """Wait until `close` is done."""
        self._forget()
        self._end_pool()

    def _end_pool(self) -> None:
        with suppress(Exception):
            self._pool.stop()
            self._pool.join()
        self._crumb.close()

    def _forget(self) -> None:
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._pidfd, self.pid, self._ended, self.condemned = None, 0, 0.0, 0.0
