"""Timing groups: methods timed against each other in interleaved rounds of one process.

All members of a group are timed in every round, in a newly drawn order, so that drifts (clock rates, heat, other
processes) affect all members alike and cancel in the ratio within a round. The process is the independent unit: rounds
of one process are pairs, never replicates. Ratios exist only inside one group.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from kexue_bench.api import Measurement, Series

from .clocks import Block, Clock, HostClock
from .problems import Workload

SHARE = 0.9
"""A sample whose process got less of the CPU than this was pre-empted."""
WARM_UP = 3
"""Calls before the first sample, the first call included."""
LEAST_ROUNDS = 20
"""Least number of rounds of a group, however long they take."""
GROWTH = 100
"""Largest factor by which one calibration step raises the number of calls in a sample."""


@dataclass(frozen=True, kw_only=True)
class MemberTimes:
    """Times of one member of a group.

    Args:
        unit: the unit that `seconds` refer to (`draw`, `step`, ...).
        units: units in one call.
        inner: calls in one sample.
        first: seconds of the first call, set-up and compilation included; None if it raised.
        seconds: seconds per unit for each round; None if the member is absent: pre-empted, or it had raised.
        preempted: number of samples in which this process did not get its core.
        crowded: more than half of the samples were pre-empted, and all were kept for lack of better ones.
        launch_bound: the host issues the work more slowly than the device runs it.
        peak: peak bytes of the device's allocator during one call; None if it keeps no statistics.
        error: what the call raised; the member was then dropped.
    """

    unit: str
    units: int
    inner: int
    first: float | None
    seconds: tuple[float | None, ...]
    preempted: int = 0
    crowded: bool = False
    launch_bound: bool = False
    peak: int | None = None
    error: Exception | None = None

    @property
    def kept(self) -> tuple[float, ...]:
        """Seconds per unit of the rounds in which it is present."""
        return tuple(s for s in self.seconds if s is not None)

    @property
    def median(self) -> float | None:
        """Median seconds per unit; None without samples."""
        return statistics.median(self.kept) if self.kept else None

    @property
    def mean_log(self) -> float | None:
        """Mean of log seconds per unit: the one number that represents a process."""
        return statistics.fmean(map(math.log, self.kept)) if self.kept else None


@dataclass(frozen=True, kw_only=True)
class GroupTimes:
    """Times of all members of a group in one process.

    Args:
        members: by name, in the order given.
        order: for each round the names in the order in which they were timed.
        sample: least seconds of a sample, by calibration.
    """

    members: Mapping[str, MemberTimes]
    order: tuple[tuple[str, ...], ...]
    sample: float


def time_group(
    workloads: Mapping[str, Workload],
    *,
    rounds: int,
    seed: int,
    sample: float = 2e-3,
    seconds: float = math.inf,
    mark: Callable[[int], None] = lambda _: None,
    leave: Callable[[int], None] = lambda _: None,
    clock: Clock | None = None,
) -> GroupTimes:
    """Time every workload once per round, in an order drawn from `seed` for each round.

    A member that raises is dropped with its error; the rounds of the others stay valid. Garbage collection is off
    during a sample.

    Args:
        workloads: name -> workload to call.
        rounds: number of rounds, at most.
        seed: seed of the orders.
        sample: least seconds of one sample; the number of calls in it is found first.
        seconds: no round after the first `LEAST_ROUNDS` begins once the samples have taken as long; when to stop
            depends on the duration of the group alone, never on a difference within it.
        mark: called with the position of a member before any of its code runs: the breadcrumb that identifies the
            member if the process dies.
        leave: called with the position of a member after each of its turns, outside of every sample: what the member
            left changed is restored there. An exception from it ends the group.
        clock: where durations come from; None: `HostClock()`.

    Raises:
        ValueError: no workload, fewer than one round, or a sample that is not positive.
    """
    if not workloads or rounds < 1 or not sample > 0:
        raise ValueError(
            f"a timing group needs a workload, a round and a positive sample, "
            f"got {len(workloads)}, {rounds} and {sample}"
        )
    clock = clock or HostClock()
    members = [_Member(index=i, workload=w, clock=clock, mark=mark) for i, w in enumerate(workloads.values())]
    for member in members:
        member.prepare(sample)
        leave(member.index)
    names = list(workloads)
    rng = random.Random(seed)  # noqa: S311  # orders, not secrets
    order = []
    for done in range(rounds):
        if done >= LEAST_ROUNDS and sum(member.spent for member in members) > seconds:
            break
        due = rng.sample(range(len(members)), len(members))
        for index in due:
            if members[index].error is None:
                members[index].sample()
                leave(index)
            else:
                members[index].blocks.append(None)
        order.append(tuple(names[index] for index in due))
    times = {name: member.times() for name, member in zip(names, members, strict=True)}
    return GroupTimes(members=times, order=tuple(order), sample=sample)


def measurements(times: MemberTimes, *, group: str, replicate: int) -> tuple[Measurement, ...]:
    """The rows of a member: `time` with its rounds, `first-call`, and `device-memory` if the device reports it.

    `time` is the median and has no interval: rounds of one process are not independent, so intervals are taken over
    processes. `n` counts the rounds kept; the flag `preempted` says that most were taken while the machine was crowded,
    `launch-bound` that the host issues the work more slowly than the device runs it.

    Args:
        times: times of the member.
        group: name of the timing group and process, the same for all members timed together.
        replicate: number of the process.

    Raises:
        ValueError: the member was dropped.
    """
    if times.error is not None:
        raise ValueError(f"a member that raised has no time, got {times.error!r}; report its error instead")
    flags = {"preempted": times.crowded, "launch-bound": times.launch_bound}
    rounds = Series(kind="rounds", values=times.seconds, batch=times.inner * times.units, group=group)
    row = Measurement(
        metric="time",
        value=times.median,
        n=len(times.kept),
        unit="s",
        replicate=replicate,
        flags=frozenset(name for name, on in flags.items() if on),
        series=rounds,
    )
    rows = [row, Measurement(metric="first-call", value=times.first, unit="s", replicate=replicate)]
    if times.peak is not None:
        rows.append(Measurement(metric="device-memory", value=float(times.peak), unit="B", replicate=replicate))
    return tuple(rows)


@dataclass(kw_only=True)
class _Member:
    """A workload while its group is timed."""

    index: int
    workload: Workload
    clock: Clock
    mark: Callable[[int], None]
    inner: int = 1
    first: float | None = None
    blocks: list[Block | None] = field(default_factory=list)
    launch_bound: bool = False
    peak: int | None = None
    error: Exception | None = None

    def prepare(self, sample: float) -> None:
        """First call, warm-up, and calibration of the number of calls in a sample."""
        with self._guarded():
            self.first = self._block(1).seconds
            for _ in range(WARM_UP - 1):
                self.workload.call()
            while (spent := self._shortest()) < sample:
                factor = 1.1 * sample / spent if spent > 0 else GROWTH
                self.inner = max(self.inner + 1, math.ceil(self.inner * min(factor, GROWTH)))
            self.launch_bound = self.clock.launch_bound(self.workload.call, self.inner)
            self.peak = self.clock.peak(self.workload.call)

    def sample(self) -> None:
        """One sample; None if it raised."""
        block = None
        with self._guarded():
            block = self._block(self.inner)
        self.blocks.append(block)

    @property
    def spent(self) -> float:
        """Seconds of the samples so far."""
        return sum(block.seconds for block in self.blocks if block is not None)

    def times(self) -> MemberTimes:
        preempted = [b is not None and b.share is not None and b.share < SHARE for b in self.blocks]
        # Under constant load almost none would be left: all samples, flagged, are better than a handful.
        crowded = 2 * sum(preempted) > len(self.blocks)
        per_unit = self.inner * self.workload.units
        return MemberTimes(
            unit=self.workload.unit,
            units=self.workload.units,
            inner=self.inner,
            first=self.first,
            seconds=tuple(
                None if b is None or (lost and not crowded) else b.seconds / per_unit
                for b, lost in zip(self.blocks, preempted, strict=True)
            ),
            preempted=sum(preempted),
            crowded=crowded,
            launch_bound=self.launch_bound,
            peak=self.peak,
            error=self.error,
        )

    def _shortest(self) -> float:
        # The shorter of two: a single one may have been pre-empted, which would make the samples too short.
        return min(self._block(self.inner).seconds for _ in range(2))

    def _block(self, times: int) -> Block:
        enabled = gc.isenabled()
        gc.disable()
        try:
            return self.clock.block(self.workload.call, times)
        finally:
            if enabled:
                gc.enable()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        self.mark(self.index)
        try:
            yield
        except Exception as error:  # noqa: BLE001  # a third-party call may raise anything; only this member is dropped
            self.error = error
