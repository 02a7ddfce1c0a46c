"""Every sampler against a law that it must have: by reversibility, by closed forms, by quadrature."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.cost import measure
from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_energy import (
    AdjustedMclmc,
    Barker,
    Decoupled,
    ExactDraws,
    FunctionPotential,
    Hmc,
    Mala,
    Mclmc,
    ParallelTempering,
    Preconditioned,
    RandomWalk,
    ShortRun,
    Ula,
    UnadjustedHmc,
    Underdamped,
    Warmup,
)
from kexue_energy.samplers import laws
from kexue_energy.samplers.tasks.gaussian import Gaussian

CHAINS = 20_000
ADJUSTED = (
    RandomWalk(sd=0.7),
    Mala(h=0.8),
    Barker(h=0.6),
    Hmc(eps=1.1, leaps=2),
    Hmc(eps=1.1, leaps=2, jitter=0.3),
    Hmc(eps=1.1, leaps=1, persistence=0.7),
    AdjustedMclmc(eps=1.0, leaps=2),
    Preconditioned(h=0.8),
    Preconditioned(h=0.8, form="diagonal"),
)


def round_potential(dim, counter=None, dtype=torch.float64):
    """N(0, I), with its closed gradient."""
    return FunctionPotential(
        lambda x: x.square().sum(1) / 2,
        dim,
        gradient=lambda x: x,
        counter=counter,
        covariance=torch.eye(dim, dtype=dtype),
    )


def noise(seed=0, dtype=torch.float64):
    """A stream."""
    return Noise.seeded(seed, dtype=dtype)


@pytest.mark.statistical
@pytest.mark.parametrize("sampler", ADJUSTED, ids=repr)
def test_adjusted_samplers_keep_their_target(sampler):
    """From exact draws of a skewed Gaussian, three steps: first and second moments within 5 standard errors."""
    task = Gaussian(dim=3, kappa=4.0)
    target = task.target()
    potential, stream = target.potential(), noise(1)
    state = sampler.init(potential.draw(stream, CHAINS), potential, stream)
    for _ in range(3):
        state, info = sampler.step(state, potential, stream)
    # A sampler that never rejects would show nothing.
    assert 0.2 < float(info.accept.mean()) < 0.97
    found = target.normalised(sampler.position(state) * target.unit)
    gap = (found.mean(0) - target.truth) / found.std(0) * math.sqrt(CHAINS)
    assert float(gap.abs().max()) < 5


@pytest.mark.statistical
def test_tempering_keeps_every_rung():
    """Rungs at N(m, T S): second moments of all rungs over T after three steps, and the closed form of exchanges."""
    target = Gaussian(dim=3).target()
    sampler, stream, potential = ParallelTempering(h=0.5, ratio=2.0, rungs=3), noise(2), target.potential()
    ladder = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    x = target.centre + ladder.sqrt().unsqueeze(1) * noise(3).normal(CHAINS, 3, 3)
    state = sampler.init(x, potential, stream)
    for _ in range(3):
        state, _ = sampler.step(state, potential, stream)
    second = (state.x - target.centre).square().mean(2) / ladder
    gap = (second.mean(0) - 1) / second.std(0) * math.sqrt(CHAINS)
    assert float(gap.abs().max()) < 5
    # Frozen rungs: what differs after a step has been exchanged.
    still = ParallelTempering(h=1e-12, ratio=2.0, rungs=2)
    start = still.init(x[:, :2], potential, stream)
    after, _ = still.step(start, potential, stream)
    share = float(((after.x - start.x).abs().amax((1, 2)) > 1e-3).double().mean())
    expected = laws.swap_acceptance(2.0, 3) / 2
    assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / CHAINS)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("sampler", "dim", "expected"),
    [
        (Mala(h=1.0), 10, laws.mala_acceptance(1.0, 10)),
        (Hmc(eps=1.5, leaps=2), 10, laws.hmc_acceptance(1.5, 2, 10)),
        (RandomWalk(sd=1.0), 5, laws.walk_acceptance(1.0, 5)),
        (ParallelTempering(h=0.5), 2, laws.mala_acceptance(0.5, 2)),
    ],
    ids=repr,
)
def test_acceptance_is_the_closed_form(sampler, dim, expected):
    """20,000 chains from N(0, I), within 5 standard errors."""
    potential, stream = round_potential(dim), noise(4)
    state = sampler.init(stream.normal(CHAINS, dim), potential, stream)
    accept = sampler.step(state, potential, stream)[1].accept
    assert abs(float(accept.mean()) - expected) < 5 * float(accept.std()) / math.sqrt(CHAINS)


class Scripted:
    """A stream whose normal numbers are given."""

    def __init__(self, normal):
        self._normal = normal

    def normal(self, *shape):
        return self._normal.reshape(shape)

    def uniform(self, *shape):
        return torch.full(shape, 0.5, dtype=torch.float64)


@pytest.mark.parametrize(
    ("h", "first", "second"),
    [(0.1, 18.3237, 9.28952), (0.5, 2.79964, 1.75774), (1.0, 1.2998, 1.50668), (2.0, 1.7921, 4.56541)],
)
def test_autocorrelation_times_of_mala(h, first, second):
    """On N(0, 1), of x and x^2, by the kernel of the code itself on 500 midpoints (1e-4 from its limit)."""
    count, end = 500, 7.5
    grid = (torch.arange(count, dtype=torch.float64) + 0.5) / count * 2 * end - end
    x, y = (part.reshape(-1, 1) for part in torch.meshgrid(grid, grid, indexing="ij"))
    xi = (y - (1 - h) * x) / math.sqrt(2 * h)
    potential, sampler = round_potential(1), Mala(h=h)
    state = sampler.init(x, potential, noise())
    accept = sampler.step(state, potential, Scripted(xi))[1].accept
    width = 2 * end / count / math.sqrt(2 * h)
    kernel = (accept * (-xi.square() / 2).exp().squeeze(1) / math.sqrt(2 * math.pi) * width).reshape(count, count)
    kernel += torch.diag(1 - kernel.sum(1))
    weights = (-grid.square() / 2).exp()
    weights /= weights.sum()
    for f, expected in ((grid, first), (grid.square() - 1, second)):
        # tau = 2 <f, (I - P)^-1 f> / <f, f> - 1, off the constants.
        system = torch.eye(count, dtype=torch.float64) - kernel + weights.expand(count, -1)
        solved = torch.linalg.solve(system, f)
        tau = 2 * float((weights * f * solved).sum() / (weights * f * f).sum()) - 1
        assert tau == pytest.approx(expected, rel=1e-4)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "sampler",
    [
        ExactDraws(),
        Ula(h=0.7),
        *(Underdamped(scheme=scheme, h=0.7) for scheme in ("baoab", "obabo", "aboba", "oabao", "euler")),
        UnadjustedHmc(eps=0.9, leaps=3),
        Decoupled(rate=0.4, sd=0.3),
        Preconditioned(kernel="ula", h=0.7),
    ],
    ids=repr,
)
def test_the_run_has_the_law_that_the_sampler_states(sampler):
    """Two steps from N(0, S_0): mean outer product of (x_0, x_2) by A and B, every entry within 5 standard errors."""
    target = Gaussian(dim=2, kappa=3.0).target()
    linear, potential, stream = sampler.linear(target.precision), target.potential(), noise(5)
    start = laws.covariance(linear)
    width = len(start)
    z = stream.normal(CHAINS, width) @ torch.linalg.cholesky(start).mT
    centre = torch.linalg.pinv(linear.Q) @ target.centre
    at = getattr(sampler, "at", lambda z, potential: sampler.init(z, potential, stream))
    state = at(z + centre, potential)
    for _ in range(2):
        state, _ = sampler.step(state, potential, stream)
    moved = sampler.position(state) - target.centre
    both = torch.cat([z, moved], dim=1)
    second = linear.Q @ linear.A @ linear.A
    expected = torch.cat([
        torch.cat([start, start @ second.mT], 1),
        torch.cat([second @ start, linear.Q @ start @ linear.Q.mT], 1),
    ])  # fmt: skip
    products = both.unsqueeze(2) * both.unsqueeze(1)
    gap = (products.mean(0) - expected) / products.std(0) * math.sqrt(CHAINS)
    assert float(gap.abs().max()) < 5


@pytest.mark.statistical
def test_short_runs_have_their_closed_form():
    """N(0, 1), five steps of 0.2 from variance 3: a^(2 K) v + 2 h (1 - a^(2 K)) / (1 - a^2)."""
    sampler, potential, stream = ShortRun(h=0.2, steps=5, variance=3.0), round_potential(1), noise(6)
    x = sampler.step(torch.zeros(CHAINS, 1, dtype=torch.float64), potential, stream)[0]
    rest = 0.8**10
    expected = rest * 3 + 0.4 * (1 - rest) / (1 - 0.64)
    assert abs(float(x.square().mean()) - expected) < 5 * expected * math.sqrt(2 / CHAINS)


@pytest.mark.statistical
def test_microcanonical_dynamics_approach_their_target():
    """In 20 dimensions a small step has a small bias: mean of x^2 within 2 % of 1."""
    potential, stream = round_potential(20), noise(7)
    sampler = Mclmc(eps=0.3, length=3.0)
    state, total = sampler.init(stream.normal(2000, 20), potential, stream), 0.0
    for _ in range(100):
        state, _ = sampler.step(state, potential, stream)
        total += float(sampler.position(state).square().mean()) / 100
    assert total == pytest.approx(1, abs=0.02)
    assert float(torch.linalg.vector_norm(state.u, dim=1).sub(1).abs().max()) < 1e-12


def test_dual_averaging_reaches_its_acceptance():
    """MALA in 10 dimensions from a bad step: the mean acceptance of what it keeps is within 0.06 of the target."""
    sampler, potential, stream = Warmup(target=0.6, adapt=150, h=0.01), round_potential(10), noise(8)
    state = sampler.init(stream.normal(500, 10), potential, stream)
    for _ in range(150):
        state, _ = sampler.step(state, potential, stream)
    accept = sampler.step(state, potential, stream)[1].accept
    assert float(accept.mean()) == pytest.approx(0.6, abs=0.06)
    assert float(state.log_h.std()) > 0


def test_a_resonant_hmc_never_changes_its_length():
    """At eps = 1 and L = 3 on N(0, I) every proposal is -x: acceptance 1, correlation -1, |x| constant."""
    sampler, potential, stream = Hmc(eps=1.0, leaps=3), round_potential(4), noise(9)
    x = stream.normal(50, 4)
    state, info = sampler.step(sampler.init(x, potential, stream), potential, stream)
    torch.testing.assert_close(state.x, -x, rtol=0, atol=1e-14)
    torch.testing.assert_close(info.accept, torch.ones(50, dtype=torch.float64))


@pytest.mark.parametrize("sampler", [Mala(h=0.06), Hmc(eps=0.13, leaps=10)], ids=repr)
def test_acceptance_keeps_its_digits_in_float32(sampler):
    """In 10,000 dimensions against float64: what is left is the rounding of U itself, 5,000 times 1e-7 a sum."""
    x, p = noise(10).normal(64, 10_000), noise(11).normal(64, 10_000)
    probabilities = []
    for dtype in (torch.float64, torch.float32):
        potential = round_potential(10_000, dtype=dtype)
        state = sampler.init(x.to(dtype), potential, Scripted(p.to(dtype)))
        probabilities.append(sampler.step(state, potential, Scripted(p.to(dtype)))[1].accept.double())
    torch.testing.assert_close(*probabilities, rtol=0, atol=5e-3)


@pytest.mark.parametrize(
    ("sampler", "values", "gradients"),
    [
        (RandomWalk(), 1, 0),
        (Ula(), 1, 1),
        (Mala(), 1, 1),
        (Barker(), 1, 1),
        (Underdamped(), 1, 1),
        (Underdamped(scheme="aboba"), 1, 1),
        (Underdamped(scheme="euler"), 1, 1),
        (Hmc(leaps=7), 7, 7),
        (UnadjustedHmc(leaps=4), 4, 4),
        (Mclmc(), 1, 1),
        (AdjustedMclmc(leaps=3), 3, 3),
        (ParallelTempering(rungs=5), 5, 5),
        (ShortRun(steps=6), 6, 6),
        (Warmup(), 1, 1),
        (Preconditioned(), 1, 1),
    ],
    ids=repr,
)
def test_a_step_costs_what_it_says_and_leaves_its_state(sampler, values, gradients):
    """Evaluations and backward passes a chain; a step writes to no tensor of the state that it was given."""
    counter = Counter()
    potential, stream = round_potential(3, counter), noise(12)
    state = sampler.init(stream.normal(11, 3), potential, stream)
    before = dict(counter.units)
    kept = [t.clone() for t in tensors(state)]
    after, info = sampler.step(state, potential, stream)
    spent = {name: count - before.get(name, 0) for name, count in counter.units.items()}
    assert spent == {"evaluations": 11 * values, **({"backwards": 11 * gradients} if gradients else {})}
    assert all(torch.equal(a, b) for a, b in zip(kept, tensors(state), strict=True))
    assert sampler.position(after).shape == (11, 3)
    assert info.accept is None or info.accept.shape == (11,)


@pytest.mark.parametrize("sampler", [Ula(), Mala(), Underdamped(), Hmc(), Barker()], ids=repr)
def test_chains_keep_no_history(sampler):
    """Peak bytes of 1,000 chains in 10 dimensions: at most 8 of their positions for ULA, 14 for others."""
    peaks = []
    for steps in (10, 200):
        potential, stream = round_potential(10), noise(13)
        start = sampler.init(stream.normal(1000, 10), potential, stream)

        def walk(state=start, steps=steps, stream=stream, potential=potential):
            for _ in range(steps):
                state, _ = sampler.step(state, potential, stream)
            return state

        peaks.append(measure(walk, Counter())["memory"])
    assert max(peaks) <= (8 if isinstance(sampler, Ula) else 14) * 1000 * 10 * 8


def tensors(tree):
    """Tensors inside nested tuples."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [found for part in tree if isinstance(part, (tuple, torch.Tensor)) for found in tensors(part)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mala(h=-1.0), r"h must be finite and > 0, got -1\.0"),
        (lambda: RandomWalk(sd=0.0), "sd must be finite and > 0"),
        (lambda: Barker(h=math.nan), "h must be finite and > 0, got nan"),
        (lambda: Hmc(leaps=0), "leaps must be finite and >= 1, got 0"),
        (lambda: Hmc(persistence=1.0), r"persistence must be >= 0 and < 1, got 1\.0"),
        (lambda: UnadjustedHmc(leaps=0), "leaps must be finite and >= 1, got 0"),
        (lambda: Underdamped(friction=-0.1), r"friction must be finite and > 0, got -0\.1"),
        (lambda: Underdamped(scheme="abc"), "scheme must be one of baoab"),
        (lambda: ParallelTempering(ratio=0.5), r"temperatures must increase, got the ratio 0\.5"),
        (lambda: Warmup(target=1.0), "target must be between 0 and 1"),
        (lambda: Decoupled(sd=0.0), "sd must be finite and > 0"),
        (lambda: Mclmc(length=0.0), "length must be finite and > 0"),
        (lambda: Mclmc().init(torch.zeros(2, 1), round_potential(1), noise()), "at least 2 dimensions, got 1"),
        (lambda: preconditioned(None), "a potential with a covariance, got none"),
        (lambda: preconditioned(-torch.eye(2)), "symmetric positive definite"),
    ],
)
def test_bad_input_is_named(make, message):
    """What, got, do."""
    with pytest.raises(ValueError, match=message):
        make()


def preconditioned(covariance):
    """A start with this covariance."""
    potential = FunctionPotential(lambda x: x.square().sum(1), 2, covariance=covariance)
    return Preconditioned().init(torch.zeros(3, 2), potential, noise(dtype=torch.float32))
