"""Linear regression: the posterior, its minibatches, and the law of stochastic gradients."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_energy import FunctionPotential, Sghmc, Sgld, Ula
from kexue_energy.samplers import laws
from kexue_energy.samplers.chains import Chains
from kexue_energy.samplers.tasks.regression import NOISE, PRIOR, ROWS, LinearRegression


class Case:
    """What `Chains` needs of a context."""

    def __init__(self):
        self.counter = Counter()


def noise(seed=0):
    """A stream."""
    return Noise.seeded(seed, dtype=torch.float64)


def test_the_posterior_is_that_of_the_data():
    """U written out over the patients differs from the Gaussian by a constant."""
    task = LinearRegression(features=5)
    x, y = task.data
    w = noise().normal(4, 6)
    written = (x @ w.mT - y.unsqueeze(1)).square().sum(0) / (2 * NOISE) + w.square().sum(1) / (2 * PRIOR)
    difference = written - task.target().energy(w)
    torch.testing.assert_close(difference, difference[:1].expand(4), rtol=1e-12, atol=0)
    assert x.shape == (ROWS, 6)


def test_minibatches_are_unbiased_and_billed_by_their_share():
    """The mean over the blocks is the gradient; 32 of 512 patients are 1/16 of an evaluation."""
    task = LinearRegression(features=5)
    target = task.target()
    h, g = task.blocks(32)
    w = noise().normal(3, 6)
    mean = (torch.einsum("kij,cj->kci", h, w) - g.unsqueeze(1)).mean(0)
    torch.testing.assert_close(mean, FunctionPotential(target.energy, 6).gradient(w))
    counter = Counter()
    potential = target.potential(counter)
    potential.minibatch(w, 32, noise())
    assert counter.units == {"evaluations": 3 / 16, "backwards": 3 / 16}
    with pytest.raises(ValueError, match="must divide 512 rows, got 33"):
        potential.minibatch(w, 33, noise())
    with pytest.raises(ValueError, match="at most 512 data, got 1024"):
        potential.minibatch(w, 1024, noise())


def test_the_law_of_whole_batches_is_that_of_ula():
    """With one block of all patients nothing is stochastic."""
    task = LinearRegression(features=3)
    target = task.target()
    expected = laws.covariance(Ula(h=0.3).linear(target.precision * target.scale))
    torch.testing.assert_close(task.stochastic(Sgld(h=0.3, batch=ROWS)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("batch", [8, 64])
def test_stochastic_chains_keep_their_exact_law(batch):
    """From N(m, S), the averages of all squares over 2,000 chains, within 5 standard errors of diag S."""
    task, ctx = LinearRegression(features=4, evaluations=2), Case()
    sampler = Sgld(h=0.3, batch=batch)
    chains = Chains(task.target(), sampler, ctx, evaluations=2, start="stationary", law=task.stochastic(sampler))
    found = chains(noise(3), 2000)
    expected = task.stochastic(sampler).diagonal() * chains.target.scale
    count = len(expected)
    norm = chains.target.deviation[count:] * math.sqrt(2 * count)
    gap = (found[:, count:].mean(0) - expected / norm) / found[:, count:].std(0) * math.sqrt(2000)
    assert float(gap.abs().max()) < 5
    excess = (expected - chains.target.mean[count:]) / norm
    assert chains.exact_bias() == pytest.approx(float(excess.norm()), rel=1e-9)
    assert ctx.counter.units["evaluations"] == pytest.approx(2 * 2000)


@pytest.mark.statistical
def test_stochastic_hmc_with_whole_batches_is_near_its_target():
    """Small step and friction: the mean of the normalised squares is that of the target within 10 %."""
    task, ctx = LinearRegression(features=2, evaluations=400), Case()
    chains = Chains(task.target(), Sghmc(h=0.01, friction=0.1, batch=ROWS), ctx, evaluations=400, start="stationary")
    found = chains(noise(4), 200)[:, 3:].mean(0) / chains.target.truth[3:]
    torch.testing.assert_close(found, torch.ones(3, dtype=torch.float64), rtol=0, atol=0.1)


def test_bad_input_is_named():
    """What, got, do."""
    with pytest.raises(ValueError, match="features must be at most 30, got 31"):
        LinearRegression(features=31)
