"""What the mean of n draws is worth: reference values, invariances, intervals and comparisons."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from progressing import CASES, QUBO, REINFORCE, RLOO, STRAIGHT_THROUGH, TRUTH, Q, coverage, known, measured, normal
from scipy import optimize

from kexue_bench.analysis import stats
from kexue_bench.analysis.progress import clearly_biased, difference, error, length, own_scale, pooled, progress

PLANE = known([3, 4], [1, 2], 6)


def at(estimator):
    return known(estimator.truth, estimator.mean, estimator.variance)


@pytest.mark.parametrize(
    ("moments", "n", "loss"),
    [
        (at(RLOO), 8, 0.1235398963),
        (at(REINFORCE), 16, 0.6055438084),
        (at(STRAIGHT_THROUGH), 8, 0.3745719709),
        (at(QUBO), 16, 0.1713364379),
        (PLANE, 4, 0.2553846154),
    ],
    ids=["rloo", "reinforce", "straight-through", "reinforce on qubo", "plane"],
)
def test_losses_of_enumerated_estimators(moments, n, loss):
    """Losses of estimators whose mean and variance are sums over states, as computed independently for the design."""
    assert progress(moments, n).loss == pytest.approx(loss, abs=6e-11)


def test_scores_and_closed_form():
    """The score of rloo and of the plane; rloo on one bit has loss (1/2 - q) / (q n + 1/2 - q) at every n."""
    assert progress(at(RLOO), 8).score == pytest.approx(2.663559849, abs=1e-9)
    assert progress(PLANE, 4).score == pytest.approx(1.707531157, abs=1e-9)
    for n in (0.5, 1, 8, 2048):
        assert progress(at(RLOO), n).loss == pytest.approx((0.5 - Q) / (Q * n + 0.5 - Q), rel=1e-12)


def test_loss_is_the_smallest_error_over_all_steps():
    """The minimum over c of E|c G - g|^2 / |g|^2, found by a search over c."""
    g, m, v, n = np.array([3.0, 4.0]), np.array([1.0, 2.0]), 6.0, 4

    def error(c):
        return float((c * m - g) @ (c * m - g) + c * c * v / n) / float(g @ g)

    found = optimize.minimize_scalar(error, bounds=(0, 100), method="bounded", options={"xatol": 1e-10})
    assert progress(PLANE, n).loss == pytest.approx(found.fun, rel=1e-9)


def test_a_reversed_estimator_has_the_reversed_score():
    """Minus rloo has score -s, and loss 1."""
    found = progress(known([TRUTH], [-TRUTH], RLOO.variance), 8)
    assert found.score == pytest.approx(-2.663559849, abs=1e-9)
    assert found.loss == 1.0


def test_own_scale_losses_of_enumerated_estimators():
    """Equal to the other loss if unbiased; a wrong length costs; 1 for zero; above 1 if it is far too long."""
    rloo = at(RLOO)
    half = known([TRUTH], [TRUTH / 2], RLOO.variance / 4)
    assert own_scale(rloo, 8).loss == pytest.approx(0.1235398963, abs=6e-11)
    assert own_scale(half, 8).loss == pytest.approx(0.3426549222, abs=6e-11)
    assert own_scale(at(REINFORCE), 16).loss == pytest.approx(0.6055438084, abs=6e-11)
    assert own_scale(at(STRAIGHT_THROUGH), 8).loss == pytest.approx(7.856821743, abs=6e-9)
    assert own_scale(known([TRUTH], [0.0], 0.0), 8).loss == 1.0


def test_recipe_on_eight_units():
    """Score, loss, interval and second-order term of the design's worked example, D = 2."""
    means = [[1, 0.5], [1.4, -0.1], [0.8, 0.2], [1.2, 0.6], [0.9, 0.1], [1.1, -0.3], [1.3, 0.4], [0.7, 0.2]]
    squares = [3, 4, 2.5, 3.5, 3.2, 2.8, 4.1, 2.4]
    found = progress(measured(np.array(means), np.array(squares), [2, 1], 25), 10)
    assert found.score == pytest.approx(1.9174949094557, rel=1e-13)
    assert found.loss == pytest.approx(0.2138220232, abs=6e-11)
    assert (found.low, found.high) == pytest.approx((0.1296477086, 0.3925348093), abs=6e-11)
    assert found.extra == pytest.approx(0.00234468475, abs=6e-12)
    assert stats.t_quantile(0.975, 7) * found.deviation == pytest.approx(0.6734913850, abs=6e-11)
    assert found.short


