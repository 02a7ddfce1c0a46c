"""The engine of one machine: pebble on a fork server, one process per job, each of which may die in any way.

A supervisor thread enforces the deadlines and the memory limit, notices every death within 50 ms, and replaces pools
that do not recover. pebble owns the processes and kills them: only it can do so without leaving a lock behind.
"""

from __future__ import annotations

import math
import os
import resource
import select
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Literal, Self

from ...errors import EngineError, UsageError
from ..failures import describe
from . import Delivery, entry, processes, scratch, server
from .slots import Slot, Ticket

Isolation = Literal["case", "worker", "none"]
POLL = 0.05
"""Seconds between two checks of running jobs."""
IDLE = 350_000_000
"""Resident bytes of a worker that has done nothing yet (0.32 GB), with a little room."""
ROOM = 600_000_000
"""Bytes for a worker where the number of workers is chosen here."""
SHARE = 0.8
"""Part of the machine's memory that workers may take together."""
BARREN = 3
"""Workers in a row that end before they take a job, after which the run ends.

Four times as many if the process that makes them works: methods can end workers too.
"""
FATAL = 2
"""How often the process that makes workers may end while a job runs before the job, which then ran alone, is blamed."""
DESCRIPTORS = (40, 12)
"""File descriptors of a driver, and for each worker more."""
_NOT_BEGUN = Delivery(status="cancelled", reason="the run was stopped before it began")
_registers: set[Path] = set()
"""Folders with the pids of workers, of all engines of this process: they share the process that makes workers."""


