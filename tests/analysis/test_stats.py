import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from kexue_bench.analysis import stats
from kexue_bench.analysis.stats import Contrast, Rule, Side

LOG_MARGIN = math.log(1.05)


def binomial_band(trials, rate, z=3.9):
    """Half-width of the band a rate stays in with probability 1 - 1e-4."""
    return z * math.sqrt(rate * (1 - rate) / trials)


def test_quantiles_agree_with_the_tables_of_the_t_and_the_normal_distribution():
    """t(.975, 4) = 2.7764, t(.975, 9) = 2.2622, z(.975) = 1.95996, as every printed table has them."""
    assert stats.t_quantile(0.975, 4) == pytest.approx(2.7764451, abs=1e-6)
    assert stats.t_quantile(0.975, 9) == pytest.approx(2.2621572, abs=1e-6)
    assert stats.t_quantile(0.975, math.inf) == pytest.approx(1.9599640, abs=1e-6)


def test_a_p_value_at_the_quantile_is_the_level():
    """The two-sided tail beyond the .975 quantile is 5 %."""
    assert stats.t_tail(stats.t_quantile(0.975, 7), 7) == pytest.approx(0.05)
    assert stats.t_tail(-stats.t_quantile(0.975, math.inf), math.inf) == pytest.approx(0.05)


def test_the_interval_of_a_mean_is_the_textbook_one():
    """For 1, 2, 3, 4: mean 2.5, se sqrt(5/3)/2, t(.975, 3) = 3.18245."""
    low, high = stats.mean_contrast([1, 2, 3, 4]).interval()
    half = 3.1824463 * math.sqrt(5 / 3) / 2
    assert (low, high) == pytest.approx((2.5 - half, 2.5 + half))


def test_one_unit_has_no_interval():
    """A spread cannot come from one number."""
    with pytest.raises(ValueError, match="at least 2 units, got 1"):
        stats.mean_contrast([1.0])


