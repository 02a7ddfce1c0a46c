"""Losses of the criteria against formulas written out, their stacks, and what they refuse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kexue_bench.lab.noise import Noise
from kexue_energy import (
    Cd,
    Denoising,
    Energy,
    Jem,
    LogsumexpContrast,
    Mle,
    Mlp,
    Nce,
    Pcd,
    Quadratic,
    RecoveryLikelihood,
    Replay,
    ScoreMatching,
    ShortRunTraining,
    Sliced,
    SlicedVr,
    SoftplusContrast,
)

EVERY = (
    Mle(points=21),
    ScoreMatching(),
    Sliced(),
    SlicedVr(projection="rademacher"),
    Denoising(),
    Nce(ratio=2.0),
    Cd(k=2),
    Pcd(k=2),
    Replay(k=2),
    ShortRunTraining(k=2),
    RecoveryLikelihood(k=2),
    SoftplusContrast(k=2),
    LogsumexpContrast(k=2),
    Jem(k=2),
)


def _noise(seed=0):
    return Noise.seeded(seed, dtype=torch.float64)


def _quadratic(*theta, dim=1):
    return Quadratic(torch.tensor(theta, dtype=torch.float64).squeeze(), dim=dim)


@pytest.mark.parametrize("criterion", EVERY, ids=repr)
def test_a_stack_is_its_members(criterion):
    """Two energies with the noise of two streams have the losses of each alone, chains and log Z included."""
    weights = Mlp.drawn(_noise(), dim=2, width=5, stack=(2,)).weights
    keys = [_noise(seed)._keys[0] for seed in (3, 4)]
    data = _noise(1).normal(2, 16, 2)
    together = Noise(keys, dtype=torch.float64, device=torch.device("cpu"), axis=0)
    stacked = Mlp([w.detach() for w in weights])
    loss, _ = criterion.loss(stacked, data, criterion.init(data, together.at(0)), together.at(1))
    assert loss.shape == (2,)
    for r in range(2):
        alone, noise = Mlp([w.detach()[r] for w in weights]), _noise(3 + r)
        single, _ = criterion.loss(alone, data[r], criterion.init(data[r], noise.at(0)), noise.at(1))
        assert single == pytest.approx(float(loss[r]), rel=1e-9)


def test_maximum_likelihood_has_the_log_z_of_the_gaussian():
    """The mean of E plus log Z is theta mean x^2 / 2 + d log(2 pi / theta) / 2."""
    data = _noise().normal(50, 2)
    loss, _ = Mle().loss(_quadratic(1.7, dim=2), data, None, _noise())
    exact = 1.7 * data.square().sum(-1).mean() / 2 + math.log(2 * math.pi / 1.7)
    assert float(loss) == pytest.approx(float(exact), rel=1e-9)


def test_score_matching_on_the_quadratic():
    """theta^2 mean |x|^2 / 2 - d theta."""
    data = _noise().normal(50, 3)
    loss, _ = ScoreMatching().loss(_quadratic(1.7, dim=3), data, None, _noise())
    assert float(loss) == pytest.approx(float(1.7**2 * data.square().sum(-1).mean() / 2 - 3 * 1.7), rel=1e-12)


def test_sliced_losses_have_the_mean_of_score_matching():
    """Over 40,000 directions at one datum, in 4.5 standard errors: false alarm 1e-5 each."""
    data = _noise().normal(1, 3).expand(40_000, 3)
    energy = Mlp.drawn(_noise(2), dim=3, width=6)
    exact = float(ScoreMatching().loss(energy, data[:1], None, _noise())[0])
    for criterion in (Sliced(), Sliced(projection="rademacher"), SlicedVr()):
        parts = [
            float(criterion.loss(energy, part, None, _noise(9).at(i))[0]) for i, part in enumerate(data.split(500))
        ]
        values = torch.tensor(parts)
        assert float(values.mean()) == pytest.approx(exact, abs=4.5 * float(values.std()) / math.sqrt(len(values)))


def test_denoising_on_the_quadratic():
    """The residual sigma theta (x + sigma e) - e, with e from the same stream."""
    data, e = _noise().normal(50, 2), _noise(7).normal(50, 2)
    loss, _ = Denoising(sigma=0.4).loss(_quadratic(1.7, dim=2), data, None, _noise(7))
    exact = (0.4 * 1.7 * (data + 0.4 * e) - e).square().sum(-1).mean() / 2
    assert float(loss) == pytest.approx(float(exact), rel=1e-12)


def test_the_log_z_of_noise_contrastive_estimation_minimizes_its_loss():
    """The best of a fine grid of constants added to the energy is none, since all of them give one loss."""
    data, energy = _noise().normal(80, 2), Mlp.drawn(_noise(2), dim=2, width=6)
    criterion = Nce(ratio=3.0)
    state = criterion.init(data, _noise(1))
    plain, _ = criterion.loss(energy, data, state, _noise(5))
    energy.biases[-1].data += 40.0
    shifted, _ = criterion.loss(energy, data, state, _noise(5))
    assert float(shifted) == pytest.approx(float(plain), rel=1e-9)
    y = state.mean + _noise(5).normal(240, 2) @ state.factor.mT
    normal = torch.distributions.MultivariateNormal(state.mean[0], scale_tril=state.factor)
    at_data = -energy(data) - normal.log_prob(data) - math.log(3)
    at_noise = -energy(y) - normal.log_prob(y) - math.log(3)
    constants = torch.linspace(-60, 0, 1501, dtype=torch.float64).unsqueeze(-1)
    soft = nn.functional.softplus
    values = soft(constants - at_data).mean(-1) + 3 * soft(at_noise - constants).mean(-1)
    assert float(plain) == pytest.approx(float(values.min()), rel=1e-3)
    assert float(plain) <= float(values.min()) + 1e-12


@pytest.mark.parametrize("criterion", [Cd(k=3, h=0.2), ShortRunTraining(k=3, h=0.2), Pcd(k=3, h=0.2)], ids=repr)
def test_chains_move_as_langevin_says_and_carry_no_graph(criterion):
    """Three steps of (1 - h theta) y + sqrt(2h) xi; the gradient of the loss is mean x^2 / 2 - mean y^2 / 2."""
    data, noise, energy = _noise().normal(30, 1), _noise(4), _quadratic(1.5)
    state = criterion.init(data, _noise(8))
    y, stream = {Cd: data, ShortRunTraining: None, Pcd: state}[type(criterion)], _noise(4)
    y = 2.0 * stream.normal(30, 1) if y is None else y
    for _ in range(3):
        y = (1 - 0.2 * 1.5) * y + math.sqrt(0.4) * stream.normal(30, 1)
    with torch.enable_grad():
        loss, after = criterion.loss(energy, data, state, noise)
        (slope,) = torch.autograd.grad(loss, energy.theta)
    assert float(slope) == pytest.approx(float((data.square() - y.square()).mean() / 2), rel=1e-9)
    if isinstance(criterion, Pcd):
        assert not after.requires_grad
        assert torch.allclose(after, y)


def test_a_share_of_the_buffer_starts_anew():
    """Without steps of any size, chains that did not restart stand where they were: 5 % +- 4.5 standard errors."""
    data = _noise().normal(20_000, 1)
    criterion = Replay(k=1, h=1e-12)
    _, after = criterion.loss(_quadratic(1.0), data, torch.full_like(data, 9.0), _noise(3))
    share = float(((after - 9).abs() > 1e-3).double().mean())
    assert share == pytest.approx(0.05, abs=4.5 * math.sqrt(0.05 * 0.95 / 20_000))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cd(k=0), "k must be >= 1, got 0"),
        (lambda: Pcd(h=0.0), "h must be > 0"),
        (lambda: Cd(sampler="nuts"), "sampler must be one of"),
        (lambda: Nce(ratio=0.0), "ratio must be > 0"),
        (lambda: Denoising(sigma=-1.0), "sigma must be > 0"),
        (lambda: Replay(fresh=1.5), r"fresh must lie in \[0, 1\]"),
        (lambda: Replay(l2=-1.0), "l2 must be >= 0"),
        (lambda: Jem(jitter=-1.0), "jitter must be >= 0"),
        (lambda: Sliced(projection="sphere"), "projection must be one of"),
        (lambda: Mle(points=1), "points must be >= 2"),
        (lambda: Mle().loss(_quadratic(1.0, dim=3), torch.zeros(4, 3), None, _noise()), "needs d <= 2"),
        (lambda: Cd().loss(_quadratic(1.0), torch.zeros(4), None, _noise()), "data must be"),
        (lambda: Pcd().loss(_quadratic(1.0), torch.zeros(4, 1), torch.zeros(5, 1), _noise()), "one chain for each"),
        (lambda: Mlp([torch.zeros(2, 2)] * 3, normalised="layer"), "normalised must be one of"),
    ],
)
def test_what_is_refused(make, message):
    """Every setting out of range is named."""
    with pytest.raises(ValueError, match=message):
        make()


class _Wrong(Energy):
    def __init__(self, *layers):
        super().__init__(2)
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        return self.net(x)


def test_an_energy_of_the_wrong_shape_is_named():
    """`[B, 1]` would broadcast against `[B]`."""
    with pytest.raises(ValueError, match=r"must return \[4\], one number for each row, got \[4, 1\]"):
        ScoreMatching().loss(_Wrong(nn.Linear(2, 1)), torch.zeros(4, 2), None, _noise())


def test_batch_normalisation_is_refused_by_name():
    """It couples the chains of a batch."""
    energy = _Wrong(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1), nn.Flatten(0))
    with pytest.raises(ValueError, match="got a BatchNorm1d, which couples chains"):
        Cd().loss(energy, torch.zeros(4, 2), None, _noise())


def test_spectral_normalisation_bounds_the_slope():
    """Three weights of norm 1 and two swishes of slope at most 1.1."""
    energy = Mlp.drawn(_noise(), dim=2, width=8, normalised="spectral")
    x = (3 * _noise(1).normal(200, 2)).requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(energy(x).sum(), x)
    assert float(slope.norm(dim=-1).max()) <= 1.1**2
