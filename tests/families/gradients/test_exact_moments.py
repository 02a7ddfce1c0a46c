"""The exact moments that the tasks provide, by enumeration or quadrature, against closed forms and draws."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab import Noise
from kexue_gradients import (
    Arm,
    Disarm,
    Exact,
    GradSample,
    GumbelSoftmax,
    Pathwise,
    Rebar,
    Reinforce,
    Rloo,
    StraightThrough,
)
from kexue_gradients.exact_moments import exact_moments
from kexue_gradients.laws import Distribution, Gamma, Gaussian
from kexue_gradients.objective import FunctionObjective

P, F1, F0 = 1 / (1 + math.exp(-0.7)), 0.9, -0.4


def bits(n=1):
    return Distribution(kind="bernoulli", logits=torch.full((n,), 0.7, dtype=torch.float64))


OBJECTIVE = FunctionObjective(lambda x: (F0 + (F1 - F0) * x).sum(-1))


def test_reinforce_on_one_bit():
    """E g^2 - (E g)^2 with g = f(x) (x - p), summed by hand."""
    second = P * F1**2 * (1 - P) ** 2 + (1 - P) * F0**2 * P**2
    expected = second - (P * (1 - P) * (F1 - F0)) ** 2
    assert exact_moments(Reinforce(), bits(), OBJECTIVE).variance == pytest.approx(expected, rel=1e-12)


def test_rloo_deals_pairs():
    """Two draws that differ, probability 2 p q, give (f1 - f0) / 2, and equal ones zero."""
    q, d = 1 - P, F1 - F0
    expected = 2 * P * q * (d / 2) ** 2 - (P * q * d) ** 2
    assert exact_moments(Rloo(n=2), bits(), OBJECTIVE).variance == pytest.approx(expected, rel=1e-12)


def test_straight_through_of_a_linear_function_does_not_vary():
    """The gradient of f is the same number at every sample."""
    assert exact_moments(StraightThrough(), bits(), OBJECTIVE).variance == pytest.approx(0, abs=1e-30)


def test_a_deterministic_method_has_no_variance(build):
    """Whatever the number of states."""
    task = build("bernoulli-toy", bits=200)
    law = task.distribution(torch.float64, torch.device("cpu"))
    assert exact_moments(Exact(), law, task.objective(law)).variance == 0


def test_disarm_is_integrated_over_its_uniform():
    """One bit: (f1 - f0) / 2 sigmoid(|l|) where the pair differs, of probability 2 min(p, q), else 0."""
    q, d = 1 - P, F1 - F0
    share, size = 2 * min(P, q), d / 2 * max(P, q)
    found = exact_moments(Disarm(), bits(), OBJECTIVE)
    assert float(found.mean) == pytest.approx(P * q * d, rel=1e-9)
    assert found.variance == pytest.approx(share * size**2 - (P * q * d) ** 2, rel=1e-9)


def test_pathwise_gradients_of_a_normal_are_integrated():
    """For f = (x - k)^2: mean (2 (mu - k), 2 sigma), variance 4 s^2 + Var(2 (mu - k) e + 2 s e^2) by hand."""
    mu, sigma, k = 0.6, 1.7, -0.4
    law = Gaussian(mu=torch.tensor([mu], dtype=torch.float64), sigma=torch.tensor([sigma], dtype=torch.float64))
    found = exact_moments(Pathwise(), law, FunctionObjective(lambda x: (x - k).square().sum(-1)))
    assert found.mean.flatten().tolist() == pytest.approx([2 * (mu - k), 2 * sigma], rel=1e-9)
    assert found.variance == pytest.approx(4 * sigma**2 + 4 * (mu - k) ** 2 + 8 * sigma**2, rel=1e-7)


def test_the_score_of_a_gamma_variable_is_integrated():
    """E x (log x - digamma(a)) = 1 for the mean a of a gamma variable of shape a."""
    law = Gamma(shape=torch.tensor([2.3], dtype=torch.float64))
    found = exact_moments(Reinforce(), law, FunctionObjective(lambda x: x.sum(-1)))
    assert float(found.mean) == pytest.approx(1, rel=1e-7)


def test_a_rare_state_keeps_its_digits():
    """The mean p q (f1 - f0) at a logit of 40, where 1 - sigmoid is 0 in float64."""
    law = Distribution(kind="bernoulli", logits=torch.tensor([-40.0], dtype=torch.float64))
    found = exact_moments(Rloo(n=2), law, OBJECTIVE)
    assert float(found.mean) == pytest.approx(math.exp(-40) * (F1 - F0), rel=1e-9)


def test_rows_that_know_each_other_are_taken_one_at_a_time():
    """A baseline that is the mean over the batch: alone, a row subtracts itself and is 0."""

    class OwnBatch:
        def estimate(self, law, objective, noise, repeats, state=None):
            x = law.sample(noise, repeats)
            value = objective.value(x)
            return GradSample(gradient=law.expand(value - value.mean(0)) * law.score(x), value=value)

    assert float(exact_moments(OwnBatch(), bits(), OBJECTIVE).mean) == 0


@pytest.mark.parametrize("method", [GumbelSoftmax(), Disarm(), Arm(), Rebar(rate=0.0)])
def test_a_quadrature_agrees_with_draws(method):
    """Mean and variance within five standard errors of those of 2^16 draws."""
    found = exact_moments(method, bits(), FunctionObjective(lambda x: (x - 0.37).abs().pow(3).sum(-1)))
    noise = Noise.seeded(1, dtype=torch.float64)
    objective = FunctionObjective(lambda x: (x - 0.37).abs().pow(3).sum(-1))
    draws = method.estimate(bits(), objective, noise, 2**16).gradient.flatten()
    assert abs(float(draws.mean() - found.mean)) < 5 * float(draws.std()) / 2**8
    squares = (draws - draws.mean()).square()
    assert abs(float(squares.mean()) - found.variance) < 5 * float(squares.std()) / 2**8


@pytest.mark.parametrize("method", [Reinforce(), Disarm()])
def test_too_many_states_and_too_much_noise_are_given_up(method):
    """Two hundred bits have neither a table nor a quadrature."""
    assert exact_moments(method, bits(200), OBJECTIVE) is None


def test_a_sample_without_a_finite_gradient_is_an_infinite_variance():
    """However rare it is."""
    singular = FunctionObjective(lambda x: (1 / x).sum(-1))
    assert exact_moments(Reinforce(), bits(), singular).variance == math.inf
