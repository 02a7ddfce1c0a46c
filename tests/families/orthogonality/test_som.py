"""Angles estimated from the signs of responses: what the estimates of self-orthogonality measure, and their noise."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kexue_orthogonality import SelfOrthogonality, targets_of

SIGNS = 1e12
"""A steepness at which tanh is the sign."""


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def correlation(method, responses):
    """The estimated t_12 of two neurons."""
    return method._correlations(responses)[..., 0, 1]


@pytest.mark.statistical
@pytest.mark.parametrize("cosine", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("scale", [0.1, 1, 3, 10])
def test_the_bias_of_the_smoothed_sign(reference, cosine, scale):
    """Between the cosine and (2 / pi) asin of it, by quadrature; 10^6 samples, five standard errors of (1 - t^2)/n^0.5.

    A false alarm once in two million.
    """
    x = normal(1_000_000, 2, seed=7)
    y = torch.stack([x[:, 0], cosine * x[:, 0] + math.sqrt(1 - cosine**2) * x[:, 1]], dim=1)
    expected = reference["facts"]["tanh_bias"][f"cos={cosine}"][f"gamma*|w|={scale}"]
    found = float(correlation(SelfOrthogonality(gamma=float(scale)), y))
    assert abs(found - expected) < 5e-3


@pytest.mark.statistical
def test_the_noise_floor_of_a_batch_at_right_angles(reference):
    """E R = (2 a + b) k (k - 1) / n for signs: 750 + 3.75 at k = 16, n = 64, a = 100, b = 1, over 4,000 batches.

    The tolerance is five standard errors. A planted n - 1 instead of n (1.6 %) is below it; a forgotten factor of 2 or
    the split estimate is far beyond.
    """
    values = SelfOrthogonality(gamma=SIGNS).batch_value(normal(4000, 64, 16))
    expected = sum(reference["facts"]["SOM_noise_floor"]["k=16,b=64 formula"])
    error = float(values.std()) / 4000**0.5
    assert abs(float(values.mean()) - expected) < 5 * error
    assert error < 0.05 * expected


@pytest.mark.statistical
def test_two_halves_of_a_batch_have_no_floor():
    """The product of two independent estimates is 0 on average where the angle is right; five standard errors."""
    values = SelfOrthogonality(gamma=SIGNS, estimator="split").batch_value(normal(4000, 64, 16, seed=3))
    error = float(values.std()) / 4000**0.5
    assert abs(float(values.mean())) < 5 * error
    assert 5 * error < 753.75 / 4


@pytest.mark.statistical
def test_two_halves_are_unbiased_away_from_right_angles():
    """For signs the mean of the split value is the exact penalty; 20,000 batches of 32, five standard errors."""
    w = torch.tensor([[1.0, 0.6, 0.0], [0.0, 0.8, 1.0]], dtype=torch.float64)
    method = SelfOrthogonality(gamma=SIGNS, mean=0.0, estimator="split")
    values = method.batch_value(normal(20_000, 32, 2, seed=5) @ w)
    error = float(values.std()) / 20_000**0.5
    assert abs(float(values.mean()) - float(method.value(w))) < 5 * error
    plain = SelfOrthogonality(gamma=SIGNS, mean=0.0).batch_value(normal(20_000, 32, 2, seed=5) @ w)
    assert abs(float(plain.mean()) - float(method.value(w))) > 20 * error


@pytest.mark.statistical
def test_correlated_inputs_bend_the_angle(reference):
    """S = diag(4, 1): orthogonal neurons (1, 1) and (1, -1) appear at (2 / pi) asin(3 / 5) = 0.4097; 10^6 samples."""
    w = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / 2**0.5
    x = normal(1_000_000, 2, seed=1) * torch.tensor([2.0, 1.0])
    expected = next(iter(reference["facts"]["data_bias"].values()))
    assert expected == pytest.approx(2 / math.pi * math.asin(3 / 5))
    assert abs(float(correlation(SelfOrthogonality(gamma=SIGNS), x @ w)) - expected) < 5e-3


@pytest.mark.statistical
def test_positive_inputs_bend_the_angle():
    """Inputs |N|, d = 16, w_1 = 1 and w_2 = (-15, 1, .., 1) orthogonal: 0.141, as after a ReLU; 10^6 samples."""
    w = torch.ones(16, 2, dtype=torch.float64)
    w[0, 1] = -15
    assert float(w[:, 0] @ w[:, 1]) == 0
    found = float(correlation(SelfOrthogonality(gamma=SIGNS), normal(1_000_000, 16, seed=2).abs() @ w))
    assert abs(found - 0.1411) < 5e-3


@pytest.mark.statistical
def test_whitened_inputs_give_the_angle_back():
    """After some steps the running covariance is S, and the angle of orthogonal neurons right again."""
    layer = nn.Linear(2, 2, bias=False, dtype=torch.float64)
    layer.weight = nn.Parameter(torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / 2**0.5)
    scale = torch.tensor([2.0, 1.0], dtype=torch.float64)
    values = {}
    for estimator in ("batch", "whitened"):
        session = SelfOrthogonality(gamma=SIGNS, weight=1.0, mean=0.0, estimator=estimator).attach(targets_of(layer))
        for step in range(100):
            layer(normal(4000, 2, seed=step) * scale + 3.0 * (estimator == "whitened"))
            values[estimator] = float(session.penalty().detach())
    # Two ordered pairs of 0.4097^2, against a floor of 2 / 4000.
    assert values["batch"] == pytest.approx(2 * 0.4097**2, rel=0.1)
    assert values["whitened"] < 0.01


def test_a_stack_is_its_singles():
    """Each replicate's estimate is that of its own responses."""
    y = normal(3, 20, 4)
    for estimator in ("batch", "split"):
        method = SelfOrthogonality(estimator=estimator)
        torch.testing.assert_close(method.batch_value(y), torch.stack([method.batch_value(each) for each in y]))


def test_a_split_needs_two_samples():
    """Half of one sample is none."""
    with pytest.raises(ValueError, match="got 1"):
        SelfOrthogonality(estimator="split").batch_value(normal(1, 3))


def test_it_listens_to_convolutions_by_patches():
    """Responses of a convolution are those of its kernel to every patch."""
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1, dtype=torch.float64)
    (target,) = targets_of(layer)
    images = normal(4, 2, 6, 6)
    torch.testing.assert_close(target.samples(images) @ target.columns(), target.responses(images))
    direct = (layer(images) - layer.bias[:, None, None]).movedim(1, -1).flatten(0, -2)
    torch.testing.assert_close(target.responses(images), direct)


def test_what_was_not_heard_is_missing():
    """A penalty before any forward pass, or a second one after a single pass, is an error with a remedy."""
    layer = nn.Linear(3, 2)
    session = SelfOrthogonality().attach(targets_of(layer))
    with pytest.raises(ValueError, match="run the model"):
        session.penalty()
    layer(torch.ones(4, 3))
    session.penalty()
    with pytest.raises(ValueError, match="run the model"):
        session.penalty()
    session.finish_()
    layer(torch.ones(4, 3))
    with pytest.raises(ValueError, match="run the model"):
        session.penalty()
