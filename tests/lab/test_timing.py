"""Timing groups, on clocks that charge known seconds; no test looks at a real one."""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Callable

import pytest
from machines import Machine, cuda_clock

from kexue_bench.api import Measurement
from kexue_bench.lab.clocks import Block
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


@pytest.mark.parametrize(("seconds", "rounds"), [(math.inf, 60), (45.0, 23), (1.0, 20)])
def test_a_slow_group_gets_fewer_rounds_and_at_least_twenty(seconds, rounds):
    """Two members that charge 1 s each spend 2 s a round: no round begins once they spent more than allowed."""
    clock = Charged()
    works = {"a": clock.work(1.0), "b": clock.work(1.0)}
    times = time_group(works, rounds=60, seed=0, seconds=seconds, clock=clock)
    assert len(times.order) == rounds
    assert {len(member.seconds) for member in times.members.values()} == {rounds}
