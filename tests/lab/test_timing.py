"""Timing groups, on clocks that charge known seconds; no test looks at a real one."""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from kexue_bench.api import Measurement
from kexue_bench.lab.clocks import Block, CudaClock, HostClock, clock_for
from kexue_bench.lab.problems import Workload
from kexue_bench.lab.timing import MemberTimes, measurements, time_group


class Charged:
    """A clock whose calls charge their own seconds, at a rate that may depend on the time.

    Args:
        rate: factor on every charge as a function of the seconds charged so far.
        share: CPU share of the block of that number.
    """

    def __init__(
        self,
        rate: Callable[[float], float] = lambda _: 1.0,
        share: Callable[[int], float | None] = lambda _: None,
    ) -> None:
        self.now = 0.0
        self.blocks = 0
        self._rate, self._share = rate, share

    def work(self, seconds: float, units: int = 1) -> Workload:
        return Workload(call=lambda: self.charge(seconds), units=units, unit="step")

    def charge(self, seconds: float) -> None:
        self.now += seconds * self._rate(self.now)

    def block(self, call, times):
        begin = self.now
        for _ in range(times):
            call()
        self.blocks += 1
        return Block(seconds=self.now - begin, share=self._share(self.blocks))

    def launch_bound(self, call, times):
        return False

    def peak(self, call):
        return None


def test_work_done_twice_is_twice_the_time():
    """A call that charges 2 s takes exactly twice the median of one that charges 1 s."""
    clock = Charged()
    times = time_group({"once": clock.work(1.0), "twice": clock.work(2.0)}, rounds=9, seed=0, clock=clock)
    once, twice = times.members["once"], times.members["twice"]
    assert (once.median, twice.median) == (1.0, 2.0)


def test_seconds_are_per_unit():
    """A call of 10 units that charges 5 s costs 0.5 s a unit."""
    clock = Charged()
    assert time_group({"a": clock.work(5.0, units=10)}, rounds=3, seed=0, clock=clock).members["a"].median == 0.5


def test_drift_cancels_in_paired_ratios():
    """On a clock that slows down tenfold during the group, the mean log-ratio of the pairs still is log 2."""
    clock = Charged(rate=lambda now: 1 + 5 * now)
    works = {"once": clock.work(1e-4), "twice": clock.work(2e-4)}
    times = time_group(works, rounds=100, seed=1, clock=clock)
    once, twice = (times.members[name].kept for name in works)
    pairs = [math.log(b / a) for a, b in zip(once, twice, strict=True)]
    assert max(once) / min(once) > 5
    # A pair lies 2.2 ms apart, in which the rate moves by 1.1 %, to either side by chance: 0.11 % in the mean of 100.
    # The clock keeps one rate for a whole call, which adds 5 x 0.1 ms = 0.05 %.
    assert statistics.fmean(pairs) == pytest.approx(math.log(2), abs=3 * 0.0011 + 0.0005)


def test_every_round_is_a_permutation():
    """Each published round holds every member once."""
    clock = Charged()
    times = time_group({n: clock.work(1.0) for n in "abcd"}, rounds=40, seed=3, clock=clock)
    assert all(sorted(due) == list("abcd") for due in times.order)


