"""What the members of a timing group leave behind in the process that they share.

Settings are restored after every turn. What cannot be restored is named with the member that caused it, so that this
member is timed in a process of its own and the others start again: functions of shared modules that were replaced, and
threads that go on computing while others have their turn (Linux counts the CPU time of each thread).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import patches, state

_TASKS = Path("/proc/self/task")
_NOBODY = -1
SHARE = 0.1
"""Threads of one member that get more than this share of the CPU time during turns of others disturb them."""
LEAST = 5e-3
"""CPU seconds of turns of others after which this is judged."""
PATIENCE = 0.1
"""Seconds for which threads are watched after the last turn."""


@dataclass(kw_only=True)
class _Thread:
    """A thread that a member started and left running.

    Args:
        owner: position of the member.
        seen: its CPU seconds at the last look.
        busy: its CPU seconds during turns of others since the last judgement.
        total: the CPU seconds of the process during those turns, or the seconds in which it was asked for nothing.
    """

    owner: int
    seen: float
    busy: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a turn changed.

    Args:
        changed: settings that the member had changed; they are restored.
        guilty: position of a member that left what cannot be restored; None for none.
        left: what that is, as the end of "the method left ...".
    """

    changed: tuple[str, ...] = ()
    guilty: int | None = None
    left: str = ""


class Turns:
    """Looks at the process after every turn; made before the first member is built.

    Args:
        pools: numerical libraries have threads here that all members use, so only those of Python are watched.
        wall: seconds of a clock.
        cpu: CPU seconds of the process.
        threads: the CPU seconds of each thread that is watched, by its number.
        count: number of threads; they are looked at one by one when it changes, or a member left one.
    """

    def __init__(
        self,
        *,
        pools: bool = False,
        wall: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.process_time,
        threads: Callable[[bool], dict[int, float]] | None = None,
        count: Callable[[], int] | None = None,
    ) -> None:
        self._pools, self._wall, self._cpu = pools, wall, cpu
        self._read, self._tasks = threads or cpu_of_threads, count or number_of_threads
        self._settings = state.snapshot()
        self._surface = patches.surface()
        self._ours = set(self._read(pools))
        self._left: dict[int, _Thread] = {}
        self._count = self._tasks()
        self._since = wall(), cpu()

    def settle(self, member: int) -> Findings:
        """Restore the settings after a turn, and see what else it left.

        Args:
            member: position of the member whose turn it was.
        """
        changed = state.restore(self._settings)
        if changed:
            # Whoever comes next is not to blame for what could not be restored.
            self._settings = state.snapshot()
        if replaced := self._surface.changed():
            return Findings(changed=changed, guilty=member, left=patches.told(replaced))
        return self._judged(changed, self._disturber(member))

    def end(self) -> Findings:
        """A last look after all turns: threads that are left are watched for a moment in which no member has a turn."""
        owner, end = None, self._wall() + PATIENCE
        while self._left and owner is None and self._wall() < end:
            time.sleep(PATIENCE / 5)
            owner = self._disturber(_NOBODY)
        return self._judged((), owner)

    @staticmethod
    def _judged(changed: tuple[str, ...], owner: int | None) -> Findings:
        left = "" if owner is None else "a thread that went on computing during the turns of others"
        return Findings(changed=changed, guilty=owner, left=left)

    def _disturber(self, member: int) -> int | None:
        (wall, cpu), self._since = self._since, (self._wall(), self._cpu())
        # On a crowded machine all threads get less than they ask for, so what they got is compared.
        spent = self._since[0] - wall if member == _NOBODY else self._since[1] - cpu
        count, self._count = self._count, self._tasks()
        if not self._left and count == self._count:
            return None
        running = self._read(self._pools)
        self._left = {number: thread for number, thread in self._left.items() if number in running}
        for number, seconds in running.items():
            if number in self._ours:
                continue
            thread = self._left.setdefault(number, _Thread(owner=member, seen=seconds))
            if thread.owner != member:
                thread.busy += seconds - thread.seen
                thread.total += spent
            thread.seen = seconds
        for owner in {thread.owner for thread in self._left.values()}:
            mine = [thread for thread in self._left.values() if thread.owner == owner]
            total = max(thread.total for thread in mine)
            if total < LEAST:
                continue
            if sum(thread.busy for thread in mine) > SHARE * total:
                return owner
            for thread in mine:
                thread.busy = thread.total = 0.0
        return None


def number_of_threads() -> int:
    """Threads of this process, those of native libraries included; 0 where the system does not say."""
    try:
        return _TASKS.stat().st_nlink
    except OSError:
        return 0


def cpu_of_threads(pools: bool) -> dict[int, float]:
    """CPU seconds of every thread of this process, or of Python's alone; empty where the system does not say."""
    if sys.platform != "linux":
        return {}
    numbers = (
        (thread.native_id for thread in threading.enumerate())
        if pools
        else (int(task.name) for task in _TASKS.iterdir())
    )
    found = {}
    for number in numbers:
        # The kernel's name of the CPU clock of a thread, which libraries give for threads of Python only.
        with suppress(OSError):
            found[number or 0] = time.clock_gettime(~(number or 0) << 3 | 6)
    return found
