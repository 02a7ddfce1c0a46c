"""Exact laws against printed values: `ebm` closed forms, checked there by a Lyapunov solve or Monte Carlo."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import minimize_scalar

from kexue_energy import (
    AnnealedLangevin,
    Decoupled,
    ExactDraws,
    Linear,
    Preconditioned,
    Ula,
    UnadjustedHmc,
    Underdamped,
)
from kexue_energy.samplers import laws

ONE = torch.ones(1, 1, dtype=torch.float64)


def law(sampler, variance=1.0):
    """Stationary variances of z on N(0, variance)."""
    return laws.covariance(sampler.linear(ONE / variance)).diagonal().tolist()


@pytest.mark.parametrize(
    ("variance", "h", "expected"),
    [
        (1, 0.01, 1.00502512563),
        (1, 0.1, 1.05263157895),
        (1, 0.5, 1.33333333333),
        (1, 1.0, 2.0),
        (1, 1.5, 4.0),
        (4, 0.1, 4.05063291139),
        (4, 1.0, 4.57142857143),
        (0.25, 0.1, 0.3125),
        (100, 1.0, 100.502512563),
    ],
)
def test_variance_of_ula(variance, h, expected):
    """Relative to eleven digits."""
    assert law(Ula(h=h), variance) == pytest.approx([expected], rel=1e-11)


def test_ula_in_finite_time():
    """From x0 = 3, ten steps of 0.1: the law is N(1.0460353203, 0.924656153063)."""
    a, b = (Ula(h=0.1).linear(ONE).A.item(), Ula(h=0.1).linear(ONE).B.item())
    mean, variance = 3.0, 0.0
    for _ in range(10):
        mean, variance = a * mean, a * a * variance + b * b
    assert mean == pytest.approx(1.0460353203, abs=1e-10)
    assert variance == pytest.approx(0.924656153063, abs=1e-12)


@pytest.mark.parametrize("h", [0.1, 0.5, 1.0, 1.5, 1.9])
@pytest.mark.parametrize("friction", [0.3, 1.0])
def test_variances_of_the_splittings(h, friction):
    """Positions and momenta, for every friction."""
    q = 1 - h**2 / 4
    expected = {"baoab": (1, q), "aboba": (1, 1 / q), "obabo": (1 / q, 1), "oabao": (q, 1)}
    for scheme, variances in expected.items():
        found = law(Underdamped(scheme=scheme, h=h, friction=friction))
        assert found == pytest.approx(variances, rel=1e-9), scheme


@pytest.mark.parametrize(("h", "expected"), [(0.1, (1.114027, 1.166521)), (0.5, (2.153846, 2.461538))])
def test_variances_of_the_euler_scheme(h, expected):
    """Printed to six digits."""
    assert law(Underdamped(scheme="euler", h=h)) == pytest.approx(expected, abs=5e-7)


@pytest.mark.parametrize(
    ("sampler", "first", "second", "error"),
    [
        (Underdamped(h=0.5), 0.0392192, 0.0788494, 0.0788494),
        (Underdamped(h=1.5), 0.0113167, 0.0269301, 0.0269301),
        (Underdamped(scheme="obabo", h=1.5), 0.0114310, 0.1173022, 1.770363),
        (ExactDraws(), 0.01, 0.02, 0.02),
    ],
)
def test_averages_of_a_hundred_positions(sampler, first, second, error):
    """Variance of the averages of x and x^2, and mse of the latter."""
    found = laws.averages(sampler.linear(ONE), ONE, 100)
    assert float(found.first) == pytest.approx(first, abs=5e-8)
    assert float(found.second) == pytest.approx(second, abs=5e-8)
    assert float(found.second + (found.law - 1) ** 2) == pytest.approx(error, rel=2e-6)


@pytest.mark.parametrize("leaps", [1, 3, 4])
def test_unadjusted_hmc(leaps):
    """Variance 1 / (1 - eps^2 / 4) for every number of leaps; lag-1 correlation cos(L t)."""
    linear = UnadjustedHmc(eps=0.5, leaps=leaps).linear(ONE)
    assert float(laws.covariance(linear)) == pytest.approx(1 / (1 - 0.25 / 4), rel=1e-12)
    assert float(linear.A) == pytest.approx(math.cos(leaps * math.acos(1 - 0.125)), abs=1e-12)


def test_noisy_gradients_and_decoupled_noise():
    """SGLD with gradient noise t: (2 h + h^2 t^2) / (1 - (1 - h)^2); decoupled: sd^2 / (1 - (1 - rate)^2)."""
    h, t = 0.1, 5.0
    exact = Ula(h=h).linear(ONE)
    noisy = Linear(A=exact.A, B=torch.cat([exact.B, h * t * ONE], dim=1), Q=exact.Q)
    assert float(laws.covariance(noisy)) == pytest.approx(2.36842105263, rel=1e-11)
    assert law(Decoupled(rate=0.5, sd=0.2)) == pytest.approx([0.04 / 0.75], rel=1e-12)
    assert Decoupled(rate=10, sd=0.005).temperature == pytest.approx(1.25e-6)
    assert Decoupled(rate=1, sd=0.01).temperature == pytest.approx(5e-5)
    assert Decoupled(rate=100, sd=0.001).temperature == pytest.approx(5e-9)


@pytest.mark.parametrize(("steps", "expected"), [(100, 1.061415), (1000, 1.005949)])
def test_annealed_langevin_on_a_standard_normal(steps, expected):
    """Ten levels from 1 to 0.01, eps 2e-5: printed to six digits, whatever the start."""
    for start in (0.0, 2.0):
        assert AnnealedLangevin(steps=steps).law(1.0, start) == pytest.approx(expected, abs=5e-7)


def test_a_full_preconditioner_makes_every_gaussian_round():
    """The variance of every direction is that of ULA on N(0, 1) times its own."""
    sigma = torch.tensor([[2.0, 1.2], [1.2, 1.0]], dtype=torch.float64)
    found = laws.covariance(Preconditioned(kernel="ula", h=0.5).linear(torch.linalg.inv(sigma)))
    torch.testing.assert_close(found, sigma / (1 - 0.25))


@pytest.mark.parametrize(
    ("h", "dim", "expected"),
    [
        (0.1, 1, 0.992882671111),
        (0.1, 100, 0.911203402484),
        (0.5, 1, 0.920833151679),
        (0.5, 10, 0.700933576519),
        (0.5, 100, 0.214216948929),
        (1.0, 1, 0.783653104061),
        (1.0, 2, 2 / 3),
        (1.0, 10, 0.289691612051),
        (2.0, 1, 0.5),
        (2.0, 100, 9.90168898459e-17),
    ],
)
def test_acceptance_of_mala(h, dim, expected):
    """Printed values."""
    assert laws.mala_acceptance(h, dim) == pytest.approx(expected, rel=2e-11)


@pytest.mark.parametrize(
    ("eps", "leaps", "dim", "expected"),
    [
        (0.5, 1, 1, 0.990053625442),
        (0.5, 4, 1, 0.981509656013),
        (0.5, 4, 10, 0.928613492352),
        (1.0, 3, 100, 1.0),
        (1.5, 2, 10, 0.745628563678),
        (0.2, 8, 1000, 0.873835139769),
    ],
)
def test_acceptance_of_hmc(eps, leaps, dim, expected):
    """Printed values; at eps = 1 and L = 3 every proposal is -x."""
    assert laws.hmc_acceptance(eps, leaps, dim) == pytest.approx(expected, abs=2e-12)


def test_acceptance_of_the_random_walk_and_of_exchanges():
    """(2 / pi) atan(2 / s) in one dimension; printed values."""
    assert laws.walk_acceptance(2.4, 1) == pytest.approx(2 / math.pi * math.atan(2 / 2.4), rel=1e-12)
    assert laws.walk_acceptance(2.4, 1) == pytest.approx(0.442284, abs=5e-7)
    assert laws.walk_acceptance(1.0, 5) == pytest.approx(0.314373, abs=5e-7)
    assert laws.swap_acceptance(1.5, 50) == pytest.approx(0.155151124695, rel=1e-10)
    assert laws.swap_acceptance(4, 1) == pytest.approx(0.590334470602, rel=1e-10)
    assert laws.swap_acceptance(10, 50) == pytest.approx(1.30396169796e-13, rel=1e-9)


def best(value, low, high):
    """The point at which a function of one number is largest."""
    return minimize_scalar(lambda t: -value(t), bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x


@pytest.mark.parametrize(
    ("dim", "h", "accept"),
    [(1, 2.10266, 0.476122), (10, 0.651681, 0.569458), (100, 0.294255, 0.573786), (10_000, 0.0632087, 0.574231)],
)
def test_the_best_acceptance_of_mala(dim, h, accept):
    """H times acceptance is largest where the catalogued optimum is: .57423564 in the limit."""
    found = best(lambda t: t * laws.mala_acceptance(t, dim), 0.1 * h, 3 * h)
    assert found == pytest.approx(h, rel=1e-5)
    assert laws.mala_acceptance(found, dim) == pytest.approx(accept, abs=1e-6)


def test_the_best_acceptance_of_the_random_walk():
    """s^2 times acceptance is largest at .2317 in 100 dimensions, towards .234 (Roberts, Gelman and Gilks 1997)."""
    s = best(lambda t: t * t * laws.walk_acceptance(t, 100), 0.05, 1)
    assert laws.walk_acceptance(s, 100) == pytest.approx(0.2317, abs=5e-5)


def test_the_best_acceptance_of_hmc_and_its_exponent():
    """Time 1.5 in whole leaps, acceptance times step largest: .720, .660, .650; step d^-1/4 (1001.4460)."""
    steps = {}
    for dim, expected in ((10**3, 0.720), (10**4, 0.660), (10**5, 0.650), (10**6, 0.651)):
        worth = {leaps: 1.5 / leaps * laws.hmc_acceptance(1.5 / leaps, leaps, dim) for leaps in range(1, 200)}
        leaps = max(worth, key=worth.get)
        steps[dim] = 1.5 / leaps
        assert laws.hmc_acceptance(1.5 / leaps, leaps, dim) == pytest.approx(expected, abs=0.01)
    exponent = math.log(steps[10**6] / steps[10**4]) / math.log(100)
    assert exponent == pytest.approx(-0.25, abs=0.02)
