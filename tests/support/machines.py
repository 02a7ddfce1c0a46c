"""Machines that are made up: a host, and one CUDA stream, whose clocks go as told."""

from __future__ import annotations

from types import SimpleNamespace

from kexue_bench.lab.clocks import CudaClock


class Machine:
    """A host and one CUDA stream with a made-up time in nanoseconds.

    `launch(host, device)` keeps the host busy for `host` ns and queues `device` ns of work; `taken` ns of other
    processes' time pass with it.
    """

    def __init__(self, *, tick: int = 1) -> None:
        self.host = self.busy = self.free_at = 0
        self.held = self.top = 0
        self.tick = tick

    def wall(self) -> int:
        self.host += 10
        self.busy += 10
        return self.host

    def cpu(self) -> int:
        self.host += 10
        self.busy += 10
        return self.busy // self.tick * self.tick

    def launch(self, host: int = 0, device: int = 0, *, taken: int = 0, size: int = 0) -> None:
        self.host += host + taken
        self.busy += host
        self.free_at = max(self.free_at, self.host) + device
        self.top = max(self.top, self.held + size)

    # What `torch.cuda` offers to the clock.

    def _sleep(self, cycles: int) -> None:
        self.launch(0, cycles // 2)  # 2 GHz

    def synchronize(self, device) -> None:
        self.host = max(self.host, self.free_at)

    def reset_peak_memory_stats(self, device) -> None:
        self.top = self.held

    def memory_allocated(self, device) -> int:
        return self.held

    def max_memory_allocated(self, device) -> int:
        return self.top

    def Event(self, *, enable_timing):
        event = SimpleNamespace(at=0)

        def record() -> None:
            event.at = max(self.free_at, self.host)

        event.record = record
        event.elapsed_time = lambda other: (other.at - event.at) / 1e6
        return event


def cuda_clock(machine: Machine) -> CudaClock:
    return CudaClock("cuda", cuda=machine, wall=machine.wall, cpu=machine.cpu)
