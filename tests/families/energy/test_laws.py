"""Declared fixed points and variances of criteria against closed forms and independently computed values."""

from __future__ import annotations

import math

import pytest

from kexue_bench.errors import NotOffered
from kexue_energy import (
    Cd,
    Denoising,
    Jem,
    LogsumexpContrast,
    Mle,
    Nce,
    Pcd,
    RecoveryLikelihood,
    Replay,
    ScoreMatching,
    ShortRunTraining,
    Sliced,
    SlicedVr,
    SoftplusContrast,
)


@pytest.mark.parametrize(
    ("criterion", "theta", "n_variance"),
    [
        (Mle(), 1.0, 2.0),
        (ScoreMatching(), 1.0, 2.0),
        (Sliced(), 1.0, 6.0),
        (Sliced(projection="rademacher"), 1.0, 2.0),
        (SlicedVr(), 1.0, 4.0),
        (Denoising(sigma=0.01), 0.999900009999, 9998.00029996),
        (Denoising(sigma=0.1), 0.990099009901, 98.0296049407),
        (Denoising(sigma=0.5), 0.8, 2.56),
        (Denoising(sigma=1.0), 0.5, 0.25),
        (Nce(spread=1.0), 1.0, 4.0),
        (Nce(spread=1.0, ratio=10.0), 1.0, 2.2),
        (Nce(spread=2.0), 1.0, 2.99531598),
        (Nce(spread=2.0, ratio=10.0), 1.0, 2.12194085),
        (Nce(spread=0.7), 1.0, 12.4890911),
        (Cd(), 1.05572809, 25.0),
        (Cd(k=10), 1.05572809, 5.60145),
        (Cd(k=3, h=0.2), 1.12701665379, 8.50340),
        (Pcd(), 1.05572809, 5.0),
    ],
    ids=repr,
)
def test_the_declared_law_on_unit_normal_data(criterion, theta, n_variance):
    """Closed forms and quadratures computed apart from this package."""
    found = criterion.gaussian(1.0)
    assert found[0] == pytest.approx(theta, rel=1e-9)
    assert found[1] == pytest.approx(n_variance, rel=2e-6)


@pytest.mark.parametrize("h", [0.01, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("criterion", [Cd, Pcd])
def test_the_fixed_point_of_unadjusted_chains(criterion, h):
    """theta* = (1 - sqrt(1 - 2h / s)) / h for every k, persistent or not."""
    for k in (1, 7):
        for variance in (0.9, 2.0):
            exact = (1 - math.sqrt(1 - 2 * h / variance)) / h
            assert criterion(h=h, k=k).gaussian(variance)[0] == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("k", "start", "theta"),
    [
        (1, 4.0, 10.5131670195),
        (5, 4.0, 3.15681344367),
        (10, 4.0, 1.92787183941),
        (20, 4.0, 1.31290045368),
        (60, 4.0, 1.03186062116),
        (10, 1 / 3, 0.510311),
        (20, 1 / 3, 0.912175),
    ],
)
def test_the_fixed_point_of_short_runs(k, start, theta):
    """Roots of a^2k v_0 + (1 - a^2k) v = 1 at h = 0.05, found apart from this package."""
    found = ShortRunTraining(k=k, h=0.05, spread=math.sqrt(start)).gaussian(1.0)[0]
    assert found == pytest.approx(theta, rel=1e-6)


@pytest.mark.parametrize("k", [1, 5])
def test_a_short_run_from_a_narrow_start_has_no_fixed_point(k):
    """Its variance stays below 1 at every theta, and the case is reported as such, not as a number."""
    with pytest.raises(NotOffered, match="no fixed point"):
        ShortRunTraining(k=k, h=0.05, spread=math.sqrt(1 / 3)).gaussian(1.0)


def test_noise_wider_than_the_data_has_no_fixed_point():
    """The smallest variance of a chain with noise of variance 2h is 2h."""
    with pytest.raises(NotOffered, match="no fixed point"):
        Pcd(h=0.1).gaussian(0.19)


def test_a_buffer_without_restarts_and_penalty_is_persistent():
    """The two linear equations of the buffer reduce to the stationary law."""
    assert Replay(fresh=0.0, l2=0.0).gaussian(1.3) == pytest.approx(Pcd().gaussian(1.3), rel=1e-6)


def test_a_buffer_that_always_restarts_is_a_short_run():
    """From the variance of the data, with one chain a datum that is independent of it."""
    run = ShortRunTraining(k=10, spread=2.0).gaussian(4.0)
    assert Replay(k=10, fresh=1.0, l2=0.0).gaussian(4.0) == pytest.approx(run, rel=1e-6)


def test_recovery_from_much_noise_is_a_run_from_noise_that_forgets_its_start():
    """With sigma so large that the copy ties nothing, long chains have the stationary law."""
    wide = RecoveryLikelihood(sigma=100.0, k=300).gaussian(1.0)
    assert wide == pytest.approx(Pcd().gaussian(1.0), rel=1e-3)


def test_units_do_not_matter():
    """Data times c: theta* / c^2 and n Var / c^4, with lengths times c and steps times c^2."""
    for one, other in (
        (Denoising(sigma=0.3), Denoising(sigma=0.6)),
        (Cd(k=3, h=0.1), Cd(k=3, h=0.4)),
        (ShortRunTraining(k=9, h=0.1, spread=1.5), ShortRunTraining(k=9, h=0.4, spread=3.0)),
        (RecoveryLikelihood(k=9, h=0.1, sigma=0.5), RecoveryLikelihood(k=9, h=0.4, sigma=1.0)),
        (Nce(spread=1.5), Nce(spread=1.5)),
    ):
        (theta, spread), (scaled, wide) = one.gaussian(1.0), other.gaussian(4.0)
        assert (4 * scaled, 16 * wide) == pytest.approx((theta, spread), rel=1e-5)


def test_decoupled_noise_learns_at_its_temperature():
    """(1 - sqrt(1 - sd^2 / s)) / rate: IGEBM's numbers at a width of 0.25 learn 1.25e-6 of the true theta, 16."""
    igebm = Jem(rate=10.0, sd=0.005, fresh=0.0, jitter=0.0).gaussian(0.0625)[0]
    assert igebm == pytest.approx(2.00020004001e-05, rel=1e-9)
    assert igebm / 16 == pytest.approx(1.25012502501e-06, rel=1e-9)
    jem = Jem(fresh=0.0, jitter=0.0).gaussian(1.0)[0]
    assert jem == pytest.approx(1 - math.sqrt(1 - 1e-4), rel=1e-9)


def test_decoupled_noise_wider_than_the_data_has_no_fixed_point():
    """sd^2 > s."""
    with pytest.raises(NotOffered, match="no fixed point"):
        Jem(sd=0.3, jitter=0.0).gaussian(0.08)


@pytest.mark.parametrize("h", [0.05, 0.2])
def test_weighted_chains_learn_at_half_of_the_precision(h):
    """1 / v = theta (1 - h theta / 2), so that 2 theta - h theta^2 / 2 = 1 / s."""
    for criterion in (LogsumexpContrast(h=h), SoftplusContrast(h=h)):
        assert criterion.gaussian(1.0)[0] == pytest.approx((2 - math.sqrt(4 - 2 * h)) / h, rel=1e-6)
