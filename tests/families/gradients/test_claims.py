"""The exact variance that the tasks provide, by dealing every sample, against closed forms for one bit."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_gradients import Disarm, Exact, GumbelSoftmax, Reinforce, Rloo, StraightThrough
from kexue_gradients.claims import enumerated_variance
from kexue_gradients.laws import Distribution
from kexue_gradients.objective import FunctionObjective

P, F1, F0 = 1 / (1 + math.exp(-0.7)), 0.9, -0.4


def bits(n=1):
    return Distribution(kind="bernoulli", logits=torch.full((n,), 0.7, dtype=torch.float64))


OBJECTIVE = FunctionObjective(lambda x: (F0 + (F1 - F0) * x).sum(-1))


def test_reinforce_on_one_bit():
    """E g^2 - (E g)^2 with g = f(x) (x - p), summed by hand."""
    second = P * F1**2 * (1 - P) ** 2 + (1 - P) * F0**2 * P**2
    expected = second - (P * (1 - P) * (F1 - F0)) ** 2
    assert enumerated_variance(Reinforce(), bits(), OBJECTIVE) == pytest.approx(expected, rel=1e-12)


def test_rloo_deals_pairs():
    """Two draws that differ, probability 2 p q, give (f1 - f0) / 2, and equal ones zero."""
    q, d = 1 - P, F1 - F0
    expected = 2 * P * q * (d / 2) ** 2 - (P * q * d) ** 2
    assert enumerated_variance(Rloo(n=2), bits(), OBJECTIVE) == pytest.approx(expected, rel=1e-12)


def test_straight_through_of_a_linear_function_does_not_vary():
    """The gradient of f is the same number at every sample."""
    assert enumerated_variance(StraightThrough(), bits(), OBJECTIVE) == pytest.approx(0, abs=1e-30)


def test_a_deterministic_method_has_no_variance():
    """Whatever the number of states."""
    assert enumerated_variance(Exact(), bits(200), OBJECTIVE) == 0


@pytest.mark.parametrize("method", [GumbelSoftmax(), Disarm()])
def test_other_noise_cannot_be_dealt(method):
    """A method that draws anything but samples gets no variance rather than a wrong one."""
    assert enumerated_variance(method, bits(), OBJECTIVE) is None


def test_too_many_states_are_not_enumerated():
    """Two hundred bits have no table."""
    assert enumerated_variance(Reinforce(), bits(200), OBJECTIVE) is None


def test_a_sample_without_a_finite_gradient_is_an_infinite_variance():
    """However rare it is."""
    singular = FunctionObjective(lambda x: (1 / x).sum(-1))
    assert enumerated_variance(Reinforce(), bits(), singular) == math.inf
