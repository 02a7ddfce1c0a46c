"""Chains on a Gaussian against the exact law of linear samplers."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_bench.lab.training import Diverged
from kexue_energy import FunctionPotential, Linear, Ula
from kexue_energy.samplers import laws
from kexue_energy.samplers.chains import Chains
from kexue_energy.samplers.tasks.gaussian import Gaussian

ONE = torch.ones(1, 1, dtype=torch.float64)


class Case:
    """What `Chains` needs of a context."""

    def __init__(self):
        from kexue_bench.lab.counter import Counter

        self.counter = Counter()


@pytest.mark.parametrize(
    ("h", "first", "second", "error"),
    [
        (0.1, 0.1810531, 0.2011648, 0.2039349),
        (0.5, 0.0394667, 0.0589432, 0.1700543),
        (1.5, 0.0135111, 0.5304889, 9.530489),
    ],
)
def test_the_averages_of_ula_have_their_closed_form(h, first, second, error):
    """N(0, 1), 100 positions: printed values; the law is 1 / (1 - h / 2)."""
    found = laws.averages(Ula(h=h).linear(ONE), ONE, 100)
    assert float(found.law) == pytest.approx(1 / (1 - h / 2), abs=1e-12)
    assert float(found.first) == pytest.approx(first, abs=5e-8)
    assert float(found.second) == pytest.approx(second, abs=5e-8)
    assert float(found.second + (found.law - 1) ** 2) == pytest.approx(error, rel=1e-6)


def test_a_chain_that_diverges_has_no_law():
    """A step of 2 is the limit of stability on N(0, 1)."""
    assert not laws.stable(Ula(h=2.0).linear(ONE))
    with pytest.raises(ValueError, match="no stationary law"):
        laws.covariance(Ula(h=2.5).linear(ONE))


def test_the_covariance_of_ula_in_two_dimensions():
    """S (I - h / 2 S^-1)^-1, printed for h = 0.1."""
    sigma = torch.tensor([[2.0, 1.2], [1.2, 1.0]], dtype=torch.float64)
    found = laws.covariance(Ula(h=0.1).linear(torch.linalg.inv(sigma)))
    expected = torch.tensor([[2.05575757576, 1.19272727273], [1.19272727273, 1.06181818182]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dim", [1, 5])
def test_the_target_is_the_gaussian_that_it_says(dim):
    """Gradient by automatic differentiation, mean and covariance by the precision, functionals by the eigenvectors."""
    task = Gaussian(dim=dim, kappa=1.0 if dim == 1 else 30.0)
    target = task.target()
    x = Noise.seeded(0, dtype=torch.float64).normal(7, dim)
    slope = FunctionPotential(target.energy, dim).gradient(x)
    torch.testing.assert_close(target.gradient(x), slope)
    values = torch.linalg.eigvalsh(torch.linalg.inv(target.precision))
    torch.testing.assert_close(values, task.variances(), rtol=1e-9, atol=0)
    draws = target.draw(Noise.seeded(1, dtype=torch.float64), 100_000)
    # 4.5 standard errors of 4 means: a false alarm in 1e4.
    gap = (target.normalised(draws).mean(0) - target.truth) * math.sqrt(len(target.names) * len(draws))
    assert float(gap.abs().max()) < 4.5
    assert float(target.normalised(draws).var(0).sum()) == pytest.approx(1, abs=0.03)


@pytest.mark.statistical
def test_chains_have_the_exact_variance_and_bill_what_they_spend():
    """ULA on five dimensions: mean and trace of the covariance of 4,096 chains, each within 4.5 standard errors."""
    ctx, task = Case(), Gaussian(dim=5, kappa=10.0, evaluations=40)
    chains = Chains(task.target(), Ula(h=0.5), ctx, evaluations=40, start="stationary")
    draws = chains(Noise.seeded(2, dtype=torch.float64), 4096)
    assert ctx.counter.units == {"evaluations": 40 * 4096, "backwards": 40 * 4096}
    spread = (draws - draws.mean(0)).square().sum(1)
    error = float(spread.std()) / math.sqrt(len(draws))
    assert abs(float(spread.mean()) - chains.exact_variance()) < 4.5 * error
    law = torch.stack([laws.averages(chains.linear(), task.axes()[:, [-1, 0]], 40).law], 0).reshape(-1)
    bias = torch.cat([torch.zeros(2), law / task.variances()[[-1, 0]] - 1]) / math.sqrt(8)
    gap = (draws.mean(0) - chains.target.truth - bias) / draws.std(0) * math.sqrt(len(draws))
    assert float(gap.abs().max()) < 4.5


def test_a_wide_start_drops_its_first_half():
    """A sampler that stands still: the average is the start, whose variance is 25."""

    class Still:
        def init(self, x, potential, noise):
            return x

        def step(self, state, potential, noise):
            potential.gradient(state)
            from kexue_energy import StepInfo

            return state, StepInfo()

        def position(self, state):
            return state

    chains = Chains(Gaussian().target(), Still(), Case(), evaluations=3, start="wide")
    found = chains(Noise.seeded(0, dtype=torch.float64), 20_000)[:, 1].mean() * 2
    assert float(found) == pytest.approx(25, rel=0.05)


@pytest.mark.parametrize(("h", "start"), [(2.0, "stationary"), (2.1, "wide")])
def test_a_chain_without_a_law_has_diverged(h, start):
    """A result and not a crash: by the spectral radius, or by the size of the averages."""
    chains = Chains(Gaussian().target(), Ula(h=h), Case(), evaluations=100, start=start)
    with pytest.raises(Diverged):
        chains(Noise.seeded(0, dtype=torch.float64), 8)


def test_bad_input_is_named():
    """What, got, do."""
    with pytest.raises(ValueError, match=r"h must be finite and > 0, got 0\.0"):
        Ula(h=0.0)
    with pytest.raises(ValueError, match="kappa must be 1 in one dimension"):
        Gaussian(kappa=10.0)
    with pytest.raises(ValueError, match=r"one number a row, \[2\], got \[2, 1\]"):
        FunctionPotential(lambda x: x[:, :1], 1).value(torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"points must be \[\*C, 3\], got \[2, 1\]"):
        FunctionPotential(lambda x: x[:, 0], 3).value(torch.zeros(2, 1))
    law = Linear(A=2 * ONE, B=ONE, Q=ONE)
    assert not laws.stable(law)
