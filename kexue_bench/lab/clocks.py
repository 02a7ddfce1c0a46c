"""Clocks: how long a block of calls takes on a CPU, and on a CUDA device.

Nothing else in the project reads a clock for a measurement. The clock is an argument of the measuring functions, so
that their logic is tested with a clock that returns known seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

TICKS = 20
"""The CPU share of a block shorter than this many ticks of the CPU clock is unknown."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """One timed block of calls.

    Args:
        seconds: wall seconds of the block.
        share: CPU seconds of this process over wall seconds while the host worked; None if the CPU clock is too
            coarse. Well below 1 means that the host did not get its core.
    """

    seconds: float
    share: float | None = None


class Clock(Protocol):
    """Where durations come from."""

    def block(self, call: Callable[[], object], times: int) -> Block:
        """Call it so many times and take the time of all."""
        ...

    def launch_bound(self, call: Callable[[], object], times: int) -> bool:
        """Whether the host takes longer to issue the calls than the device to run them."""
        ...

    def peak(self, call: Callable[[], object]) -> int | None:
        """Peak bytes of the device's allocator during one call, beyond those before it; None if unknown."""
        ...


class HostClock:
    """Wall seconds of the work of this process.

    Args:
        wall: nanoseconds of the wall clock.
        cpu: nanoseconds of CPU time of this process, all its threads together.
    """

    def __init__(
        self,
        *,
        wall: Callable[[], int] = time.perf_counter_ns,
        cpu: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self._wall, self._cpu = wall, cpu
        self._tick = _tick(wall, cpu)

    def block(self, call: Callable[[], object], times: int) -> Block:
        """Call it so many times and take the time of all."""
        busy, begin = self._cpu(), self._wall()
        for _ in range(times):
            call()
        spent = self._wall() - begin
        busy = self._cpu() - busy
        return Block(seconds=spent / 1e9, share=busy / spent if spent >= TICKS * self._tick else None)

    def launch_bound(self, call: Callable[[], object], times: int) -> bool:
        """Never: the host is the device."""
        return False

    def peak(self, call: Callable[[], object]) -> int | None:
        """Unknown: torch's CPU allocator keeps no statistics."""
        return None


class CudaClock:
    """Seconds between two events around a block of launches: the device's work and the gaps that a slow host leaves.

    Args:
        device: the device whose current stream is timed.
        cuda: `torch.cuda`, or a replacement in tests.
        wall: nanoseconds of the wall clock.
        cpu: nanoseconds of CPU time of this process.
    """

    def __init__(
        self,
        device: torch.device | str,
        *,
        cuda: Any = torch.cuda,
        wall: Callable[[], int] = time.perf_counter_ns,
        cpu: Callable[[], int] = time.process_time_ns,
    ) -> None:
        self._device, self._cuda, self._wall, self._cpu = device, cuda, wall, cpu
        self._tick = _tick(wall, cpu)
        self._hold: Callable[[int], object] = cuda._sleep  # noqa: SLF001  # torch's only way to hold a stream
        probe = 1_000_000
        self._cycles_per_second = probe / max(self._span(lambda: self._hold(probe), 1)[0], 1e-6)

    def block(self, call: Callable[[], object], times: int) -> Block:
        """Launch it so many times and return the device's time from the first launch to the end of the last."""
        seconds, host, busy = self._span(call, times)
        return Block(seconds=seconds, share=busy / host if host >= TICKS * self._tick else None)

    def launch_bound(self, call: Callable[[], object], times: int) -> bool:
        """Compare the host's time to issue the calls with the device's own, taken while the stream is held.

        The stream spins until every launch is queued, so the second span has no gaps; the first has gaps if the host is
        the slower of the two.
        """
        _, host, _ = self._span(call, times)
        cycles = int(2 * host / 1e9 * self._cycles_per_second)
        device, _, _ = self._span(call, times, before=lambda: self._hold(cycles))
        return host / 1e9 > device

    def peak(self, call: Callable[[], object]) -> int | None:
        """Peak bytes allocated during one call, beyond what was allocated before it."""
        self._cuda.synchronize(self._device)
        self._cuda.reset_peak_memory_stats(self._device)
        before = self._cuda.memory_allocated(self._device)
        call()
        self._cuda.synchronize(self._device)
        return self._cuda.max_memory_allocated(self._device) - before

    def _span(
        self, call: Callable[[], object], times: int, *, before: Callable[[], object] | None = None
    ) -> tuple[float, int, int]:
        """Seconds between the events; nanoseconds of wall and of CPU that the host spent issuing."""
        first, last = self._cuda.Event(enable_timing=True), self._cuda.Event(enable_timing=True)
        self._cuda.synchronize(self._device)
        if before is not None:
            before()
        first.record()
        busy, begin = self._cpu(), self._wall()
        for _ in range(times):
            call()
        host = self._wall() - begin
        busy = self._cpu() - busy
        last.record()
        self._cuda.synchronize(self._device)
        return first.elapsed_time(last) / 1e3, host, busy


def clock_for(device: torch.device | str) -> Clock:
    """The clock of a device type."""
    return CudaClock(device) if torch.device(device).type == "cuda" else HostClock()


def _tick(wall: Callable[[], int], cpu: Callable[[], int]) -> int:
    """Smallest observed step of the CPU clock in nanoseconds (10 ms on some systems, whatever they report)."""
    deadline = wall() + 50_000_000
    steps: list[int] = []
    last = cpu()
    while len(steps) < 2 and wall() < deadline:
        now = cpu()
        if now != last:
            steps.append(now - last)
            last = now
    return min(steps) if steps else 50_000_000
