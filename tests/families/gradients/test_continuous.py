"""Methods for normal and gamma variables against exact moments, and their tasks against quadrature."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from kexue_bench.lab.noise import Noise
from kexue_gradients import AntitheticScore, FunctionObjective, Gaussian, MeasureValued, Pathwise, Reinforce

DOUBLE = torch.float64
N, Z = 2**16, 5.0
ENTRIES = json.loads((Path(__file__).parent / "reference_continuous.json").read_text())["entries"]
COSTS = {
    "quadratic": lambda x, k: (x - k) ** 2,
    "exp": lambda x, k: np.exp(-k * x * x),
    "cos": lambda x, k: np.cos(k * x),
}


@pytest.mark.statistical
@pytest.mark.parametrize("name", list(dict.fromkeys(entry["method"] for entry in ENTRIES)))
def test_mean_and_variance_are_exact(name, build, context):
    """Draws have the mean, the variance and the counted cost that theory gives, at every point of the reference.

    False alarms: 5 sigma on about 160 scores in all, 1e-4 for normal scores. The variance is left out if its own spread
    is not known.
    """
    for seed, entry in enumerate(e for e in ENTRIES if e["method"] == name):
        ctx = context(dtype="float64")
        problem = build(entry["task"], **entry["task_params"]).problem(build(name, **entry["method_params"]), ctx)
        assert problem.truth.flatten().tolist() == pytest.approx(entry["truth"], abs=1e-11)
        before = dict(ctx.counter.units)
        draws = problem.draw(Noise.seeded(seed, dtype=DOUBLE), N).flatten(1)
        spent = {unit: count - before.get(unit, 0) for unit, count in ctx.counter.units.items()}
        assert spent["evaluations"] == entry["evaluations"] * N, entry["id"]
        assert spent.get("backwards", 0) == entry["backwards"] * N, entry["id"]
        for i, g in enumerate(draws.T):
            mean, variance = entry["mean"][i], entry["variance"][i]
            assert abs(float(g.mean()) - mean) <= Z * math.sqrt(variance / N) + 1e-9, (entry["id"], i)
            if entry["fourth"] is not None:
                spread = math.sqrt(max(0.0, entry["fourth"][i] - variance**2) / N)
                assert abs(float(g.var()) - variance) <= Z * spread + 1e-9, (entry["id"], i)


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (1.0, 1.5), (-2.0, 0.3)])
@pytest.mark.parametrize(("function", "k"), [("quadratic", 0.7), ("exp", 0.5), ("exp", 10.0), ("cos", 2.0)])
def test_gaussian_truth_by_quadrature(build, context, function, k, mu, sigma):
    """The closed forms are the integrals of f times the score (scipy), at points that are in no reference."""

    def integral(weight):
        def integrand(e):
            return COSTS[function](mu + sigma * e, k) * weight(e) * stats.norm.pdf(e)

        return integrate.quad(integrand, -12, 12, epsabs=1e-12, limit=400, points=[-mu / sigma])[0]

    expected = [integral(lambda e: e / sigma), integral(lambda e: (e * e - 1) / sigma)]
    task = build("gaussian-cost", function=function, k=k, mu=mu, sigma=sigma)
    truth = task.problem(build("pathwise"), context()).truth
    assert truth.dtype == DOUBLE
    assert truth.flatten().tolist() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("function", "f"), [("linear", lambda x: x), ("square", np.square), ("exp", lambda x: np.exp(-x))]
)
def test_gamma_truth_by_quadrature(build, context, function, f):
    """The closed forms are central differences of quadratures in the shape (scipy, 1e-6)."""

    def mean(a):
        return integrate.quad(lambda x: f(x) * stats.gamma.pdf(x, a), 0, 80, epsabs=1e-12, limit=400)[0]

    for shape in (1.3, 4.0):
        h = 1e-4
        slope = (mean(shape + h) - mean(shape - h)) / (2 * h)
        truth = build("gamma-cost", function=function, shape=shape).problem(build("implicit-gamma"), context()).truth
        assert truth.tolist() == pytest.approx([slope], abs=1e-6)


@pytest.mark.statistical
@pytest.mark.parametrize("method", [Pathwise(), Reinforce(), AntitheticScore(), MeasureValued()], ids=repr)
def test_variables_that_interact(method):
    """Unbiased for f = (x1 x2 + x3)^2, batch of two, where moving one variable needs the others at their draw.

    Truth: E f = (m1^2 + s1^2)(m2^2 + s2^2) + 2 m1 m2 m3 + m3^2 + s3^2 differentiated by autograd. 12 coordinates, 5
    standard errors: 7e-6 for normal scores. Planted: measure-valued with the others at their means fails.
    """
    mu, sigma = torch.tensor([[0.5, -1.0, 0.3]] * 2, dtype=DOUBLE), torch.tensor([[1.0, 0.5, 0.8]] * 2, dtype=DOUBLE)
    law = Gaussian(mu=mu, sigma=sigma)
    objective = FunctionObjective(lambda x: (x[..., 0] * x[..., 1] + x[..., 2]).square())
    sample = method.estimate(law, objective, Noise.seeded(4, dtype=DOUBLE), N)
    with torch.enable_grad():
        m, s = mu.clone().requires_grad_(), sigma.clone().requires_grad_()
        squares = (m.square() + s.square()).unbind(-1)
        m1, m2, m3 = m.unbind(-1)
        mean = squares[0] * squares[1] + 2 * m1 * m2 * m3 + squares[2]
        expected = torch.stack(torch.autograd.grad(mean.sum(), (m, s)), dim=-1)
    error = sample.gradient.std(0) / N**0.5
    assert sample.gradient.shape == (N, 2, 3, 2)
    assert ((sample.gradient.mean(0) - expected).abs() <= Z * error + 1e-9).all()
    assert ((sample.value.mean(0) - mean).abs() <= Z * sample.value.std(0) / N**0.5).all()


@pytest.mark.parametrize("point", ["laplace", "prior"])
def test_logistic_regression_truth_by_quadrature_per_datum(build, context, point):
    """Sums of one-dimensional integrals, by adaptive quadrature (scipy) for 20 data and by differences of E f.

    The gradient is linear in the data, so the task's formula on 20 of them is compared with the integrals of
    l'(m + s z) and l'(m + s z) z; data and distribution come from numpy and scikit-learn.
    """
    from sklearn.datasets import load_breast_cancer

    from kexue_gradients.tasks import logistic_regression as module

    problem = build("bayesian-logistic-regression", point=point).problem(build("pathwise"), context(dtype="float64"))
    mu, sigma = problem.inputs[0].double().numpy().T
    x, y = load_breast_cancer(return_X_y=True)
    x = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(x))])[::29]
    y = y[::29].astype(float)
    expected = np.zeros((31, 2))
    for row, label in zip(x, y, strict=True):
        m, s = row @ mu, math.sqrt(row**2 @ sigma**2)

        def integral(power, m=m, s=s, label=label):
            def integrand(z):
                return (1 / (1 + math.exp(-(m + s * z))) - label) * z**power * stats.norm.pdf(z)

            return integrate.quad(integrand, -10, 10, epsabs=1e-12, limit=400, points=[min(9.0, max(-9.0, -m / s))])[0]

        expected[:, 0] += row * integral(0)
        expected[:, 1] += row**2 * sigma * integral(1) / s
    law = Gaussian(mu=torch.tensor(mu), sigma=torch.tensor(sigma))
    found = module._gradient(law, torch.tensor(x), torch.tensor(y))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)


def test_the_laplace_point_is_the_posterior_mode(build, context):
    """The gradient of the log posterior vanishes at mu: numpy, 1e-9."""
    from sklearn.datasets import load_breast_cancer

    problem = build("bayesian-logistic-regression").problem(build("pathwise"), context(dtype="float64"))
    mu = problem.inputs[0][:, 0].numpy()
    x, y = load_breast_cancer(return_X_y=True)
    x = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(x))])
    np.testing.assert_allclose(x.T @ (1 / (1 + np.exp(-x @ mu)) - y) + mu, 0, atol=1e-9)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["pathwise", "measure-valued"])
def test_logistic_regression_is_estimated_without_bias(build, context, name):
    """Both kinds of estimator agree with quadrature: 62 coordinates within 5 standard errors (normal scores: 4e-5)."""
    problem = build("bayesian-logistic-regression").problem(build(name), context(dtype="float64"))
    n = 2**12 if name == "pathwise" else 2**9
    noise = Noise.seeded(6, dtype=DOUBLE)
    draws = torch.cat([problem.draw(noise, problem.batch) for _ in range(n // problem.batch)])
    assert ((draws.mean(0) - problem.truth).abs() <= Z * draws.std(0) / n**0.5).all()


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("gaussian-cost", {"function": "sin"}, "function must be one of quadratic, exp, cos, got 'sin'"),
        ("gaussian-cost", {"function": "exp", "k": -1.0}, "k must be >= 0 for exp"),
        ("gaussian-cost", {"sigma": 0.0}, "sigma must be > 0"),
        ("gamma-cost", {"function": "cos"}, "function must be one of linear, square, exp"),
        ("gamma-cost", {"shape": 0.0}, "shape must be > 0"),
        ("bayesian-logistic-regression", {"point": "map"}, "point must be one of laplace, prior"),
    ],
)
def test_parameters_are_validated(build, name, fields, says):
    """A value out of range is rejected with what was got."""
    with pytest.raises(ValueError, match=says):
        build(name, **fields)
