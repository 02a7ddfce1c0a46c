"""What the draws of an estimator say: values, intervals, flags, and the series that pairs them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from draws import all_draws, constant, gaussian, noise, one_bit, row

from kexue_bench.lab import intervals
from kexue_bench.lab.estimates import fold
from kexue_bench.lab.moments import estimate
from kexue_bench.lab.problems import Sampling


def test_ledger_folds_into_equal_units():
    """All looks fold into 64 units of equally many draws, the same as taking them directly."""
    problem = gaussian()
    found = estimate(problem, noise(), precision=None, budget=16 * 256)
    error = np.square(all_draws(problem, noise(), 256) - 1).reshape(64, -1).mean(1)
    assert fold(found.errors, found.looks) == pytest.approx(error, rel=1e-12)
    assert found.units.errors == pytest.approx(error, rel=1e-12)
    assert found.units.draws == 64


def test_constant_square_is_degenerate_and_keeps_a_width():
    """Two outcomes at equal distance from the truth: the mse has no spread, a flag, and an interval of rounding."""
    problem, _ = one_bit(0.5)
    found = estimate(problem, noise(dtype=torch.float32), precision=0.05, budget=10**6)
    mse = row(found, "mse")
    assert found.stop == "degenerate"
    assert found.looks == 3
    assert "degenerate" in mse.flags
    assert mse.high - mse.low >= 8 * torch.finfo(torch.float32).eps * mse.value
    assert mse.low <= (0.25 * (0.55**2 + 0.45**2)) ** 2 * 4 * 0.25 <= mse.high
    assert "degenerate" not in row(found, "variance").flags


def test_constant_draws_have_no_variance():
    """A method that never varies has variance 0 exactly, flagged, wherever its mean is."""
    found = estimate(constant(value=1 / 3, truth=1e3), noise(), precision=0.05, budget=10**4)
    assert found.variance == 0
    assert "degenerate" in row(found, "variance").flags
    assert found.bias == pytest.approx(1e3 - 1 / 3, rel=1e-6)


def test_loss_is_a_plain_mean_with_its_own_series():
    """A further loss is averaged over the same draws, by numpy, and pairs by its own units."""
    problem = gaussian(losses={"absolute": lambda g: (g - 1).abs()}, metrics=())
    found = estimate(problem, noise(), precision=None, budget=16 * 128)
    (measured,) = found.measurements(problem.metrics)
    g = np.abs(all_draws(problem, noise(), 128) - 1)
    assert measured.metric == "absolute"
    assert measured.value == pytest.approx(g.mean(), rel=1e-12)
    units = intervals.mean(g.reshape(64, -1).mean(1))
    assert (measured.low, measured.high) == pytest.approx((units.low, units.high), rel=1e-10)
    assert len(measured.series.values) == 96


@pytest.mark.parametrize("metric", ["estimate", "relative-bias", "cosine", "kurtosis"])
def test_metric_that_does_not_exist_here_is_an_error(metric):
    """No estimate of a vector, nothing relative to zero, and no unknown name."""
    found = estimate(gaussian(truth=0.0, dimension=2), noise(), precision=None, budget=1000)
    with pytest.raises(ValueError, match=r"scalar truth|not zero|unknown metric"):
        found.measurements((metric,))


def test_relative_bias_is_bias_over_the_length_of_the_truth():
    """Value and ends are those of the bias divided by |truth|."""
    found = estimate(gaussian(mean=2.0, truth=1.5, dimension=4), noise(), precision=None, budget=1000)
    bias, relative = row(found, "bias"), row(found, "relative-bias")
    expected = [end / 3 for end in (bias.value, bias.low, bias.high)]
    assert [relative.value, relative.low, relative.high] == pytest.approx(expected, rel=1e-12)


def test_bias_without_a_low_end_is_flagged_as_a_bound():
    """An unbiased estimator gets `<= x`; a clear bias an interval on both sides."""
    unbiased = row(estimate(gaussian(), noise(), precision=None, budget=1024), "bias")
    biased = row(estimate(gaussian(mean=1.5), noise(), precision=None, budget=1024), "bias")
    assert (unbiased.low, unbiased.flags) == (0, {"bound"})
    assert 0 < biased.low < 0.5 < biased.high
    assert not biased.flags


def test_rounding_of_a_float32_method_is_no_bias():
    """A method that is exact up to the rounding of its dtype has a bound, not a bias."""
    found = estimate(constant(value=0.1, truth=0.1), noise(), precision=None, budget=1000)
    assert 0 < found.bias < 2e-9
    assert "bound" in row(found, "bias").flags


def test_heavy_tail_is_flagged():
    """Squares of a Cauchy have no mean: one draw carries the sum. Those of a normal are not flagged."""
    heavy = Sampling(
        draw=lambda s, n: torch.tan(torch.pi * (s.uniform(n) - 0.5)),
        truth=torch.tensor(0.0),
        batch=64,
        metrics=("mse", "variance"),
    )
    for problem, flagged in ((heavy, True), (gaussian(batch=64), False)):
        found = estimate(problem, noise(), precision=None, budget=4096)
        assert [("heavy-tail" in row(found, m).flags) for m in ("mse", "variance")] == [flagged, flagged]


@pytest.mark.statistical
def test_estimates_cover_the_closed_form():
    """One bit by REINFORCE at theta = .3, 200 seeds, stopped at 5 %: mse, variance, estimate and bias are covered.

    95 % intervals are missed by 22 of 200 or more with probability 6e-4; four metrics, so a false alarm in 400.
    """
    problem, mse = one_bit(0.3)
    expected = {"mse": mse, "variance": mse, "estimate": float(problem.truth), "bias": 0.0}
    hits = dict.fromkeys(expected, 0)
    for seed in range(200):
        found = estimate(problem, noise(seed, torch.float32), precision=0.05, budget=10**5)
        for m in found.measurements(expected):
            hits[m.metric] += m.low <= expected[m.metric] <= m.high
    assert min(hits.values()) > 178


def test_mse_carries_the_moments_of_its_units():
    """Component along the truth, product with the rest of the mean, and spread of each unit, by numpy."""
    problem = gaussian(mean=1.5, dimension=3)
    found = estimate(problem, noise(), precision=None, budget=16 * 256)
    draws = all_draws(problem, noise(), 256).reshape(64, -1, 3)
    truth = problem.truth.numpy()
    e, m = truth / np.linalg.norm(truth), draws.mean((0, 1))
    moments = row(found, "mse").moments
    assert (moments.norm, moments.dimension, moments.draws) == (pytest.approx(3**0.5), 3, 64)
    assert moments.along == pytest.approx(draws.mean(1) @ e, rel=1e-10)
    assert moments.across == pytest.approx(draws.mean(1) @ (m - (m @ e) * e), abs=1e-12)
    assert moments.spread == pytest.approx(np.square(draws - m).sum(2).mean(1), rel=1e-10)


def test_moments_of_half_a_method_are_half_of_its_moments_bit_for_bit():
    """Powers of two pass through every step unrounded, those of the ledger included."""
    whole = gaussian(mean=1.3, dimension=5)
    half = replace(whole, draw=lambda stream, n: whole.draw(stream, n) / 2)
    one, other = (
        row(estimate(problem, noise(), precision=None, budget=4096), "mse").moments for problem in (whole, half)
    )
    assert np.array_equal(np.divide(one.along, 2), other.along)
    assert np.array_equal(np.divide(one.across, 4), other.across)
    assert np.array_equal(np.divide(one.spread, 4), other.spread)
    assert (one.freedom, one.resolution / 2) == (other.freedom, other.resolution)


def test_moments_of_an_exact_method_are_one_unit():
    """A deterministic method is one point, without spread."""
    found = estimate(constant(value=0.5, truth=1.0), noise(), precision=0.05, budget=100, deterministic=True)
    moments = row(found, "mse").moments
    assert (moments.along, moments.spread, moments.draws) == ((0.5,), (0.0,), 1)


def test_moments_about_a_truth_of_zero_have_no_direction():
    """Nothing lies along a truth of zero: the mean and its square are in `across`."""
    moments = row(estimate(gaussian(truth=0.0, dimension=2), noise(), precision=None, budget=4096), "mse").moments
    assert (moments.norm, set(moments.along)) == (0.0, {0.0})
    assert np.mean(moments.across) == pytest.approx(2, rel=0.1)


def test_errors_carry_that_of_a_reference():
    """Bias and root mse are distances: their intervals hold the values for every truth within the error."""
    exact = estimate(gaussian(), noise(), precision=None, budget=16 * 256)
    found = estimate(replace(gaussian(), error=0.25), noise(), precision=None, budget=16 * 256)
    for moved in (-0.25, 0.0, 0.25):
        other = replace(gaussian(), truth=gaussian().truth + moved)
        there = estimate(other, noise(), precision=None, budget=16 * 256)
        for metric in ("bias", "mse"):
            assert row(found, metric).low <= row(there, metric).value <= row(found, metric).high
    for metric in ("bias", "mse"):
        assert row(found, metric).value == row(exact, metric).value
        assert "reference" in row(found, metric).flags
        assert "reference" not in row(exact, metric).flags
    # Nothing about the spread depends on the truth.
    assert row(found, "variance") == row(exact, "variance")


def test_named_coordinates_are_reported_alone():
    """Against numpy on the draws times sqrt(D); the largest has an interval at the level 1 - 0.05 / D."""
    problem = gaussian(dimension=3, names=("a", "b", "c"))
    found = estimate(problem, noise(), precision=None, budget=16 * 256)
    rows = {(m.metric, m.labels.get("of", "")): m for m in found.measurements(problem.metrics)}
    errors = 3 * np.square(all_draws(problem, noise(), 256) - 1)
    for index, name in enumerate(problem.names):
        alone = errors[:, index]
        assert rows["mse", name].value == pytest.approx(alone.mean(), rel=1e-12)
        g = np.sqrt(3) * all_draws(problem, noise(), 256)[:, index]
        assert rows["variance", name].value == pytest.approx(g.var(ddof=1), rel=1e-9)
        bias = max(0, (g.mean() - np.sqrt(3)) ** 2 - g.var(ddof=1) / len(g)) ** 0.5
        assert rows["bias", name].value == pytest.approx(bias, abs=1e-9)
    shares = [rows["mse", name].value for name in problem.names]
    assert rows["mse", ""].value == pytest.approx(np.mean(shares), rel=1e-12)
    assert rows["worst-mse", ""].value == max(shares)
    units = errors.reshape(64, -1, 3).mean(1).T
    joint = [intervals.mean(unit, level=1 - 0.05 / 3) for unit in units]
    assert rows["worst-mse", ""].low == pytest.approx(max(part.low for part in joint), rel=1e-9)
    assert rows["worst-mse", ""].high == pytest.approx(max(part.high for part in joint), rel=1e-9)
    assert float(intervals.mean(units[0], level=0.99).high) > float(intervals.mean(units[0]).high)


def test_without_names_nothing_is_added():
    """The rows of a problem without names are those that were asked for."""
    problem = gaussian(dimension=3)
    found = estimate(problem, noise(), precision=None, budget=16 * 128)
    assert [m.metric for m in found.measurements(problem.metrics)] == list(problem.metrics)


def test_a_constant_has_named_coordinates_too():
    """A deterministic method: every coordinate is known exactly, and so is the largest error."""
    problem = Sampling(
        draw=lambda noise, n: torch.zeros(n, 2, dtype=torch.float64),
        truth=torch.tensor([0.0, 2.0], dtype=torch.float64),
        batch=2,
        names=("a", "b"),
    )
    found = estimate(problem, noise(), precision=None, budget=None, deterministic=True)
    rows = {(m.metric, m.labels.get("of", "")): m for m in found.measurements(problem.metrics)}
    assert rows["mse", "b"].value == rows["worst-mse", ""].value == pytest.approx(8)
    assert rows["mse", "a"].value == 0
    assert "exact" in rows["worst-mse", ""].flags


def test_names_are_those_of_all_coordinates():
    """A shape that they do not fit is refused."""
    with pytest.raises(ValueError, match=r"shape \[2\], got \[3\]"):
        Sampling(draw=lambda noise, n: torch.zeros(n, 3), truth=torch.zeros(3), batch=2, names=("a", "b"))
