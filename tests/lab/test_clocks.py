"""Clocks, on machines that are made up; no test looks at a real one."""

from __future__ import annotations

import pytest
from machines import Machine, cuda_clock

from kexue_bench.lab.clocks import HostClock, clock_for


def test_host_clock_counts_wall_seconds():
    """100 calls of 1 ms take 100 ms and the few ns that reading the clock costs."""
    machine = Machine()
    block = HostClock(wall=machine.wall, cpu=machine.cpu).block(lambda: machine.launch(1_000_000), 100)
    assert block.seconds == pytest.approx(0.1, abs=1e-7)
    assert block.share == pytest.approx(1.0, abs=1e-6)


def test_host_clock_sees_that_others_had_the_core():
    """A call that works 1 ms and waits 1 ms for its core has a share of one half."""
    machine = Machine()
    block = HostClock(wall=machine.wall, cpu=machine.cpu).block(lambda: machine.launch(1_000_000, taken=1_000_000), 3)
    assert block.share == pytest.approx(0.5, abs=1e-5)


def test_a_coarse_cpu_clock_says_nothing():
    """Where CPU time moves in steps of 10 ms, a block of 2 ms has no share, one of 1 s has."""
    machine = Machine(tick=10_000_000)
    clock = HostClock(wall=machine.wall, cpu=machine.cpu)
    assert clock.block(lambda: machine.launch(2_000_000), 1).share is None
    assert clock.block(lambda: machine.launch(1_000_000_000), 1).share == pytest.approx(1.0, abs=0.011)


def test_cuda_clock_counts_the_device():
    """50 launches of 1 us host and 1 ms device time take 50 ms: the device's time, not the host's 50 us."""
    machine = Machine()
    block = cuda_clock(machine).block(lambda: machine.launch(1_000, 1_000_000), 50)
    assert block.seconds == pytest.approx(0.05, rel=1e-4)


def test_cuda_clock_leaves_out_what_was_queued_before():
    """Work that was queued before the block is not counted."""
    machine = Machine()
    clock = cuda_clock(machine)
    machine.launch(0, 10**9)
    assert clock.block(lambda: machine.launch(1_000, 1_000_000), 1).seconds == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize(("host", "device", "bound"), [(1_000, 100_000, False), (100_000, 1_000, True)])
def test_launch_bound_is_a_host_slower_than_its_device(host, device, bound):
    """100 us of host for 1 us of device is launch-bound; the other way round is not."""
    machine = Machine()
    assert cuda_clock(machine).launch_bound(lambda: machine.launch(host, device), 20) is bound


def test_a_launch_bound_user_waits_for_the_host():
    """With 100 us of host and 1 us of device a launch, a block of 20 takes the host's 2 ms, gaps included."""
    machine = Machine()
    block = cuda_clock(machine).block(lambda: machine.launch(100_000, 1_000), 20)
    assert block.seconds == pytest.approx(2e-3, rel=1e-2)


def test_peak_is_what_the_call_adds():
    """With 1000 bytes held, a call that allocates 500 more has a peak of 500, whatever peaked before."""
    machine = Machine()
    machine.held, machine.top = 1000, 10_000
    assert cuda_clock(machine).peak(lambda: machine.launch(1, 1, size=500)) == 500


def test_the_cpu_is_timed_by_the_host():
    """A CPU has a host clock."""
    assert isinstance(clock_for("cpu"), HostClock)
