"""Distributions, objectives and what they reject."""

from __future__ import annotations

import pytest
import torch

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, Enumeration, FunctionObjective


def test_logits_are_held_off_their_graph():
    """A method cannot reach the encoder by accident."""
    logits = torch.zeros(3, requires_grad=True)
    assert not Distribution(kind="bernoulli", logits=logits).logits.requires_grad


@pytest.mark.parametrize(("kind", "shape"), [("gaussian", (3,)), ("bernoulli", ()), ("categorical", (3,))])
def test_a_distribution_that_makes_no_sense_is_refused(kind, shape):
    """An unknown kind, or logits without the event's dimensions."""
    with pytest.raises(ValueError, match="got"):
        Distribution(kind=kind, logits=torch.zeros(shape))


@pytest.mark.parametrize(("kind", "shape"), [("bernoulli", (2, 3)), ("categorical", (2, 3, 4))])
def test_samples_are_vertices(kind, shape):
    """Bits are 0 or 1; classes are one-hot; leading dimensions are chosen by the caller."""
    distribution = Distribution(kind=kind, logits=Noise.seeded(0).normal(*shape))
    x = distribution.sample(Noise.seeded(1), 50, 2)
    assert x.shape == (50, 2, *shape)
    assert set(x.unique().tolist()) == {0.0, 1.0}
    if kind == "categorical":
        assert torch.equal(x.sum(-1), torch.ones(50, 2, *shape[:-1]))


@pytest.mark.statistical
@pytest.mark.parametrize(("kind", "shape"), [("bernoulli", (5,)), ("categorical", (2, 3))])
def test_samples_have_the_mean(kind, shape):
    """Both ways of sampling, by uniforms and by perturbed logits, have E x. False alarms: 5 sigma, 22 scores, 1e-5."""
    distribution = Distribution(kind=kind, logits=Noise.seeded(0, dtype=torch.float64).normal(*shape))
    n, noise = 40_000, Noise.seeded(1, dtype=torch.float64)
    sd = (distribution.mean * (1 - distribution.mean) / n).sqrt()
    for x in (distribution.sample(noise, n), distribution.harden(distribution.perturb(noise, n))):
        assert ((x.mean(0) - distribution.mean) / sd).abs().max() < 5


@pytest.mark.parametrize(("kind", "shape"), [("bernoulli", (5,)), ("categorical", (2, 3))])
def test_jacobian_is_the_derivative_of_the_softened_logits(kind, shape):
    """`jacobian(softened(t), c) / t` is autograd's vjp of sigmoid or softmax of l / t."""
    logits = Noise.seeded(0, dtype=torch.float64).normal(*shape)
    cotangent = Noise.seeded(1, dtype=torch.float64).normal(*shape)
    squash = torch.sigmoid if kind == "bernoulli" else (lambda z: torch.softmax(z, -1))
    with torch.enable_grad():
        leaf = logits.clone().requires_grad_()
        (expected,) = torch.autograd.grad(squash(leaf / 0.7), leaf, cotangent)
    distribution = Distribution(kind=kind, logits=logits)
    actual = distribution.jacobian(distribution.softened(0.7), cotangent) / 0.7
    torch.testing.assert_close(actual, expected)


def test_an_objective_counts_what_is_asked_of_it():
    """S rows are S evaluations whatever the batch; gradients are backward passes; a table costs its states."""
    counter = Counter()
    table = Enumeration(states=torch.eye(4)[:, None], values=torch.zeros(4, 1))
    f = FunctionObjective(lambda x: x.square().sum((-1, -2)), counter=counter, table=lambda: table)
    f.value(torch.eye(4)[:1].expand(7, 5, 1, 4))
    assert counter.units == {"evaluations": 7, "backwards": 0}
    f.value_and_gradient(torch.eye(4)[:1].expand(3, 5, 1, 4))
    assert counter.units == {"evaluations": 10, "backwards": 3}
    f.enumerate()
    assert counter.units == {"evaluations": 14, "backwards": 3}


def test_every_row_gets_its_own_gradient():
    """One backward pass of the sum gives `2 x` for `f = |x|^2`, with and without a surrounding graph."""
    x = Noise.seeded(0).normal(6, 3)
    f = FunctionObjective(lambda x: x.square().sum(-1))
    value, gradient = f.value_and_gradient(x)
    torch.testing.assert_close(gradient, 2 * x)
    assert not value.requires_grad
    assert not gradient.requires_grad


def test_an_objective_without_a_table_says_so():
    """`exact` on such an objective fails and says what to do."""
    with pytest.raises(ValueError, match="use a method that samples"):
        FunctionObjective(lambda x: x.sum(-1)).enumerate()
