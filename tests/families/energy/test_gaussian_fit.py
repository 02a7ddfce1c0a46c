"""Estimates of one number from Gaussian data: the roots themselves, and their bias and variance."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.errors import NotOffered
from kexue_bench.lab.noise import Noise
from kexue_energy import Cd, Denoising, Mle, Nce, Pcd, ScoreMatching, ShortRunTraining, Sliced, SlicedVr
from kexue_energy.energy.estimating import estimates, gradients
from kexue_energy.energy.tasks.gaussian_fit import GaussianFit


def _noise(seed=0):
    return Noise.seeded(seed, dtype=torch.float64)


@pytest.mark.parametrize("criterion", [ScoreMatching(), Mle()])
def test_the_estimate_is_the_maximum_of_the_likelihood(criterion):
    """1 / mean x^2, data set by data set."""
    data = _noise().normal(8, 500, 1)
    assert torch.allclose(estimates(criterion, data, _noise(1)), 1 / data.square().mean((1, 2)), rtol=1e-5)


@pytest.mark.parametrize("criterion", [Cd(), Pcd(k=5), Nce(), ShortRunTraining()], ids=repr)
def test_the_gradient_vanishes_at_the_estimate(criterion):
    """At the same noise, within what a close theta leaves."""
    data = _noise().normal(8, 500, 1)
    theta = estimates(criterion, data, _noise(1))
    left, right = (gradients(criterion, data, theta * (1 + d), _noise(1)) for d in (-1e-5, 1e-5))
    assert bool((left < 0).all())
    assert bool((right > 0).all())


def test_a_data_set_without_a_root_has_the_end_that_its_gradient_points_to():
    """Zeros have a likelihood that rises without end."""
    data = torch.stack([torch.zeros(50, 1), _noise().normal(50, 1)]).double()
    found = estimates(ScoreMatching(), data, _noise(1))
    assert float(found[0]) == pytest.approx(64.0)
    assert float(found[1]) == pytest.approx(1 / float(data[1].square().mean()), rel=1e-5)


@pytest.mark.parametrize(
    ("criterion", "n"),
    [
        (Mle(), 1000),
        (Sliced(), 1000),
        (SlicedVr(), 1000),
        (Denoising(sigma=0.1), 8000),
        (Denoising(sigma=0.5), 1000),
        (Nce(), 1000),
        (Cd(), 8000),
        (Cd(k=10), 1000),
        (Cd(k=3, h=0.2), 1000),
        (Pcd(k=5), 1000),
    ],
    ids=repr,
)
def test_bias_and_variance_are_as_declared(criterion, n):
    """64 data sets: 4.5 standard errors of the mean and of the variance (sqrt(2 / 63)), false alarm 1e-5 each.

    The curvature of the estimate shifts its mean by less than n Var / n.
    """
    theta, n_variance = criterion.gaussian(1.0)
    draws = torch.cat([GaussianFit(n=n).draw(criterion, _noise(1).at(batch), 32) for batch in range(2)])
    error = math.sqrt(n_variance / n / 64)
    assert float(draws.mean()) == pytest.approx(theta, abs=4.5 * error + n_variance / n)
    assert n * float(draws.var()) == pytest.approx(n_variance, rel=4.5 * math.sqrt(2 / 63) + 0.02)


def test_the_rows_show_what_is_declared(context):
    """`declared-bias` and `declared-variance` of contrastive divergence, exact."""
    task, ctx = GaussianFit(n=50), context()
    task.problem(Cd(), ctx).after(ctx)
    found = {row.metric: row.value for row in ctx.measurements}
    assert found == {"declared-bias": pytest.approx(0.05572809), "declared-variance": pytest.approx(25.0)}


def test_no_fixed_point_and_no_law_are_unsupported(context):
    """Neither is an error, and neither is a number."""
    with pytest.raises(NotOffered, match="no fixed point"):
        GaussianFit().problem(Pcd(h=0.6), context())
    with pytest.raises(NotOffered, match="declares no law"):
        GaussianFit().subject(object(), context())  # pyright: ignore[reportArgumentType]  # an author's criterion