def test_orders_differ_between_rounds_and_repeat_with_the_seed():
    """Orders are drawn anew for each round, from the seed alone."""
    clock = Charged()
    orders = [
        time_group({n: clock.work(1.0) for n in "abcd"}, rounds=40, seed=seed, clock=clock).order for seed in (3, 3, 4)
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert len(set(orders[0])) > 10


def test_published_order_is_the_order_of_the_calls():
    """What is published is what was called."""
    clock, called = Charged(), []
    works = {n: Workload(call=lambda n=n: (called.append(n), clock.charge(1.0))) for n in "abc"}
    times = time_group(works, rounds=5, seed=0, clock=clock)
    assert called[-15:] == [name for due in times.order for name in due]


def test_a_sample_lasts_at_least_as_long_as_asked():
    """The number of calls in a sample is raised until it lasts 2 ms."""
    clock = Charged()
    for cost in (1e-7, 3.3e-5, 1.9e-3, 0.5):
        member = time_group({"a": clock.work(cost)}, rounds=1, seed=0, sample=2e-3, clock=clock).members["a"]
        assert math.ceil(2e-3 / cost) <= member.inner <= math.ceil(1.1 * 2e-3 / cost) + 1


def test_calibration_is_not_fooled_by_one_slow_block():
    """A hiccup of 1 s during the first calibration block does not leave the samples at one call."""
    clock = Charged(rate=lambda now: 1e5 if 3.5e-5 < now < 0.1 else 1.0)
    member = time_group({"a": clock.work(1e-5)}, rounds=1, seed=0, clock=clock).members["a"]
    assert member.inner >= 200


def test_the_first_call_stands_apart():
    """What only the first call costs is reported as `first` and is in no sample."""
    clock = Charged()
    costs = iter([7.0])
    work = Workload(call=lambda: clock.charge(next(costs, 1.0)))
    member = time_group({"a": work}, rounds=3, seed=0, clock=clock).members["a"]
    assert (member.first, member.kept) == (7.0, (1.0, 1.0, 1.0))


def test_preempted_samples_are_absent_and_counted():
    """A sample whose process had less than 0.9 of its core is None in the series and counted."""
    clock = Charged(share=lambda n: 0.5 if n % 4 == 0 else 1.0)
    member = time_group({"a": clock.work(1.0)}, rounds=20, seed=0, clock=clock).members["a"]
    assert member.preempted == 5
    assert member.seconds.count(None) == 5
    assert not member.crowded


def test_under_constant_load_all_samples_are_kept_and_flagged():
    """Where more than half of the samples were pre-empted nothing is dropped, and the row says so."""
    clock = Charged(share=lambda _: 0.4)
    member = time_group({"a": clock.work(1.0)}, rounds=6, seed=0, clock=clock).members["a"]
    assert member.kept == (1.0,) * 6
    assert measurements(member, group="g", replicate=0)[0].flags == {"preempted"}


def test_a_member_that_raises_costs_only_itself():
    """A member that raises after 20 calls is dropped with its error; the other has all its rounds."""
    clock, calls = Charged(), []

    def breaks() -> None:
        calls.append(None)
        if len(calls) > 20:
            raise ArithmeticError("no more")
        clock.charge(1.0)

    works = {"bad": Workload(call=breaks), "good": clock.work(1.0)}
    times = time_group(works, rounds=50, seed=0, clock=clock)
    assert repr(times.members["bad"].error) == "ArithmeticError('no more')"
    assert times.members["good"].kept == (1.0,) * 50
    assert len(calls) == 21


def test_a_member_that_raises_at_once_never_has_a_time():
    """An error in the first call leaves neither `first` nor a row."""
    member = time_group({"bad": Workload(call=lambda: 1 / 0)}, rounds=3, seed=0, clock=Charged()).members["bad"]
    assert (member.first, member.kept, member.median, member.mean_log) == (None, (), None, None)
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        measurements(member, group="g", replicate=0)


def test_the_breadcrumb_names_who_runs():
    """Whenever a member's call runs, the last mark is its position; a dropped member leaves none."""
    clock, marks, seen = Charged(), [], set()

    def call(index: int) -> None:
        seen.add((index, marks[-1]))
        clock.charge(1.0)

    works = {str(i): Workload(call=lambda i=i: call(i)) for i in range(3)}
    works["bad"] = Workload(call=lambda: 1 / 0)
    time_group(works, rounds=10, seed=0, mark=marks.append, clock=clock)
    assert seen == {(0, 0), (1, 1), (2, 2)}
    assert marks.count(3) == 1


def test_mean_log_is_the_log_of_the_geometric_mean():
    """exp(mean_log) of 1 and 4 is 2; absent rounds do not count."""
    member = MemberTimes(unit="step", units=1, inner=1, first=1.0, seconds=(1.0, None, 4.0))
    assert math.exp(member.mean_log or 0.0) == pytest.approx(2.0)


def test_the_row_holds_the_rounds():
    """The measurement of a member carries median, rounds, units of a sample and group, and no interval."""
    member = MemberTimes(unit="draw", units=64, inner=5, first=9.0, seconds=(1.0, None, 3.0, 2.0), launch_bound=True)
    row, first = measurements(member, group="g/0", replicate=4)
    assert isinstance(row, Measurement)
    assert (row.metric, row.value, row.n, row.unit, row.replicate) == ("time", 2.0, 3, "s", 4)
    assert (row.low, row.high, row.flags) == (None, None, {"launch-bound"})
    assert row.series is not None
    assert (row.series.kind, row.series.values) == ("rounds", (1.0, None, 3.0, 2.0))
    assert (row.series.batch, row.series.group) == (320, "g/0")
    assert (first.metric, first.value, first.unit, first.replicate) == ("first-call", 9.0, "s", 4)


@pytest.mark.parametrize(
    ("names", "rounds", "sample"), [("", 1, 1e-3), ("a", 0, 1e-3), ("a", 1, 0.0), ("a", 1, math.nan)]
)
def test_a_group_without_anything_to_do_is_an_error(names, rounds, sample):
    """No member, no round, or a sample without a length is refused."""
    clock = Charged()
    with pytest.raises(ValueError, match="timing group"):
        time_group({n: clock.work(1.0) for n in names}, rounds=rounds, seed=0, sample=sample, clock=clock)


def test_garbage_collection_waits_during_a_sample():
    """The collector is off inside blocks and on again afterwards."""
    on = []

    class Watched(Charged):
        def block(self, call, times):
            on.append(gc.isenabled())
            return super().block(call, times)

    clock = Watched()
    time_group({"a": clock.work(1.0)}, rounds=2, seed=0, clock=clock)
    assert set(on) == {False}
    assert gc.isenabled()


# -- the clocks, on machines that are made up ------------------------------------------------------------------------


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


def test_a_group_on_a_device_carries_peak_and_launch_bound():
    """What the clock finds out about a member once reaches its times."""
    machine = Machine()
    works = {
        "small": Workload(call=lambda: machine.launch(50_000, 1_000, size=8)),
        "large": Workload(call=lambda: machine.launch(1_000, 100_000, size=64)),
    }
    times = time_group(works, rounds=3, seed=0, clock=cuda_clock(machine)).members
    assert (times["small"].launch_bound, times["small"].peak) == (True, 8)
    assert (times["large"].launch_bound, times["large"].peak) == (False, 64)
    assert times["large"].median == pytest.approx(1e-4, rel=0.02)
    rows = {row.metric: row for row in measurements(times["small"], group="g", replicate=0)}
    assert rows["time"].flags == {"launch-bound"}
    assert (rows["device-memory"].value, rows["device-memory"].unit) == (8.0, "B")


def test_the_cpu_is_timed_by_the_host():
    """A CPU has a host clock."""
    assert isinstance(clock_for("cpu"), HostClock)


@pytest.mark.parametrize(("seconds", "rounds"), [(math.inf, 60), (45.0, 23), (1.0, 20)])
def test_a_slow_group_gets_fewer_rounds_and_at_least_twenty(seconds, rounds):
    """Two members that charge 1 s each spend 2 s a round: no round begins once they spent more than allowed."""
    clock = Charged()
    works = {"a": clock.work(1.0), "b": clock.work(1.0)}
    times = time_group(works, rounds=60, seed=0, seconds=seconds, clock=clock)
    assert len(times.order) == rounds
    assert {len(member.seconds) for member in times.members.values()} == {rounds}