def test_half_of_an_estimator_equals_it_bit_for_bit():
    """All steps are homogeneous: half of every draw gives the same score, interval and influence, and no difference."""
    whole = normal(np.ones(5), np.ones(5) + 0.3 * np.eye(5)[2], np.full(5, 2.0))
    means, squares = whole.units(np.random.default_rng(1), 64, 32)
    one = progress(measured(means, squares, whole.truth, 32), 16)
    half = progress(measured(means / 2, squares / 4, whole.truth, 32), 16)
    assert (one.score, one.loss, one.low, one.high) == (half.score, half.loss, half.low, half.high)
    assert np.array_equal(one.influence, half.influence)
    found = difference(one, half)
    assert found.value == 0
    assert found.p == 1
    assert stats.decide(found, 1.0, found.equivalence_p(0.05), stats.Rule(margin=0.05)) == "equivalent"


def test_losses_near_one_are_not_equal_where_their_shares_differ():
    """0.999 and 0.9999 differ by less than the margin, but the one buys ten times the progress of the other."""
    rng = np.random.default_rng(9)
    one, other = (
        progress(normal([1.0, 0.0], [1.0, 0.0], [sd, sd]).moments(rng, 64, 2**20), 16) for sd in (90.0, 285.0)
    )
    found = difference(one, other)
    assert found.shown.equivalence_p(0.05) < 1e-6
    assert found.equivalence_p(0.05) == 1
    assert found.reversed().equivalence_p(0.05) == 1


def test_influences_are_the_derivatives_of_the_scores():
    """Moving one unit a little moves both scores by its influence over the number of units."""
    estimator = normal([1.0, 2.0, 0.5], [0.8, 2.1, 0.9], [1.0, 0.5, 2.0])
    means, squares = estimator.units(np.random.default_rng(3), 64, 512)
    step = 1e-6
    for of in (progress, own_scale):
        base = of(measured(means, squares, estimator.truth, 512), 8)
        for unit in (0, 17):
            moved_means, moved_squares = means.copy(), squares.copy()
            # Towards the mean of all units: the derivative of the score of a mixture.
            moved_means += step * (means[unit] - moved_means)
            moved_squares += step * (squares[unit] - moved_squares)
            moved = of(measured(moved_means, moved_squares, estimator.truth, 512), 8)
            # The debiasing terms, of order 1 / N, are no part of the first-order influence.
            assert (moved.score - base.score) / step == pytest.approx(base.influence[unit], rel=0.03, abs=0.03)


def test_a_method_whose_draws_were_all_zero_is_undecided():
    """No event was seen: loss 1, no verdict against anything; a known zero (one exact unit) loses like any number."""
    zero = measured(np.zeros((64, 2)), np.zeros(64), [1.0, 0.0], 32)
    silent, other = progress(zero, 16), progress(known([1, 0], [1, 0], 1.0), 16)
    assert silent.silent
    assert silent.loss == 1.0
    assert difference(silent, other).p == 1
    exact = progress(replace(zero, along=(0.0,), across=(0.0,), spread=(0.0,), draws=1), 16)
    assert not exact.silent
    assert difference(exact, other).p < 1e-6


def test_draws_that_do_not_vary_are_named():
    """A constant that misses the truth is named, in one dimension too; one that hits it is not."""
    wrong = measured(np.full((64, 2), 1.0), np.full(64, 2.0), [1.0, 0.5], 32)
    assert progress(replace(wrong, resolution=1e-7), 16).constant
    right = measured(np.full((64, 1), 0.5), np.full(64, 0.25), [0.5], 32)
    assert not progress(replace(right, resolution=1e-7), 16).constant


def test_an_exact_method_is_known_up_to_rounding():
    """Loss of the order of the square of the rounding, with an interval that holds 0."""
    exact = known([3.0, 4.0], [3.0, 4.0], 0.0)
    exact = replace(exact, along=(5.0,), across=(0.0,), spread=(0.0,), draws=1, resolution=5e-6)
    for of in (progress, own_scale):
        found = of(exact, 2)
        assert 0 <= found.low <= found.loss <= found.high < 1e-10


