"""Claims of samplers: honest ones pass, and each mutant fails the claim that is about its mistake."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch

from kexue_bench.catalog.core_claims import decide
from kexue_bench.lab.claims import independent_rows
from kexue_energy import Barker, Hmc, Mala, ParallelTempering, Preconditioned, RandomWalk, StepInfo, Ula, Underdamped
from kexue_energy.samplers import claims
from kexue_energy.samplers.chains import Chains
from kexue_energy.samplers.metropolis import Point, accept, choose
from kexue_energy.samplers.tasks.gaussian import Gaussian


@pytest.fixture
def said(context):
    """The verdict on a sampler by one claim."""

    def check(claim, sampler, *, dim=3):
        ctx = context()
        target = Gaussian(dim=dim, kappa=1.0 if dim == 1 else 4.0).target()
        problem = Chains(target, sampler, context(), evaluations=50, start="stationary").sampling()
        return decide(claim(problem, sampler, ctx))

    return check


@dataclass(frozen=True, kw_only=True)
class NoProposalRatio(Mala):
    """MALA accepted by the densities alone."""

    def step(self, state, potential, noise):
        y = state.x - self.h * state.slope + math.sqrt(2 * self.h) * noise.normal(*state.x.shape)
        value, slope = potential.both(y)
        take, probability = accept(state.value - value, noise)
        return choose(take, (y, value, slope), state), StepInfo(accept=probability)


@dataclass(frozen=True, kw_only=True)
class Always(Mala):
    """Langevin steps that are never rejected."""

    def step(self, state, potential, noise):
        y = state.x - self.h * state.slope + math.sqrt(2 * self.h) * noise.normal(*state.x.shape)
        return Point(y, *potential.both(y)), StepInfo(accept=torch.ones_like(state.value))


@dataclass(frozen=True, kw_only=True)
class Drifting(RandomWalk):
    """A random walk with a drift, accepted by the density ratio alone."""

    def step(self, state, potential, noise):
        y = state.x + 0.5 + self.sd * noise.normal(*state.x.shape)
        value = potential.value(y)
        take, probability = accept(state.value - value, noise)
        return choose(take, (y, value), state), StepInfo(accept=probability)


@dataclass(frozen=True, kw_only=True)
class HalfNoise(Ula):
    """Noise sqrt(h) in place of sqrt(2 h)."""

    def step(self, state, potential, noise):
        moved = state - self.h * potential.gradient(state)
        return moved + math.sqrt(self.h) * noise.normal(*state.shape), StepInfo()


@dataclass(frozen=True, kw_only=True)
class Composed(Underdamped):
    """BAOAB that composes OBABO."""

    def step(self, state, potential, noise):
        other = Underdamped(scheme="obabo", h=self.h, friction=self.friction)
        return other.step(state, potential, noise)


@dataclass(frozen=True, kw_only=True)
class MeanGradient(Ula):
    """A gradient of the mean over chains: every step is h / C."""

    def step(self, state, potential, noise):
        moved = state - self.h * potential.gradient(state) / len(state)
        return moved + math.sqrt(2 * self.h) * noise.normal(*state.shape), StepInfo()


class Shared:
    """A stream with one uniform number for all chains."""

    def __init__(self, noise):
        self._noise = noise

    def uniform(self, *shape):
        return self._noise.uniform(1).expand(shape)

    def __getattr__(self, name):
        return getattr(self._noise, name)


@dataclass(frozen=True, kw_only=True)
class OneUniform(Mala):
    """All chains accept by the same number."""

    def step(self, state, potential, noise):
        return super().step(state, potential, Shared(noise))


@pytest.mark.parametrize(
    ("claim", "sampler"),
    [
        (claims.keeps_target, Mala(h=0.5)),
        (claims.keeps_target, Hmc(persistence=0.8, leaps=1)),
        (claims.keeps_target, ParallelTempering()),
        (claims.reversible, Mala(h=0.5)),
        (claims.reversible, Barker()),
        (claims.reversible, RandomWalk()),
        (claims.stationary_law, Ula(h=0.5)),
        (claims.stationary_law, Underdamped()),
        (claims.exact_variance, Ula(h=0.5)),
        (claims.acceptance, RandomWalk()),
        (claims.acceptance, Hmc()),
        (claims.affine_equivariant, Preconditioned()),
        (claims.affine_equivariant, Preconditioned(kernel="ula", form="diagonal")),
        (claims.independent_chains, Mala(h=0.5)),
        (claims.independent_chains, Ula()),
    ],
    ids=str,
)
def test_an_honest_sampler_passes(said, claim, sampler):
    """Not only undecided: a violation that matters would have been seen."""
    assert said(claim, sampler) == "PASS"


@pytest.mark.parametrize(
    ("claim", "sampler"),
    [
        (claims.keeps_target, NoProposalRatio(h=0.5)),
        (claims.keeps_target, Always(h=0.5)),
        (claims.keeps_target, Drifting()),
        (claims.reversible, Drifting()),
        (claims.reversible, NoProposalRatio(h=0.5)),
        (claims.stationary_law, HalfNoise(h=0.5)),
        (claims.stationary_law, Composed(h=1.0)),
        (claims.stationary_law, MeanGradient()),
        (claims.exact_variance, HalfNoise(h=0.5)),
        (claims.exact_variance, MeanGradient()),
        (claims.acceptance, NoProposalRatio(h=0.5)),
        (claims.independent_chains, OneUniform(h=0.5)),
    ],
    ids=str,
)
def test_a_mutant_fails(said, claim, sampler):
    """The claim that is about its mistake."""
    assert said(claim, sampler) == "FAIL"


def test_a_preconditioner_that_is_ignored_fails(said, monkeypatch):
    """A run that does not follow the change of coordinates."""
    monkeypatch.setattr(Preconditioned, "_root", lambda self, covariance: torch.eye(len(covariance)).to(covariance))
    assert said(claims.affine_equivariant, Preconditioned(h=0.1)) == "FAIL"


@pytest.mark.parametrize(("h", "caught"), [(1.0, True), (0.05, False)])
def test_what_the_core_sees_of_one_uniform_for_all(context, h, caught):
    """The core's `independent-rows` looks at averages: at high acceptance a shared uniform hides there, not here."""
    sampler, ctx = OneUniform(h=h), context()
    target = Gaussian().target()
    problem = Chains(target, sampler, context(), evaluations=20, start="stationary").sampling()
    assert (decide(independent_rows(problem, sampler, ctx)) == "FAIL") == caught
    assert decide(claims.independent_chains(problem, sampler, context(claim="other"))) == "FAIL"


def test_undecided_where_nothing_is_known(said):
    """A sampler that states no law, or reports no acceptance, cannot be checked."""
    assert said(claims.stationary_law, Preconditioned()) == "UNDECIDED"
    assert said(claims.acceptance, Ula()) == "UNDECIDED"


def test_a_proposal_without_a_density_is_rejected():
    """Nan is a probability of 0."""
    take, probability = accept(torch.tensor([math.nan, 0.0]), Half())
    assert take.tolist() == [False, True]
    assert probability.tolist() == [0.0, 1.0]


class Half:
    """Uniform numbers of a half."""

    def uniform(self, *shape):
        return torch.full(shape, 0.5)
