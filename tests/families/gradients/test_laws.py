"""The distributions: their scores, their samples and what they reject."""

from __future__ import annotations

import pytest
import scipy.stats
import torch
from torch import distributions

from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, Gamma, Gaussian

DOUBLE = torch.float64
N = 2**16


def tensor(values):
    return torch.tensor(values, dtype=DOUBLE)


def gaussian():
    return Gaussian(mu=tensor([[0.3, -1.0], [2.0, 0.0]]), sigma=tensor([[0.5, 2.0], [1.0, 3.0]]))


def gamma():
    return Gamma(shape=tensor([0.4, 1.0, 7.5]))


def log_density(law, parameters, x):
    """torch.distributions as the independent reference."""
    if isinstance(law, Gaussian):
        return distributions.Normal(*parameters.unbind(-1)).log_prob(x)
    if isinstance(law, Gamma):
        return distributions.Gamma(parameters, torch.ones_like(parameters)).log_prob(x)
    if law.kind == "bernoulli":
        return distributions.Bernoulli(logits=parameters).log_prob(x)
    return distributions.OneHotCategorical(logits=parameters).log_prob(x)


LAWS = {
    "gaussian": gaussian(),
    "gamma": gamma(),
    "bernoulli": Distribution(kind="bernoulli", logits=tensor([[0.3, -2.0]])),
    "categorical": Distribution(kind="categorical", logits=tensor([[0.3, -2.0, 1.0], [0.0, 0.0, 4.0]])),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_score_is_the_derivative_of_the_log_density(name):
    """Against torch.distributions differentiated by autograd, at draws of the distribution; shapes as documented."""
    law = LAWS[name]
    x = law.sample(Noise.seeded(1, dtype=DOUBLE), 5)
    with torch.enable_grad():
        repeated = law.parameters.expand(5, *law.parameters.shape).clone().requires_grad_()
        (expected,) = torch.autograd.grad(log_density(law, repeated, x).sum(), repeated)
    torch.testing.assert_close(law.score(x), expected, rtol=1e-9, atol=1e-11)
    assert law.score(x).shape == (5, *law.parameters.shape)
    assert (law.expand(torch.zeros(5, *law.batch)) * law.score(x)).shape == law.score(x).shape


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["gaussian", "gamma"])
def test_samples_have_the_moments_of_the_law(name):
    """Mean and variance of 2^16 draws within 5 standard errors: 9e-6 for 14 normal scores."""
    law = LAWS[name]
    x = law.sample(Noise.seeded(2, dtype=DOUBLE), N)
    mean, variance = (law.mu, law.sigma**2) if name == "gaussian" else (law.shape, law.shape)
    kurtosis = torch.full_like(mean, 3.0) if name == "gaussian" else 3 + 6 / law.shape
    assert ((x.mean(0) - mean).abs() <= 5 * (variance / N).sqrt()).all()
    assert ((x.var(0) - variance).abs() <= 5 * variance * ((kurtosis - 1) / N).sqrt()).all()


def test_the_vertex_is_the_most_likely_state():
    """The largest inner product with the scores among all states, found by enumeration."""
    scores = Noise.seeded(3, dtype=DOUBLE).normal(20, 2, 3)
    law = Distribution(kind="categorical", logits=tensor([[0.0] * 3] * 2))
    states = torch.stack([torch.stack([torch.eye(3)[i], torch.eye(3)[j]]) for i in range(3) for j in range(3)]).double()
    best = (scores.flatten(1) @ states.flatten(1).T).argmax(1)
    assert torch.equal(law.vertex(scores), states[best])
    bits = Distribution(kind="bernoulli", logits=tensor([0.0, 0.0]))
    assert bits.vertex(tensor([[1.0, -1.0]])).tolist() == [[1.0, 0.0]]


def test_parameters_and_context_leave_their_graph():
    """A distribution made from a network's outputs keeps none of its graph, whatever it was conditioned on."""
    with torch.enable_grad():
        x = torch.ones(3, 2, requires_grad=True)
        laws = (
            Gaussian(mu=x * 2, sigma=x.exp(), context=x * 3),
            Gamma(shape=x.exp(), context=x * 3),
            Distribution(kind="bernoulli", logits=x * 2, context=x * 3).tempered(0.5),
        )
    for law in laws:
        assert not law.parameters.requires_grad
        assert not law.context.requires_grad
        assert torch.equal(law.context, 3 * torch.ones(3, 2))


def test_what_a_law_refuses():
    """Shapes that do not fit are named."""
    with pytest.raises(ValueError, match=r"one shape \[\*batch, L\], got \(2,\) and \(3,\)"):
        Gaussian(mu=torch.zeros(2), sigma=torch.ones(3))
    with pytest.raises(ValueError, match="got a scalar"):
        Gamma(shape=torch.tensor(1.0))


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_bits_are_comparisons_in_the_dtype_of_the_logits(dtype):
    """A draw is `u < p` and a vertex `scores > 0`, both by boolean arithmetic; neither writes to what it was given."""
    law = Distribution(kind="bernoulli", logits=torch.linspace(-4, 4, 7, dtype=dtype))
    u = Noise.seeded(3, dtype=dtype).uniform(1000, 7)
    bits = law.sample(Noise.seeded(3), 1000)
    assert bits.dtype == dtype
    assert torch.equal(bits, (u < law.mean).to(dtype))
    scores = (u - 0.5).requires_grad_()
    before = scores.detach().clone()
    assert torch.equal(law.vertex(scores), (before > 0).to(dtype))
    assert torch.equal(scores.detach(), before)


def test_a_vertex_under_vmap_is_the_vertex_of_each_row():
    """A rule for one sample may ask for the most likely bits of its own scores."""
    law = Distribution(kind="bernoulli", logits=torch.zeros(5))
    scores = Noise.seeded(4).normal(20, 5)
    assert torch.equal(torch.func.vmap(law.vertex)(scores), law.vertex(scores))


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 0.0791), (torch.float64, 0.00976)])
def test_a_gamma_variable_that_the_dtype_cannot_hold_is_refused(dtype, least):
    """A thousandth of a gamma variable of the least shape is below the smallest number, by scipy; below it, refused.

    At 0.01 in float32 that are 42 %, drawn as 0, whose logarithm and score are infinite.
    """
    share = scipy.stats.gamma.cdf(torch.finfo(dtype).smallest_normal, least)
    assert share == pytest.approx(1e-3, rel=0.06)
    assert Gamma(shape=torch.full((2,), least * 1.01, dtype=dtype)).shape.dtype == dtype
    with pytest.raises(ValueError, match=r"of the distribution is below the smallest number"):
        Gamma(shape=torch.tensor([1.0, least * 0.99], dtype=dtype))
    if dtype == torch.float32:
        with pytest.raises(ValueError, match=r"shape must be >= 0.079 in torch.float32, got 0.01: 0.42 of the"):
            Gamma(shape=torch.tensor([0.01]))


@pytest.mark.parametrize("shape", [0.08, 0.2])
def test_the_score_of_a_small_gamma_variable_is_centred(shape):
    """E score = 0 within 5 standard errors of 200,000 draws in float32, and what its smallest number moves it by."""
    gamma = Gamma(shape=torch.tensor([shape]))
    score = gamma.score(gamma.sample(Noise.seeded(0), 200_000))
    assert bool(score.isfinite().all())
    assert abs(float(score.mean())) < 5 * float(score.std()) / 200_000**0.5 + 1e-3 / shape