@pytest.mark.parametrize("length", [2, 32, 50, 64, 80, 96, 100, 128, 160, 320])
def test_folding_gives_means_of_equal_numbers_of_batches(length):
    """Folded units are the plain means of consecutive equal blocks of the batches, for whole and for partial looks."""
    sizes = [2 ** max(i // 32 - 1, 0) for i in range(length)]
    batches = np.arange(sum(sizes), dtype=float) ** 1.5
    edges = np.cumsum([0, *sizes])
    series = [batches[a:b].mean() for a, b in itertools.pairwise(edges)]
    block = sizes[-1]
    assert stats.fold(series) == pytest.approx(batches.reshape(-1, block).mean(axis=1))


def test_folding_a_prefix_is_folding_the_shorter_run():
    """A longer run compared on the common prefix gives exactly what the shorter run would have."""
    series = list(np.random.default_rng(1).gamma(3, size=160))
    assert stats.fold(series, 96) == pytest.approx(stats.fold(series[:96]))


def test_a_paired_ratio_is_the_log_of_the_ratio_of_means_with_the_delta_error():
    """Against the jackknife over units, which knows nothing of the delta method: 1 % agreement at 64 units."""
    rng = np.random.default_rng(2)
    common = rng.gamma(20, size=64)
    a, b = common * rng.gamma(50, size=64), common * rng.gamma(80, size=64)
    found = stats.paired_ratio(a, b)
    left_out = [math.log(np.delete(a, i).mean() / np.delete(b, i).mean()) for i in range(64)]
    jackknife = math.sqrt(63 / 64 * np.square(left_out - np.mean(left_out)).sum())
    assert found.value == pytest.approx(math.log(a.mean() / b.mean()))
    assert found.se == pytest.approx(jackknife, rel=0.01)


def test_pairing_removes_what_two_methods_share():
    """Units that differ by a constant factor have a ratio without spread, floored by rounding."""
    a = np.random.default_rng(3).gamma(2, size=32)
    found = stats.paired_ratio(3 * a, a, floor=1e-6)
    low, high = found.interval()
    assert (math.exp(low), math.exp(high)) == pytest.approx((3 * math.exp(-1e-6), 3 * math.exp(1e-6)), rel=1e-12)


def test_units_of_unequal_length_are_refused():
    """Pairing is by index: what does not align is an error, never truncated in silence."""
    with pytest.raises(ValueError, match="equal lengths"):
        stats.paired_ratio([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="equal lengths"):
        stats.paired_difference([1, 2, 3], [1, 2])


def test_welch_has_the_degrees_of_freedom_of_the_textbook():
    """Equal variances of n = 5 and n = 5 give 8; a side without error leaves the other's 4."""
    side = Side(value=1.0, se=0.3, df=4)
    assert stats.unpaired(side, Side(value=0.5, se=0.3, df=4)).df == pytest.approx(8)
    assert stats.unpaired(side, Side(value=0.5)).df == pytest.approx(4)


def test_a_log_side_gives_back_the_interval_it_was_made_of():
    """From value and ends (symmetric on the log scale) to standard error and back."""
    side = stats.log_side(2.0, 2 / 1.1, 2 * 1.1, units=64)
    low, high = stats.unpaired(side, Side(value=0.0)).interval()
    assert (math.exp(low), math.exp(high)) == pytest.approx((2 / 1.1, 2 * 1.1))


def test_the_geometric_mean_is_symmetric_under_inversion():
    """The mean of inverted ratios is the inverted mean, ends exchanged: no task's unit can decide."""
    mean, low, high = stats.geometric_mean([0.5, 0.7, 1.1])
    inverse = stats.geometric_mean([1 / 0.5, 1 / 0.7, 1 / 1.1])
    assert low is not None
    assert high is not None
    assert inverse == pytest.approx((1 / mean, 1 / high, 1 / low))
    assert stats.geometric_mean([0.5]) == (0.5, None, None)


# -- corrections ------------------------------------------------------------------------------------------------------


def holm_by_definition(p, alpha):
    """Reject while the k-th smallest is at most alpha / (m - k); stop at the first that is not."""
    rejected = set()
    for k, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[i] > alpha / (len(p) - k):
            break
        rejected.add(i)
    return rejected


def bh_by_definition(p, alpha):
    """Reject the k smallest for the largest k with p_(k) <= k alpha / m."""
    order = sorted(range(len(p)), key=p.__getitem__)
    k = max((k + 1 for k, i in enumerate(order) if p[i] <= (k + 1) * alpha / len(p)), default=0)
    return set(order[:k])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=8), st.floats(0.001, 0.5))
def test_adjusted_p_values_reject_what_the_procedures_reject(p, alpha):
    """Holm's and Benjamini-Hochberg's adjusted p-values against the procedures run step by step."""
    near = any(abs(v * f / alpha - 1) < 1e-9 for v in p for f in [k / m for k in range(1, 9) for m in range(1, 9)])
    near |= any(abs(v * k / alpha - 1) < 1e-9 for v in p for k in range(1, 9))
    if not near:
        assert {i for i, v in enumerate(stats.holm(p)) if v <= alpha} == holm_by_definition(p, alpha)
        assert {i for i, v in enumerate(stats.benjamini_hochberg(p)) if v <= alpha} == bh_by_definition(p, alpha)


def test_holm_on_an_example_by_hand():
    """P = .01, .04, .03, .005: 4 x .005, 3 x .01, 2 x .03, then the running maximum."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


# -- verdicts ---------------------------------------------------------------------------------------------------------


def ratio(value, se, df=63.0, **more):
    return Contrast(value=math.log(value), se=se, df=df, **more)


@pytest.mark.parametrize(
    ("contrast", "p", "equivalence", "rule", "expected"),
    [
        (None, 0.0, 0.0, Rule(margin=LOG_MARGIN), "untestable"),
        (ratio(1.001, 1e-6), 0.0, 0.0, Rule(margin=LOG_MARGIN), "equivalent"),
        (ratio(1.001, 1e-6), 0.0, 0.051, Rule(margin=LOG_MARGIN), "undecided"),
        (ratio(1.04, 0.02), 0.001, 0.0, Rule(margin=LOG_MARGIN), "worse"),
        (ratio(0.5, 0.02), 0.001, 1.0, Rule(margin=LOG_MARGIN), "better"),
        (ratio(0.5, 0.02), 0.001, 1.0, Rule(margin=LOG_MARGIN, direction="higher"), "worse"),
        (ratio(0.5, 0.02), 0.051, 1.0, Rule(margin=LOG_MARGIN), "undecided"),
        (ratio(0.9, 0.01), 0.001, 1.0, Rule(margin=LOG_MARGIN, gate=0.2), "undecided"),
        (ratio(1.01, 0.001), 0.001, 0.0, Rule(margin=LOG_MARGIN, gate=math.inf), "equivalent"),
        (ratio(0.5, 0.02), 0.001, 1.0, Rule(margin=LOG_MARGIN, direction="target"), "undecided"),
        (Contrast(value=-math.inf, se=0.0), 0.0, 1.0, Rule(margin=LOG_MARGIN), "better"),
        (Contrast(value=0.0, se=0.0), 1.0, 0.0, Rule(margin=0.0), "equivalent"),
    ],
)
def test_verdicts_come_in_their_fixed_order(contrast, p, equivalence, rule, expected):
    """Untestable; equivalent even where the interval excludes 1; better or worse unless gated; else undecided.

    A difference whose interval lies inside the margin, uncorrected, is never better or worse.
    """
    assert stats.decide(contrast, p, equivalence, rule) == expected


@settings(max_examples=200, deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(1e-4, 0.1), st.floats(0, 0.1), st.floats(0, 0.05), st.sampled_from([4, 63]))
def test_the_test_of_equivalence_rejects_where_the_printed_interval_lies_inside_the_margin(
    value, se, margin, floor, df
):
    """At 5 % and at 1 %: below the level exactly if the two-sided interval fits, which is what the report prints."""
    contrast = Contrast(value=value, se=se, df=df, floor=floor)
    wide = max(margin, floor)
    for level in (0.05, 0.01):
        low, high = contrast.interval(1 - level)
        gap = min(wide - high, low + wide)
        if abs(gap) > 1e-9:
            assert (contrast.equivalence_p(margin) < level) == (gap > 0)


def test_values_that_differ_by_rounding_are_equivalent_under_any_margin():
    """Without spread the comparison is arithmetic: inside the floor equal, outside not; no margin is needed."""
    assert Contrast(value=1e-16, se=0.0, floor=1e-15).equivalence_p(0.0) == 0.0
    assert Contrast(value=1e-14, se=0.0, floor=1e-15).equivalence_p(0.0) == 1.0


def test_a_ratio_that_is_zero_up_to_rounding_has_one_end():
    """Below 1 for certain where that end is, and unknown where rounding could exceed the other side."""
    small = Contrast(value=-math.inf, se=0.0, ends=(-math.inf, math.log(1e-14)))
    assert small.interval() == (-math.inf, math.log(1e-14))
    assert small.p == 0.0
    assert small.reversed().interval() == (-math.log(1e-14), math.inf)
    assert replace(small, ends=(-math.inf, 0.1)).p == 1.0


@settings(max_examples=200, deadline=None)
@given(st.floats(-2, 2), st.floats(1e-4, 1), st.floats(0, 0.3), st.floats(0, 1))
def test_exchanging_the_sides_exchanges_better_and_worse(value, se, gate, p):
    """A verdict is antisymmetric."""
    rule = Rule(margin=LOG_MARGIN, gate=gate)
    mirror = {"better": "worse", "worse": "better"}
    one = stats.decide(Contrast(value=value, se=se, df=9), p, p, rule)
    other = stats.decide(Contrast(value=-value, se=se, df=9), p, p, rule)
    assert other == mirror.get(one, one)


# -- letters ----------------------------------------------------------------------------------------------------------


def test_letters_share_exactly_where_nothing_was_told_apart():
    """All graphs on up to five rows: two rows share a letter if and only if they are not a differing pair."""
    for count in range(1, 6):
        pairs = list(itertools.combinations(range(count), 2))
        for picks in itertools.product([False, True], repeat=len(pairs)):
            different = {pair for pair, pick in zip(pairs, picks, strict=True) if pick}
            words = stats.letters(count, different)
            assert all(words)
            for i, j in pairs:
                assert bool(set(words[i]) & set(words[j])) == ((i, j) not in different)


def test_letters_are_the_maximal_groups_found_by_enumeration():
    """Against brute force over all subsets: the groups are exactly the maximal sets without a differing pair."""
    rng = np.random.default_rng(4)
    for _ in range(50):
        different = {pair for pair in itertools.combinations(range(6), 2) if rng.random() < 0.5}
        alike = [
            set(group)
            for size in range(1, 7)
            for group in itertools.combinations(range(6), size)
            if not any(pair in different for pair in itertools.combinations(group, 2))
        ]
        maximal = [g for g in alike if not any(g < other for other in alike)]
        words = stats.letters(6, different)
        groups = [{i for i in range(6) if letter in words[i]} for letter in sorted({c for w in words for c in w})]
        assert sorted(map(sorted, groups)) == sorted(map(sorted, maximal))


def test_the_first_row_has_the_first_letter():
    """Letters follow the printed order."""
    assert stats.letters(3, {(0, 2), (1, 2)}) == ("a", "a", "b")
    assert stats.letters(0, set()) == ()


# -- bootstrap --------------------------------------------------------------------------------------------------------


def test_the_bootstrap_is_the_one_of_scipy():
    """Ends of the studentised interval from scipy's resamples of the same units agree within 10 % of its width."""
    units = np.random.default_rng(3).exponential(1, 12)
    rng = np.random.default_rng(4)
    star = units[rng.integers(0, 12, (20_000, 12))]
    t = (star.mean(1) - units.mean()) / scipy.stats.sem(star, axis=1)
    ends = units.mean() - np.quantile(t, [0.975, 0.025]) * scipy.stats.sem(units)
    low, high = stats.bootstrap_t(units)
    assert (low, high) == pytest.approx(tuple(ends), abs=0.1 * (ends[1] - ends[0]))
    assert low < units.mean() < high


def test_the_bootstrap_is_deterministic_equivariant_and_exact_without_spread():
    """The same units give the same ends; a shift and a scale move them along; constant units have no width."""
    units = np.random.default_rng(5).normal(size=6)
    low, high = stats.bootstrap_t(units)
    assert stats.bootstrap_t(units) == (low, high)
    assert stats.bootstrap_t(3 * units + 2) == pytest.approx((3 * low + 2, 3 * high + 2))
    assert stats.bootstrap_t([0.25] * 5) == (0.25, 0.25)
    with pytest.raises(ValueError, match="at least 2 units, got 1"):
        stats.bootstrap_t([1.0])


def test_the_other_side_has_the_mirrored_contrast():
    """Value and bootstrap change their sign, the rest stays."""
    one = Contrast(value=0.3, se=0.1, df=4, bootstrap=(0.1, 0.6))
    assert one.reversed() == Contrast(value=-0.3, se=0.1, df=4, bootstrap=(-0.6, -0.1))
    assert one.reversed().reversed() == one


PROCESSES = {
    "normal": lambda rng, shape: rng.normal(0, 1, shape),
    "heavy": lambda rng, shape: rng.standard_t(3, shape),
    "skewed": lambda rng, shape: rng.exponential(1, shape) - 1,
}


@pytest.mark.statistical
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("count", [5, 10, 20])
def test_t_is_the_interval_of_seconds_and_the_bootstrap_stands_beside_it(name, count):
    """95 % intervals of a mean log ratio over few processes, 1,000 groups: why t decides and what the bootstrap adds.

    Symmetric processes: t covers in at least 95 %, minus a 1e-4 binomial band. Skewed ones: the bootstrap covers more
    often than t. It is the wider of the two, so that it never makes a winner that t does not see.
    """
    units = PROCESSES[name](np.random.default_rng(12), (1000, count))
    ours = np.array([stats.bootstrap_t(row) for row in units])
    t = np.array([stats.mean_contrast(row).interval() for row in units])
    cover = {key: float(((i[:, 0] <= 0) & (i[:, 1] >= 0)).mean()) for key, i in (("t", t), ("bootstrap", ours))}
    assert np.median(ours[:, 1] - ours[:, 0]) > np.median(t[:, 1] - t[:, 0])
    if name == "skewed":
        assert cover["bootstrap"] > cover["t"]
    else:
        assert cover["t"] >= 0.95 - binomial_band(1000, 0.95)
    assert cover["bootstrap"] >= 0.9


# -- studies ----------------------------------------------------------------------------------------------------------

TABLES = 1000


def false_alarms(make):
    """Share of tables with an alarm: ten methods that are all alike, nine comparisons with the first, Holm at 5 %."""
    rule = Rule(margin=LOG_MARGIN)
    alarms = 0
    for table in range(TABLES):
        contrasts = make(np.random.default_rng([11, table]))
        adjusted = stats.holm([c.p for c in contrasts])
        alarms += any(
            stats.decide(c, p, c.equivalence_p(rule.margin), rule) in {"better", "worse"}
            for c, p in zip(contrasts, adjusted, strict=True)
        )
    return alarms / TABLES


def shared_batches(rng):
    """64 batch means of ten equally good estimators, half of their variance common noise, skewed like variances."""
    common = rng.gamma(8, 1 / 8, 64)
    sides = common * rng.gamma(8, 1 / 8, (10, 64))
    return [stats.paired_ratio(side, sides[0]) for side in sides[1:]]


def shared_processes(rng):
    """Ten processes of 60 rounds each of ten equally fast methods; half of the variance stands between processes."""
    sd = 0.5
    between = rng.normal(0, sd, (10, 10, 1))
    logs = (between + rng.normal(0, sd, (10, 10, 60))).mean(axis=2)
    return [stats.paired_difference(side, logs[0]) for side in logs[1:]]


@pytest.mark.statistical
@pytest.mark.parametrize("make", [shared_batches, shared_processes])
def test_identical_methods_are_told_apart_in_at_most_five_per_cent_of_tables(make):
    """Family-wise false better or worse over 1,000 tables of ten identical methods: 5 % plus a 1e-4 binomial band."""
    assert false_alarms(make) <= 0.05 + binomial_band(TABLES, 0.05)


@pytest.mark.statistical
def test_pooling_rounds_as_units_would_fail_that_study():
    """The planted error, rounds of all processes as independent units, gives far more false alarms than allowed."""

    def pooled(rng):
        between = rng.normal(0, 0.5, (10, 10, 1))
        logs = (between + rng.normal(0, 0.5, (10, 10, 60))).reshape(10, -1)
        return [stats.paired_difference(side, logs[0]) for side in logs[1:]]

    assert false_alarms(pooled) > 0.5


@pytest.mark.statistical
@pytest.mark.parametrize(("units", "tests", "spread"), [(64, 9, 0.3), (5, 9, 0.05), (10, 36, 0.003)])
@pytest.mark.parametrize("gate", [0.0, 0.05])
def test_an_effect_of_the_printed_size_is_found_with_ninety_per_cent(units, tests, spread, gate):
    """A table shifted by its own detectable effect is `worse` in 90 % of 2,000 cases, within a band of 1e-4.

    Small spreads are found late because the margin stands in front, large ones because of the correction, and a gate
    because of the control; the printed size holds in all three.
    """
    rule, rng, found = Rule(margin=LOG_MARGIN, gate=gate), np.random.default_rng(5), 0
    for _ in range(2000):
        x = rng.normal(0, spread, units)
        effect = stats.detectable(stats.mean_contrast(x), rule, tests=tests)
        shifted = stats.mean_contrast(x + effect)
        found += stats.decide(shifted, min(tests * shifted.p, 1.0), 1.0, rule) == "worse"
    assert abs(found / 2000 - 0.9) <= binomial_band(2000, 0.9)


@pytest.mark.statistical
@pytest.mark.parametrize("shape", [1.0, 4.0])
def test_intervals_of_paired_ratios_cover_the_truth(shape):
    """95 % intervals of a ratio of skewed, correlated units cover in 95 % of 2,000 studies (1e-4 band, plus .5 %)."""
    rng, hits = np.random.default_rng(6), 0
    for _ in range(2000):
        # A unit is a mean of 64 squared errors, as the ledger keeps them.
        common = rng.gamma(64 * shape, 1 / (64 * shape), 64)
        a = 0.3 * common * rng.gamma(64 * shape, 1 / (64 * shape), 64)
        b = common * rng.gamma(64 * shape, 1 / (64 * shape), 64)
        low, high = stats.paired_ratio(a, b).interval()
        hits += low <= math.log(0.3) <= high
    assert abs(hits / 2000 - 0.95) <= binomial_band(2000, 0.95) + 0.005
