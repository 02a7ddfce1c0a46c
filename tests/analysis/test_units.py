"""Cells are made of independent units, and two methods are compared unit by unit wherever that is possible."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from stored import BASE, RIVAL, THIRD, TOY, VAE, Book, gamma, grid, method, only, read, timed

from kexue_bench.analysis.seeds import binomial
from kexue_bench.analysis.units import Entry, Units, collect, column_key, contrast, product
from kexue_bench.api import Case, Measurement, MetricSpec, Outcome


def test_a_ratio_is_taken_unit_by_unit_on_the_common_prefix():
    """A longer series is cut to the shorter: with units in fixed proportion the ratio is exact and without spread."""
    book = Book(baseline=BASE)
    units = gamma(1, 160, 4.0)
    book.sampled(TOY, BASE, units)
    book.sampled(TOY, RIVAL, 0.25 * units[:96])
    _, rows = only(read(book.run()))
    effect = rows["rloo"].cells["mse"].effect
    assert effect.value == pytest.approx(0.25)
    assert effect.high / effect.low < 1.00001
    assert effect.paired
    assert effect.verdict == "better"


def test_the_work_normalised_variance_is_paired_as_the_mse_is():
    """Twice the work doubles the ratio and leaves its relative width alone."""
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, gamma(1))
    book.sampled(TOY, RIVAL, 0.5 * gamma(2), evaluations=3)
    cells = only(read(book.run()))[1]["rloo"].cells
    mse, work = cells["mse"].effect, cells["work-variance"].effect
    assert work.value == pytest.approx(3 * mse.value)
    assert work.high / work.low == pytest.approx(mse.high / mse.low)


def test_time_variance_is_derived_with_both_errors():
    """Mse times seconds: value and ratio are products, relative variances add."""
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, gamma(1))
    book.sampled(TOY, RIVAL, 0.5 * gamma(2))
    noise = np.exp(np.random.default_rng(3).normal(0, 0.01, (3, 10, 20)))
    book.timed(TOY, [BASE, RIVAL], np.array([1e-6, 2e-6, 1e-6])[:, None, None] * noise)
    cells = only(read(book.run()))[1]["rloo"].cells
    mse, time, both = (cells[name].effect for name in ("mse", "time", "time-variance"))
    assert cells["time-variance"].value == pytest.approx(cells["mse"].value * cells["time"].value)
    assert both.value == pytest.approx(mse.value * time.value)
    widths = [math.log(e.high / e.low) for e in (mse, time, both)]
    assert widths[2] == pytest.approx(math.hypot(widths[0], widths[1]), rel=0.05)


def test_two_constants_are_compared_as_numbers():
    """Thousands of equal draws on both sides: 2 is worse than 1, and 1 + 1e-7 is 1 up to the rounding of float32."""
    flat = frozenset({"degenerate"})
    book = Book(baseline=BASE)
    book.sampled(TOY, BASE, [1.0] * 64, flags=flat)
    book.sampled(TOY, RIVAL, [2.0] * 64, flags=flat)
    book.sampled(TOY, THIRD, 3 * gamma(1))
    book.sampled(TOY, method("fourth"), [1.0 + 1e-7] * 64, flags=flat)
    rows = only(read(book.run()))[1]
    found = {name: row.cells["mse"].effect for name, row in rows.items()}
    assert (found["rloo"].verdict, found["rloo"].value, found["rloo"].p) == ("worse", pytest.approx(2), None)
    assert found["disarm"].verdict == "worse"
    assert found["fourth"].verdict == "equivalent"
    assert rows["rloo"].cells["mse"].rank_group != rows["reinforce"].cells["mse"].rank_group


def test_scores_are_paired_by_replicate_as_differences():
    """Seeds that are lucky for all cancel; curve points take no part."""
    book = Book(baseline=BASE)
    luck = np.random.default_rng(1).normal(-100, 5, 5)
    book.trained(VAE, BASE, list(luck))
    book.trained(VAE, RIVAL, list(luck + np.array([1.0, 1.1, 0.9, 1.0, 1.0])))
    cells = only(read(book.run()))[1]["rloo"].cells
    effect = cells["elbo"].effect
    assert (effect.kind, effect.value) == ("difference", pytest.approx(1.0))
    assert effect.high - effect.low == pytest.approx(2 * 2.7764451 * math.sqrt(0.005) / math.sqrt(5), rel=1e-6)
    assert effect.verdict == "better"
    assert effect.gain > 1000


def test_time_is_the_geometric_mean_over_processes():
    """Value and interval from one number a process, the mean of its logs; rounds are no units."""
    seconds = grid([1, 1, 1], processes=5)
    cell = timed(seconds)[1]["reinforce"].cells["time"]
    logs = np.log(seconds[0]).mean(axis=1)
    half = 2.7764451 * logs.std(ddof=1) / math.sqrt(5)
    assert cell.value == pytest.approx(math.exp(logs.mean()))
    assert (cell.low, cell.high) == pytest.approx((math.exp(logs.mean() - half), math.exp(logs.mean() + half)))
    assert cell.n == 5


def test_rounds_are_paired_where_both_methods_were_there():
    """A drift that both share leaves the ratio exact, also where one method missed rounds."""
    seconds = grid([1, 2, 1], within=0, between=0)
    seconds[1, :, ::3] = math.nan
    effect = timed(seconds)[1]["rloo"].cells["time"].effect
    assert (effect.value, effect.high / effect.low) == (pytest.approx(2), pytest.approx(1))
    assert effect.verdict == "worse"


def test_seconds_of_different_groups_are_never_compared():
    """Two runs of one method on one machine have no common rounds: no ratio."""
    runs = []
    for name, of in (("0001-a", [BASE]), ("0002-b", [RIVAL])):
        book = Book(baseline=BASE, name=name)
        for m in of:
            book.sampled(TOY, m, gamma(1))
        book.timed(TOY, of, grid([1] * len(of)), copy=False)
        runs.append(book.run())
    rows = only(read(*runs))[1]
    assert rows["rloo"].cells["time"].effect.verdict == "untestable"
    assert rows["rloo"].cells["mse"].effect.verdict == "equivalent"


def test_processes_are_not_missing_replicates():
    """What the processes of a group record beside seconds is complete, however many seeds there are."""
    book = Book(baseline=BASE)
    book.trained(VAE, BASE, [-100.0, -101.0, -102.0, -100.5, -101.5])
    for process in range(2):
        case = book.case(VAE, BASE, stage="time", replicates=(process,))
        book.outcome(case, Measurement(metric="first-call", value=1.0 + process, unit="s", replicate=process))
    _, rows = only(read(book.run()))
    cell = rows["reinforce"].cells["first-call"]
    assert (cell.value, cell.n, cell.flags) == (1.5, 2, frozenset())


def test_seconds_carry_a_bootstrap_over_processes():
    """Ends of the ratio from the same process values as t; other columns have none."""
    cells = timed(grid([1, 2, 1], processes=8))[1]["rloo"].cells
    effect = cells["time"].effect
    assert effect.bootstrap[0] < effect.value < effect.bootstrap[1]
    assert effect.bootstrap == pytest.approx((effect.low, effect.high), rel=0.05)
    assert cells["mse"].effect.bootstrap is None


# -- closed forms -----------------------------------------------------------------------------------------------------


def entry(value, *, low=None, high=None, replicates=(0,), status="ok", **fields):
    of = Case(family="f", task=TOY, task_version=1, method=BASE, stage="evaluate", replicates=replicates)
    measured = Measurement(metric="loss", value=value, low=low, high=high, **fields)
    outcome = Outcome(key=of.key, status=status, measurements=(measured,))
    return Entry(run=0, case=of, outcome=outcome, measurement=measured)


LOSS = MetricSpec(name="loss", scale="linear")


def test_a_column_is_named_by_its_metric_and_its_labels():
    """In one order, whatever the order in which a task wrote them."""
    for labels in ({"b": "2", "a": "1"}, {"a": "1", "b": "2"}):
        assert column_key(Measurement(metric="f1", value=0.0, labels=labels)) == "f1[a=1,b=2]"
    assert column_key(Measurement(metric="f1", value=0.0)) == "f1"


def test_where_no_value_is_finite_there_is_no_cell():
    """NaN, an infinity and a missing value are left out; what is left is the column."""
    bad = [entry(value, replicate=i) for i, value in enumerate((None, math.nan, math.inf))]
    assert collect(bad, LOSS, frozenset({0, 1, 2})) is None
    found = collect([*bad, entry(2.0, replicate=3)], LOSS, frozenset({0, 1, 2, 3}))
    assert (found.value, found.n, found.partial) == (2.0, 1, True)


def test_replicates_have_the_t_interval_of_their_mean():
    """1, 2, 3 with one standard deviation of 1: 2 +- 4.3027 / sqrt(3)."""
    found = collect([entry(float(v), replicate=v) for v in (1, 2, 3)], LOSS, frozenset({1, 2, 3}))
    half = 4.3026527 / math.sqrt(3)
    assert (found.kind, found.value, found.n, found.partial) == ("replicates", 2.0, 3, False)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))


def test_an_event_over_seeds_is_a_share_with_an_exact_interval():
    """None of ten: 0 to 31 %, and never below 0 (the t interval of one of ten was 0.1 +-0.2); compared by seeds."""
    event = MetricSpec(name="loss", scale="linear", direction="lower", event=True)

    def gathered(*values):
        rows = [entry(float(value), replicate=seed) for seed, value in enumerate(values)]
        return collect(rows, event, frozenset(range(len(values))))

    none, one, most = gathered(*[0] * 10), gathered(*[0] * 9, 1), gathered(*[1] * 9, 0)
    assert (none.value, none.low, none.high) == (0.0, *binomial(0, 10))
    assert (one.value, one.low, one.high) == (0.1, *binomial(1, 10))
    assert "share" in one.flags
    assert not none.degenerate
    assert contrast(one, none).p == 1
    assert contrast(most, none).p == pytest.approx(2 / 2**9)


def test_a_collapsed_seed_is_told_from_the_others():
    """Nine seeds near .6 and one at 0: the flag of a heavy tail, and two groups, each with its own mean."""
    values = (0.6, 0.61, 0.605, 0.59, 0.6, 0.602, 0.61, 0.6, 0.603, 0.0)
    rows = [entry(value, replicate=seed) for seed, value in enumerate(values)]
    found = collect(rows, LOSS, frozenset(range(10)))
    assert "heavy-tail" in found.flags
    assert found.populations is not None
    assert found.value == pytest.approx(sum(values) / 10)
    usual = collect(rows[:9], LOSS, frozenset(range(9)))
    assert usual.populations is None
    assert "heavy-tail" not in usual.flags


def test_a_missing_replicate_makes_a_set_partial_and_untestable():
    """Two of three planned seeds: shown, and compared with nothing."""
    whole = collect([entry(float(v), replicate=v) for v in (1, 2, 3)], LOSS, frozenset({1, 2, 3}))
    part = collect([entry(float(v), replicate=v) for v in (1, 2)], LOSS, frozenset({1, 2, 3}))
    assert part.partial
    assert "partial" in part.flags
    assert contrast(part, whole) is None


def test_an_exact_value_is_exact_only_where_its_cases_agree():
    """Two cases that both call themselves exact and differ are a mean that was not exact."""
    exact = frozenset({"exact"})
    agree = collect([entry(1.0, flags=exact), entry(1.0, flags=exact)], LOSS, frozenset({0}))
    differ = collect([entry(1.0, flags=exact), entry(3.0, flags=exact)], LOSS, frozenset({0}))
    assert (agree.exact, agree.value) == (True, 1.0)
    assert (differ.exact, differ.value) == (False, 2.0)


def units(value, low, high, **fields):
    return Units(key="x", metric="x", kind="single", scale="log", value=value, low=low, high=high, n=64, **fields)


def test_a_product_multiplies_values_and_adds_relative_variances():
    """Two factors with 3 % and 4 % around them have 5 % around their product."""

    def width(of):
        return math.log(of.high / of.low)

    a = units(2.0, 2 * math.exp(-0.03), 2 * math.exp(0.03))
    b = units(5.0, 5 * math.exp(-0.04), 5 * math.exp(0.04))
    both = product("y", "s", a, b)
    assert both.value == pytest.approx(10.0)
    assert both.unit == "s"
    assert width(both) == pytest.approx(math.hypot(width(a), width(b)), rel=0.01)


def test_zero_is_below_everything_only_where_it_is_exact():
    """An exact 0 has ratio 0 to a positive value; a sampled 0 has no logarithm, so nothing is tested."""
    zero = units(0.0, 0.0, 0.0, exact=True)
    one = units(1.0, 0.9, 1.1)
    assert contrast(zero, one).value == -math.inf
    assert contrast(one, zero).value == math.inf
    assert contrast(zero, zero).value == 0.0
    assert contrast(units(0.0, 0.0, 0.0), one) is None


def test_a_ratio_of_rounding_holds_the_interval_of_its_numerator():
    """An error of 3e-17, known to lie in [0, 2e-16], has the ratio 0 in [0, 1.25e-14] to 0.016, from either side."""
    for known in ({"exact": True}, {"degenerate": True}):
        nothing = units(3.6e-17, 0.0, 2e-16, **known)
        found = contrast(nothing, units(0.016, 0.016, 0.016, degenerate=True))
        assert (found.value, found.interval()[0]) == (-math.inf, -math.inf)
        assert math.exp(found.interval()[1]) == pytest.approx(1.25e-14)
        assert contrast(units(0.016, 0.016, 0.016, degenerate=True), nothing).interval()[1] == math.inf
        assert contrast(nothing, units(0.0, 0.0, 0.0, exact=True)).value == 0.0
    assert contrast(units(3.6e-17, 0.0, 2e-16), units(0.016, 0.015, 0.017)) is None


def test_a_sampled_error_below_the_rounding_of_another_is_not_told_apart_from_it():
    """What may be 2e-16 is not shown to be below 1e-16."""
    assert contrast(units(0.0, 0.0, 2e-16, exact=True), units(1e-16, 0.9e-16, 1.1e-16)).p == 1.0


def test_the_product_of_a_rounding_error_is_one():
    """Seconds times an error that is zero up to rounding is zero up to rounding."""
    both = product("y", "s", units(1e-15, 0.0, 2e-15, exact=True), units(2.0, 1.9, 2.1))
    assert (both.low, both.high, both.exact) == (0.0, pytest.approx(4.2e-15), True)


def test_exact_differences_within_their_rounding_are_equal():
    """A bias of 1e-8 known to 3e-8 and one of 0 known to 2e-8 differ by nothing; one of 1e-7 is another number."""

    def bias(value, high):
        return replace(units(value, 0.0, high, exact=True), scale="linear", key="bias", metric="bias")

    assert contrast(bias(1e-8, 3e-8), bias(0.0, 2e-8)).equivalence_p(0.0) == 0.0
    assert contrast(bias(1e-6, 1.1e-6), bias(0.0, 2e-8)).equivalence_p(0.0) == 0.0
    assert contrast(replace(bias(1e-6, 1.1e-6), low=0.9e-6), bias(0.0, 2e-8)).equivalence_p(0.0) == 1.0


def test_a_contrast_turns_round_with_its_sides():
    """log(a / b) = -log(b / a), with one standard error."""
    a, b = units(1.0, 0.9, 1.1), units(3.0, 2.8, 3.2)
    there, back = contrast(a, b), contrast(b, a)
    assert there.value == pytest.approx(math.log(1 / 3))
    assert (back.value, back.se) == pytest.approx((-there.value, there.se))


def test_replicates_are_compared_only_where_both_have_the_same():
    """Seeds 1, 2, 3 against 2, 3, 4 share two, but not the luck of the others."""
    one = collect([entry(float(v), replicate=v) for v in (1, 2, 3)], LOSS, frozenset())
    other = collect([entry(float(v), replicate=v) for v in (2, 3, 4)], LOSS, frozenset())
    assert contrast(one, replace(one, value=3.0)).paired
    assert contrast(one, other) is None


def test_on_the_log_scale_replicates_are_compared_by_ratios():
    """A factor of two at every seed is a factor of two without spread; a replicate that is 0 has no logarithm."""
    log = replace(LOSS, scale="log")

    def of(*values):
        return collect([entry(v, replicate=i) for i, v in enumerate(values)], log, frozenset())

    found = contrast(of(2.0, 4.0, 8.0), of(1.0, 2.0, 4.0))
    assert (found.value, found.se) == (pytest.approx(math.log(2)), pytest.approx(0.0, abs=1e-12))
    assert contrast(of(0.0, 4.0, 8.0), of(1.0, 2.0, 4.0)) is None


def test_a_value_without_an_interval_is_compared_with_nothing():
    """Its error is unknown; an exact value needs none."""
    assert contrast(units(1.0, None, None), units(2.0, 1.9, 2.1)) is None
    assert contrast(units(1.0, None, None, exact=True), units(2.0, 1.9, 2.1)) is not None
