"""Two-dimensional densities: their entropies, exact divergences of the metrics, and a short training."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.errors import InvalidResult
from kexue_bench.lab.noise import Noise
from kexue_energy import Mlp, Pcd, ScoreMatching
from kexue_energy.energy import densities
from kexue_energy.energy.tasks.density import Density2d, Quadrature, square, tabulated
from kexue_energy.energy.tasks.training import Falling, energy_distance

ENTROPY = {"eight-gaussians": 2.83188041, "two-moons": 2.3938787, "checkerboard": math.log(32), "rings": 3.26813571}


def _grid():
    return square(torch.zeros((), dtype=torch.float64))


@pytest.mark.parametrize("name", densities.NAMES)
def test_the_entropy_of_a_density(name):
    """Against values from other quadratures: by the grid where the density is smooth, and by its own points."""
    points = densities.draw(name, Noise.seeded(0, dtype=torch.float64), 20_000)
    levels = densities.log_density(name, points)
    assert float(-levels.mean()) == pytest.approx(
        ENTROPY[name], abs=4.5 * float(levels.std()) / math.sqrt(20_000) + 1e-12
    )
    p = densities.log_density(name, _grid())
    if name != "checkerboard":
        integral = -torch.where(p > -1e300, p.exp() * p, 0).sum() * 0.03**2
        assert float(integral) == pytest.approx(ENTROPY[name], abs=1e-6)


@pytest.mark.parametrize(("sigma", "kl"), [(0.3, 0.12113), (0.15, 0.01279), (0.5, 0.41144)])
def test_the_divergence_of_a_smoothed_density(sigma, kl):
    """What denoising with sigma learns at best on eight Gaussians, in closed form of the energy."""
    centres = 4 / 1.414 * torch.tensor([[math.cos(a * math.pi / 4), math.sin(a * math.pi / 4)] for a in range(8)])
    gaps = torch.cdist(_grid(), centres.double()).square()
    energy = -torch.logsumexp(-gaps / (2 * ((0.5 / 1.414) ** 2 + sigma**2)), 1).reshape(1, 401, 401)
    found, error = Quadrature.of(energy).divergence(densities.log_density("eight-gaussians", _grid()))
    assert float(found) == pytest.approx(kl, abs=6e-6)
    assert float(error) < 1e-5


@pytest.mark.parametrize("name", densities.NAMES)
def test_the_true_energy_has_no_divergence_at_any_level(name):
    """E = -log p + 7, and temperature t gives slope 1 / t; the checkerboard has no slope."""
    log_p = densities.log_density(name, _grid())
    energy = (7 - log_p.clamp_min(-300)).reshape(1, 401, 401)
    found, _ = Quadrature.of(energy).divergence(log_p)
    # The grid has points on the jumps of the checkerboard.
    assert float(found) == pytest.approx(0.0, abs=3e-3 if name == "checkerboard" else 1e-9)
    slope = Quadrature.of(energy / 3).temperature(log_p)
    assert slope == ({} if name == "checkerboard" else {"temperature": pytest.approx(1 / 3, rel=1e-9)})


def test_the_mass_of_the_boundary():
    """A flat energy has the share of its boundary points."""
    flat = Quadrature.of(torch.zeros(1, 401, 401, dtype=torch.float64))
    assert float(flat.edge_mass) == pytest.approx(1 - (399 / 401) ** 2)


def test_energy_distance_against_its_closed_form():
    """Normals at distance 3 in one dimension, and its mean over equal laws is 0: 4.5 standard errors over 200 draws."""
    noise = Noise.seeded(1, dtype=torch.float64)
    x, y = noise.normal(200, 40, 1), noise.normal(200, 60, 1)
    values = energy_distance(x, y)
    assert float(values.mean()) == pytest.approx(0, abs=4.5 * float(values.std()) / math.sqrt(200))
    apart = energy_distance(x + 3, y)
    # E|z| of N(m, 2) is 2 phi(m / sqrt 2) sqrt 2 + m (2 Phi(m / sqrt 2) - 1).
    m = 3 / math.sqrt(2)
    crossed = math.sqrt(2) * (2 * math.exp(-(m**2) / 2) / math.sqrt(2 * math.pi) + m * math.erf(m / math.sqrt(2)))
    exact = 2 * crossed - 4 / math.sqrt(math.pi)
    assert float(apart.mean()) == pytest.approx(exact, abs=4.5 * float(apart.std()) / math.sqrt(200))


def test_the_rate_falls_after_half_of_the_steps():
    """Constant, then linear to 0."""
    falling = Falling(0.1, 10)
    optimizer = falling.make([torch.nn.Parameter(torch.zeros(1))])
    rates = []
    for step in range(1, 11):
        falling.after_(step)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1] * 5 + [0.08, 0.06, 0.04, 0.02, 0.0])


@pytest.mark.parametrize("criterion", [ScoreMatching(), Pcd(k=10, h=0.02)], ids=repr)
def test_training_lowers_the_divergence(criterion, context):
    """Two replicates, 100 steps; criteria without a chain have no gap of a sampler."""
    task = Density2d(steps=100, width=16)
    ctx = context("density-2d", dtype="float32", replicates=(0, 1))
    training = task.build(criterion, ctx)
    trained = ctx.train(training, steps=100, measure=task.measure(training, ctx), marks=(0,))
    first, last = (point[1] for point in (trained.curve[0], trained.curve[-1]))
    assert bool((last["kl"] < first["kl"]).all())
    assert set(last) == {"kl", "temperature", "edge-mass"} | ({"sampler-gap"} if isinstance(criterion, Pcd) else set())
    assert ctx.counter.units["evaluations"] > 100 * 2 * 256


def test_a_wrong_log_z_makes_the_case_invalid(context, monkeypatch):
    """A divergence clearly below 0 is no result."""
    task, ctx = Density2d(steps=1, width=4), context("density-2d", dtype="float32", replicates=(0,))
    training = task.build(ScoreMatching(), ctx)
    measure = task.measure(training, ctx)
    monkeypatch.setattr(Quadrature, "divergence", lambda self, log_p: (torch.tensor([-0.1]), torch.tensor([0.01])))
    with pytest.raises(InvalidResult, match="log Z is wrong"):
        measure()


def test_the_table_of_a_network_is_the_network(context):
    """Points of the grid in order, in float64."""
    energy, grid = Mlp.drawn(Noise.seeded(0), dim=2, width=4, stack=(2,)), square(torch.zeros(()))
    table = tabulated(energy, grid)
    assert table.dtype == torch.float64
    place = torch.tensor([[-6.0 + 0.03 * 7, -6.0 + 0.03 * 11]])
    assert torch.allclose(table[:, 7, 11], energy(place.expand(2, 1, 2)).squeeze(1).double(), atol=1e-5)


@pytest.mark.parametrize("settings", [{"data": "spirals"}, {"steps": 0}, {"lr": 0.0}, {"normalised": "batch"}])
def test_settings_out_of_range_are_named(settings):
    """The field is in the message."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        Density2d(**settings)