class LocalEngine:
    """Runs jobs on this machine.

    Args:
        workers: number of concurrent jobs; None takes the number of cores, or fewer if they would not fit into memory.
        isolation: `case` gives every job a fresh process; `worker` reuses processes, except for exclusive jobs and
            after a job that left a setting changed or died; `none` runs in this process, without limits, for debugging.
        threads: number of threads of the numerical libraries in a worker.
        memory_limit: resident bytes of a worker, and the most that it may allocate; None limits resident bytes to a
            fair share of the machine and does not limit allocations.
        preload: modules that the fork server imports once; never a plugin's.

    Raises:
        UsageError: a worker does not fit into its share of the memory.
    """

    def __init__(
        self,
        *,
        workers: int | None = 2,
        isolation: Isolation = "case",
        threads: int = 1,
        memory_limit: int | None = None,
        preload: Sequence[str] = server.PRELOAD,
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be >= 1, got {workers}")
        self.isolation: Isolation = isolation
        self._workers, self._memory_limit = 1, 0
        if isolation != "none":
            self._workers, self._memory_limit = _shares(workers, memory_limit, processes.memory_available())
        self._threads = threads
        self._refused_above = memory_limit or 0
        self._preload = tuple(preload)
        self._lock = threading.RLock()
        self._queue: deque[Ticket] = deque()
        self._sending: Ticket | None = None
        self._open: set[Future[Delivery]] = set()
        self._slots: list[Slot] = []
        self._numbers = count()
        self._folder: Path | None = None
        self._supervisor: threading.Thread | None = None
        self._closed = False
        self._stopping = False
        self._failure: EngineError | None = None
        self._barren = 0
        self._sweep_until = 0.0
        self._servers: set[int] = set()
        self._wake_read, self._wake_write = -1, -1

    @property
    def capacity(self) -> int:
        """How many jobs run at once."""
        return 1 if self.isolation == "none" else self._workers

    def start(self) -> None:
        """Start the fork server and the first workers in the background."""
        if self.isolation == "none":
            return
        with self._lock:
            if self._supervisor is not None or self._closed:
                return
            _need_descriptors(self._workers)
            try:
                self._folder = Path(tempfile.mkdtemp(prefix="engine-", dir=scratch.home()))
                (self._folder / entry.WORKERS).mkdir()
                server.ensure(threads=self._threads, preload=self._preload)
                self._wake_read, self._wake_write = os.pipe()
            except OSError as error:
                self._failure = _cannot("workers cannot be started", error)
                raise self._failure from error
            _registers.add(self._folder / entry.WORKERS)
            os.set_blocking(self._wake_read, False)
            os.set_blocking(self._wake_write, False)
            self._supervisor = threading.Thread(target=self._supervise, name="kexue-bench-supervisor", daemon=True)
            self._supervisor.start()

    def submit(self, text: str, *, limit: float | None, members: int = 1, exclusive: bool = False) -> Future[Delivery]:
        """Queue a job; see `Engine.submit`.

        Raises:
            EngineError: workers cannot be started.
        """
        ticket = Ticket(text=text, limit=limit, members=members, exclusive=exclusive)
        if self.isolation == "none":
            return self._run_here(ticket)
        if self._closed:
            raise RuntimeError("the engine is closed")
        self.start()
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._queue.append(ticket)
            self._open.add(ticket.future)
        ticket.future.add_done_callback(self._open.discard)
        if self._stopping:
            self._drain()
        self._wake()
        return ticket.future

    def stop(self) -> None:
        """End everything now; what was running is delivered as `cancelled`."""
        with self._lock:
            self._stopping = True
            if self._sending is not None:
                _deliver(self._sending, _NOT_BEGUN)
            for slot in self._slots:
                slot.condemn("cancelled", "the run was stopped")
        self._drain()
        self._wake()

    def close(self) -> None:
        """Release every process and its folder."""
        with self._lock:
            if self._closed:
                return
        self.stop()
        end = time.monotonic() + (5.0 if self._failure is None else 0.0)
        while time.monotonic() < end and any(slot.ticket is not None for slot in self._slots):
            time.sleep(0.01)
        with self._lock:
            self._closed = True
            slots, self._slots = self._slots, []
        self._wake()
        if self._supervisor is not None:
            self._supervisor.join(5)
        for slot in slots:
            if slot.ticket is not None:
                slot.kill()
        closing = [threading.Thread(target=slot.end, daemon=True) for slot in slots]
        for thread in closing:
            thread.start()
        end = time.monotonic() + 5.0
        for thread in closing:
            thread.join(max(0.0, end - time.monotonic()))
        if self._supervisor is not None:
            server.release()
        if self._folder is not None:
            _registers.discard(self._folder / entry.WORKERS)
            shutil.rmtree(self._folder, ignore_errors=True)
            for fd in (self._wake_read, self._wake_write):
                with suppress(OSError):
                    os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- dispatch -----------------------------------------------------------------------------------------------------

    def _run_here(self, ticket: Ticket) -> Future[Delivery]:
        import importlib

        begun = time.monotonic()
        answer = importlib.import_module("kexue_bench.run.worker").run_job(ticket.text)
        ticket.future.set_result(Delivery(status="ok", text=answer, seconds=time.monotonic() - begun))
        return ticket.future

    def _drain(self) -> None:
        with suppress(IndexError):
            while True:
                _deliver(self._queue.popleft(), _NOT_BEGUN)

    def _pump(self) -> None:
        """Give waiting jobs to free slots, in order; an exclusive job waits until no other runs.

        Only the supervisor sends jobs and makes slots. It does so without the lock: a new slot may wait for the imports
        of the process that makes workers, and whoever stops the run must not wait for them.
        """
        while (ticket := self._next()) is not None:
            if ticket.tries > 0 or ticket.future.set_running_or_notify_cancel():
                self._send(ticket)
            self._sending = None

    def _next(self) -> Ticket | None:
        with self._lock:
            if not self._queue or self._closed or self._stopping:
                return None
            busy = [slot for slot in self._slots if slot.ticket is not None]
            alone = _alone(self._queue[0]) or any(s.ticket is not None and _alone(s.ticket) for s in busy)
            if (alone and busy) or len(busy) >= self._workers:
                return None
            self._sending = self._queue.popleft()
            return self._sending

    def _send(self, ticket: Ticket) -> None:
        fresh = ticket.exclusive or self.isolation == "case"
        if ticket.exclusive:
            # Idle workers and their threads would disturb the timing.
            for slot in [s for s in self._slots if not s.fresh] + [s for s in self._slots if s.fresh][1:]:
                self._discard(slot)
        for _ in range(BARREN + self._workers):
            slot = self._free_slot(fresh=fresh, spare=not ticket.exclusive)
            if slot.stranded:
                self._discard(slot)
                continue
            with self._lock:
                if self._stopping:
                    return
                try:
                    slot.send(ticket)
                except RuntimeError:
                    self._discard(slot)
                    continue
            return
        raise EngineError(server.failure() or "workers cannot be started", do=server.last_words())

    def _free_slot(self, *, fresh: bool, spare: bool) -> Slot:
        """The slot that has been free longest, so that its next worker is already running.

        With fresh processes there is one slot more than concurrent jobs: while a job runs, the last slot used starts
        its next worker.
        """
        most = self._workers + 1 if fresh and spare else 1 if fresh else self._workers
        mine = [slot for slot in self._slots if slot.fresh == fresh]
        while len(mine) < most:
            mine.append(self._new_slot(fresh=fresh))
        return min((slot for slot in mine if slot.ticket is None), key=lambda slot: slot.freed)

    def _new_slot(self, *, fresh: bool) -> Slot:
        if self._folder is None:
            raise RuntimeError("the engine has not been started")
        try:
            server.revive()
        except OSError as error:
            raise EngineError(server.failure() or describe(error), do=server.last_words()) from error
        place = self._folder / f"slot-{next(self._numbers)}"
        try:
            slot = Slot(place, fresh=fresh, wake=self._wake, memory=self._refused_above)
            with self._lock:
                self._slots.append(slot)
            # A server that ends before it makes the worker leaves the slot stranded: whoever wanted it takes another.
            with suppress(EOFError, ConnectionError):
                slot.warm()
        except OSError as error:
            do = f"give it room for semaphores in /dev/shm and for files in {self._folder}"
            raise EngineError("a worker cannot be started", got=describe(error), do=do) from error
        return slot

    def _discard(self, slot: Slot) -> None:
        with self._lock, suppress(ValueError):
            self._slots.remove(slot)
        slot.close()

    # -- supervision --------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with suppress(OSError):
            os.write(self._wake_write, b"x")

    def _supervise(self) -> None:
        """Watch until the engine is closed; whatever is raised here ends all jobs, never the thread alone."""
        try:
            self._watch()
        except BaseException as error:  # noqa: BLE001  # whoever waits must get the reason, whatever it is
            self._fail(error)
        if self._closed:
            # A slot that was made while the engine was closed.
            for slot in list(self._slots):
                self._discard(slot)

    def _fail(self, error: BaseException) -> None:
        """End every job with an error, because none can be supervised any more."""
        if self._closed:
            return
        failure = error if isinstance(error, EngineError) else _cannot("workers cannot be supervised", error)
        with self._lock:
            self._failure = failure
            self._queue.clear()
            for slot in self._slots:
                slot.kill()
                slot.ticket = None
        for future in list(self._open):
            with suppress(InvalidStateError):
                future.set_exception(failure)

    def _watch(self) -> None:
        looked = 0.0
        while not self._closed:
            poll = select.poll()
            poll.register(self._wake_read, select.POLLIN)
            with self._lock:
                active = bool(self._slots)
                for slot in self._slots:
                    if slot.pidfd is not None and slot.ticket is not None and not slot.verdict:
                        poll.register(slot.pidfd, select.POLLIN)
            ready = poll.poll(POLL * 1000 if active else None)
            with suppress(OSError):
                os.read(self._wake_read, 4096)
            died = any(fd != self._wake_read for fd, _ in ready)
            due = died or time.monotonic() - looked > POLL / 2
            if due:
                looked = time.monotonic()
            self._look_at_slots(due=due)
            if due and active:
                self._check(looked)
            self._pump()
            if died:
                # A dead worker stays readable until pebble has noticed its death too.
                time.sleep(0.005)

    def _check(self, now: float) -> None:
        """What no job can cause: the end of the scratch folder, and of every process that makes workers."""
        if self._folder is not None and not (self._folder / entry.WORKERS).is_dir():
            raise EngineError(
                f"the scratch folder {self._folder} was removed during the run",
                do="set TMPDIR to a folder that is not cleaned",
            )
        server.wake()
        if reason := server.failure():
            raise EngineError(reason, do=server.last_words())
        if now < self._sweep_until:
            for source in self._servers:
                processes.kill_orphans(source, _known)

    def _look_at_slots(self, *, due: bool) -> None:
        """Accept answers; if `due`, or pebble has given up on a job, check its process."""
        deliveries: list[tuple[Ticket, Delivery]] = []
        with self._lock:
            now = time.monotonic()
            for slot in list(self._slots):
                if due:
                    slot.tidy(now)
                if slot.ticket is None:
                    continue
                answer = slot.answer()
                if answer is not None:
                    self._barren = 0
                    deliveries.append((slot.ticket, self._accept(slot, answer)))
                elif (due or slot.ended) and slot.look(now, memory_limit=self._memory_limit):
                    ticket, delivery = slot.ticket, slot.autopsy()
                    orphaned = delivery.status == "lost" and slot.orphaned
                    stranded = delivery.status == "lost" and not slot.started and slot.stranded
                    self._barren = 0 if slot.started else self._barren + 1
                    self._bury(slot)
                    failure = server.failure()
                    if self._barren >= (BARREN if failure else 4 * BARREN):
                        raise EngineError(failure or "workers end before they take a job", do=server.last_words())
                    if stranded and not self._stopping:
                        self._queue.appendleft(ticket)
                        continue
                    if orphaned and not self._stopping:
                        ticket.fatal += 1
                        if ticket.fatal <= FATAL:
                            self._queue.appendleft(ticket)
                            continue
                        # It ran alone, so no other job ended the process.
                        delivery = replace(delivery, status="crashed", reason="ended the process that makes workers")
                    if delivery.status == "lost" and ticket.tries < 2 and not self._stopping:
                        self._queue.appendleft(ticket)
                    else:
                        deliveries.append((ticket, delivery))
        for ticket, delivery in deliveries:
            _deliver(ticket, delivery)

    def _accept(self, slot: Slot, answer: tuple[str, str, tuple[str, ...]]) -> Delivery:
        text, error, changed = answer
        if error:
            delivery = replace(slot.autopsy(), status="crashed", reason=error)
        else:
            delivery = Delivery(status="ok", text=text, seconds=slot.seconds())
        slot.release()
        if (changed or error) and not slot.fresh:
            self._discard(slot)
        return delivery

    def _bury(self, slot: Slot) -> None:
        """After a death: kill what the worker started, and replace a pool that did not recover."""
        pid, source = slot.pid, slot.server
        # Garbage that a worker wrote to the pipe would be read as the answer of the next one.
        spoiled = not pid or slot.unheard or not slot.healthy
        slot.release()
        slot.leaving = 0
        if pid:
            processes.kill_group(pid)
        if source:
            self._servers.add(source)
            # Children of the dead may still be starting others.
            self._sweep_until = time.monotonic() + 1.0
            processes.kill_orphans(source, _known)
        if spoiled:
            self._discard(slot)


def _alone(ticket: Ticket) -> bool:
    return ticket.exclusive or ticket.fatal > 0


def _known() -> set[int]:
    """The living workers of all engines of this process."""
    return set().union(*(processes.registered(folder) for folder in list(_registers)))


def _shares(workers: int | None, memory_limit: int | None, memory: int) -> tuple[int, int]:
    """The number of workers, and the resident bytes that each may take."""
    if workers is None:
        fit = int(SHARE * memory / max(ROOM, memory_limit or 0))
        workers = max(1, int(min(processes.cores_available(), fit, _most_workers())))
    limit = memory_limit or int(SHARE * memory / workers)
    if limit < IDLE:
        share = f"{SHARE:g} x {memory / 1e9:.2f} GB / {workers} = {limit / 1e9:.2f} GB"
        most = int(SHARE * memory / ROOM) or int(SHARE * memory / IDLE)
        raise UsageError(
            f"a worker takes {IDLE / 1e9:.2f} GB before it does anything",
            got=f"--memory {limit / 1e9:.2f} GB" if memory_limit else f"{share} for each of {workers}",
            do=f"use at most -j {most}" if most and not memory_limit else "give it more memory",
        )
    return workers, limit


def _most_workers() -> float:
    """How many workers the hard limit of file descriptors allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if hard == resource.RLIM_INFINITY else (hard - DESCRIPTORS[0]) // DESCRIPTORS[1] - 1


def _need_descriptors(workers: int) -> None:
    """Raise the soft limit of file descriptors as far as workers need it.

    Raises:
        EngineError: the hard limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = DESCRIPTORS[0] + DESCRIPTORS[1] * (workers + 1)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return
    if hard != resource.RLIM_INFINITY and hard < need:
        what = f"{workers} workers need" if workers > 1 else "1 worker needs"
        raise EngineError(f"{what} {need} file descriptors", got=f"a limit of {hard}", do="raise it (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def _cannot(what: str, error: BaseException) -> EngineError:
    return EngineError(what, got=describe(error), do=server.last_words())


def _deliver(ticket: Ticket, delivery: Delivery) -> None:
    if ticket.future.cancelled():
        return
    with suppress(Exception):
        ticket.future.set_result(delivery)