def test_runs_of_unequal_length_are_paired_on_their_common_prefix():
    """The longer run is twice the shorter: the variance of the difference is that of prefix and rest, by hand."""
    rng = np.random.default_rng(2)
    estimator = normal([1.0], [1.0], [2.0])
    means, squares = estimator.units(rng, 64, 64)
    long = progress(measured(means, squares, [1.0], 64), 8)
    first = (means[:32] + 0.01 * rng.standard_normal((32, 1))).reshape(32, 1)
    short = progress(measured(first, squares[:32], [1.0], 64), 8)
    found = difference(short, long)
    prefix = short.influence - long.influence[:32] / 2
    expected = prefix.var(ddof=1) / 32 + long.influence[32:].var(ddof=1) / 32 / 4
    assert found.paired
    assert found.se == pytest.approx(math.sqrt(expected), rel=1e-12)


def test_order_of_unbiased_methods_is_that_of_variance_at_every_n():
    """The loss of an unbiased method is 1 / (1 + n |g|^2 / V)."""
    for n in (0.5, 16, 4096):
        losses = [progress(known([3, 4], [3, 4], v), n).loss for v in (1.0, 2.0, 700.0)]
        assert losses == pytest.approx([1 / (1 + n * 25 / v) for v in (1.0, 2.0, 700.0)], rel=1e-12)


def test_error_of_a_mean_is_bias_and_noise_over_n():
    """Root of |m - g|^2 + V / n; about a truth of zero too, where nothing has a direction."""
    assert error(PLANE, 4).loss == pytest.approx(math.sqrt(8 + 6 / 4), rel=1e-12)
    nought = replace(PLANE, norm=0.0, along=(0.0, 0.0), across=(5.0, 5.0))
    assert error(nought, 4).loss == pytest.approx(math.sqrt(5 + 6 / 4), rel=1e-12)
    line = replace(nought, dimension=1)
    assert error(line, 4).loss == pytest.approx(math.sqrt(5 + 6 / 4), rel=1e-12)


def test_length_and_bias():
    """The length of the plane's mean is 11 / 25; its bias is clear, and that of rloo is not."""
    assert length(PLANE)[0] == pytest.approx(11 / 25, rel=1e-12)
    assert clearly_biased(PLANE)
    rng = np.random.default_rng(6)
    assert not clearly_biased(CASES["normal, D = 10"].moments(rng, 64, 2048))
    assert clearly_biased(CASES["normal, D = 10, biased"].moments(rng, 64, 2048))


def test_repetitions_are_averaged():
    """Two repetitions have the mean score and half of the variance, and pair only with as many."""
    rng, estimator = np.random.default_rng(8), CASES["normal, D = 10"]
    one, two = (progress(estimator.moments(rng, 64, 2048), 8) for _ in range(2))
    both = pooled([one, two])
    assert both.score == pytest.approx((one.score + two.score) / 2, rel=1e-12)
    assert both.deviation == pytest.approx(math.hypot(one.deviation, two.deviation) / 2, rel=0.02)
    assert both.draws == 4096
    assert not difference(both, progress(estimator.moments(rng, 64, 4096 * 2), 8)).paired
    assert difference(both, both).value == 0


# -- simulation --------------------------------------------------------------------------------------------------------


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["normal, D = 10, biased", "noise around 0, D = 10", "rloo, one bit"])
def test_intervals_cover(name):
    """At least 93 % of 400 runs, less 2.5 binomial standard errors (false alarm 0.6 % a number at 93 %)."""
    assert min(coverage(CASES[name], 4096, 16, runs=400)) >= 0.93 - 2.5 * math.sqrt(0.93 * 0.07 / 400)


@pytest.mark.statistical
def test_equal_methods_are_told_apart_at_the_level():
    """Two methods with the same moments, one with twice the draws: 5 % of 1,000 tests, within 3 standard errors."""
    rng, estimator = np.random.default_rng(4), CASES["noise around 0, D = 10"]
    found = 0
    for _ in range(1000):
        a, b = progress(estimator.moments(rng, 64, 2048), 16), progress(estimator.moments(rng, 64, 2048), 16)
        found += difference(replace(a, influence=a.influence[::-1]), b).p < 0.05
    assert found / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)
