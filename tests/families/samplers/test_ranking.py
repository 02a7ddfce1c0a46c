"""What decides, on answers that are wrong by design: they come last."""

from __future__ import annotations

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_energy import Barker, ExactDraws, Hmc, Mala, ParallelTempering, RandomWalk, StepInfo, Ula, Underdamped
from kexue_energy.samplers.chains import Chains
from kexue_energy.samplers.tasks.gaussian import Gaussian
from kexue_energy.samplers.tasks.walled import DoubleWell

HONEST = (ExactDraws(), RandomWalk(), Ula(), Mala(), Barker(), Hmc(), Underdamped(), ParallelTempering())


class Stuck:
    """A chain that never moves from a bad start, at which every functional is far away."""

    def init(self, x, potential, noise):
        return torch.full_like(x, 12.0)

    def step(self, state, potential, noise):
        potential.gradient(state)
        return state, StepInfo()

    def position(self, state):
        return state


class Zero(Stuck):
    """A chain that answers with the middle of the target: 0 for every functional about the mean."""

    def __init__(self, centre):
        self._centre = centre

    def init(self, x, potential, noise):
        return self._centre.expand_as(x).clone()


def error(sampler, target, context, chains):
    """Mean square error of the mean of so many chains of 100 evaluations."""
    run = Chains(target, sampler, context(), evaluations=100, start="stationary")
    draws = run(Noise.seeded(0, dtype=torch.float64), 400)
    return float((draws.mean(0) - target.truth).square().sum() + draws.var(0).sum() / chains)


@pytest.mark.parametrize("task", [Gaussian(), Gaussian(dim=5, kappa=30.0), DoubleWell()], ids=repr)
def test_zero_and_stuck_are_last_for_sixteen_chains(task, context):
    """Although the mean of the first and the variance of both are perfect."""
    target = task.target()
    honest = [error(sampler, target, context, 16) for sampler in HONEST]
    wrong = [error(sampler, target, context, 16) for sampler in (Zero(target.centre / target.unit), Stuck())]
    assert max(honest) < min(wrong)
    assert honest[0] == min(honest)


def test_a_single_chain_would_flatter_zero(context):
    """Condition number 1e4 and one chain: an answer of 0 beats ULA (0.25 against 0.53); with 16 it is the other way."""
    target = Gaussian(dim=2, kappa=1e4).target()
    zero = Zero(target.centre)
    assert error(zero, target, context, 1) == pytest.approx(0.25, abs=1e-9) == error(zero, target, context, 16)
    assert error(Ula(h=0.5), target, context, 1) == pytest.approx(0.53, rel=0.25)
    assert error(Ula(h=0.5), target, context, 16) == pytest.approx(0.046, rel=0.35)


def test_the_best_mean_of_the_table_has_the_worst_square(context):
    """ULA at 1.5: worst-mse is that of x^2, 9.53 over a variance of 2; HMC at a resonance has a mean and no square."""
    rows = {}
    for name, sampler in (("ula", Ula(h=1.5)), ("hmc", Hmc(eps=1.0, leaps=3))):
        run = Chains(Gaussian().target(), sampler, context(), evaluations=100, start="stationary")
        # In units in which the mse is the mean over both functionals.
        rows[name] = 2 * (run(Noise.seeded(1, dtype=torch.float64), 1000) - run.target.truth).square().mean(0)
    assert float(rows["ula"][1]) == pytest.approx(4.77, rel=0.05)
    assert float(rows["ula"][0]) < 0.02
    # Thirty-three positions alternate between x and -x.
    assert float(rows["hmc"][0]) < 0.002
    assert float(rows["hmc"][1]) == pytest.approx(1, rel=0.2)
