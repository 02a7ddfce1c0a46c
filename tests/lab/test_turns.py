"""What a member of a timing group leaves behind: whose thread computes during the turns of others."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest
import torch

from kexue_bench.lab import turns
from kexue_bench.lab.turns import Findings, Turns


class Process:
    """Threads that compute as told, on a clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.cpu = {1: 0.0}
        self.rates: dict[int, float] = {}

    def turns(self) -> Turns:
        return Turns(
            wall=lambda: self.now,
            cpu=lambda: sum(self.cpu.values()),
            threads=lambda _: dict(self.cpu),
            count=lambda: len(self.cpu),
        )

    def spend(self, seconds: float, *, crowd: float = 1.0) -> None:
        """A turn of so many CPU seconds of the member; everybody waits `crowd` times as long."""
        self.now += seconds * crowd
        self.cpu[1] += seconds
        for number, rate in self.rates.items():
            self.cpu[number] += rate * seconds

    def start(self, number: int, rate: float) -> None:
        self.cpu[number], self.rates[number] = 0.0, rate


@pytest.fixture
def process():
    return Process()


@pytest.mark.parametrize("crowd", [1.0, 8.0])
@pytest.mark.parametrize(("rate", "guilty"), [(0.0, None), (0.05, None), (0.2, 1), (1.0, 1)])
def test_a_thread_is_judged_by_what_it_does_during_the_turns_of_others(process, rate, guilty, crowd):
    """A tenth of the CPU time is the limit, however crowded the machine; whoever has its turn then is not to blame."""
    look = process.turns()
    assert look.settle(0) == Findings()
    process.start(7, rate)
    process.spend(0.01, crowd=crowd)
    assert look.settle(1).guilty is None
    process.spend(0.01, crowd=crowd)
    assert look.settle(2).guilty == guilty


def test_a_thread_may_work_in_the_turn_of_its_own_member(process):
    """A method with a pool of threads is timed with it, as long as the pool rests when others are timed."""
    look = process.turns()
    process.start(7, 1.0)
    for _ in range(5):
        process.spend(0.02)
        assert look.settle(0).guilty is None
        process.rates[7] = 0.0
        process.spend(0.02)
        assert look.settle(1).guilty is None
        process.rates[7] = 1.0


def test_a_thread_that_starts_to_compute_late_is_found(process):
    """It sleeps for many turns first."""
    look = process.turns()
    process.start(7, 0.0)
    look.settle(0)
    for member in (1, 2, 0, 1):
        process.spend(0.02)
        assert look.settle(member).guilty is None
    process.rates[7] = 1.0
    process.spend(0.02)
    assert look.settle(2).guilty == 0


def test_short_turns_are_judged_together_and_at_the_end(process, monkeypatch):
    """Fewer than 5 ms say nothing; the last look waits for as long as it takes."""
    monkeypatch.setattr(turns, "time", SimpleNamespace(sleep=process.spend))
    look = process.turns()
    process.start(7, 1.0)
    look.settle(0)
    process.spend(0.001)
    assert look.settle(1).guilty is None
    assert look.end().guilty == 0


def test_the_cpu_time_of_a_thread_is_its_own():
    """A thread that computes has most of what the process got; one that sleeps has next to nothing."""
    if not turns.cpu_of_threads(True):
        pytest.skip("this system does not say")
    end = threading.Event()
    spinner = threading.Thread(target=lambda: [None for _ in iter(end.is_set, True)])
    sleeper = threading.Thread(target=end.wait)
    before = time.process_time()
    for thread in (spinner, sleeper):
        thread.start()
    time.sleep(0.2)
    found, spent = turns.cpu_of_threads(False), time.process_time() - before
    end.set()
    for thread in (spinner, sleeper):
        thread.join()
    assert spinner.native_id is not None
    assert sleeper.native_id is not None
    assert found[spinner.native_id] > 0.7 * spent
    assert found[sleeper.native_id] < 0.1 * spent


def test_a_function_that_was_replaced_is_named_with_the_member(monkeypatch):
    """Whoever had its turn; nothing restores it."""
    look = Turns()
    assert look.settle(0).guilty is None
    monkeypatch.setattr(torch, "rand", torch.zeros)
    found = look.settle(1)
    assert (found.guilty, found.left) == (1, "replaced torch.rand")
