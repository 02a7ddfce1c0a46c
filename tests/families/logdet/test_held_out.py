"""Estimators at parameters that no table holds, against independent computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import Chebyshev as Series

from kexue_bench.lab.noise import Noise
from kexue_logdet import (
    SLQ,
    Bounds,
    BudgetError,
    Chebyshev,
    Hutchinson,
    OneProbeSLQ,
    Operator,
    PowerSeries,
    PreconditionedSLQ,
    Toeplitz,
)
from kexue_logdet.blocks import probe_blocks
from kexue_logdet.nystrom import precondition
from kexue_logdet.tasks.residual_variances import exact_variance
from kexue_logdet.variances import one_probe_variance


def noise(seed=0):
    return Noise.seeded(seed, dtype=torch.float64)


def spread(n, decay=0.7):
    """A full PSD matrix with eigenvalues decay^i and Haar eigenvectors."""
    q = torch.linalg.qr(noise(5).normal(n, n)).Q
    return (q * decay ** torch.arange(n, dtype=torch.float64)) @ q.mT


def run(method, op, repeats=1, budget=10**6, seed=0):
    metered = op.within(budget=budget, repeats=repeats)
    return method.estimate(metered, budget, noise(seed), repeats), metered.spent / repeats


# -- polynomials and quadrature ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("degree", "low", "high"), [(3, 0.3, 5.0), (7, 0.05, 2.0), (12, 1.0, 40.0), (9, 0.9, 1.1)])
def test_chebyshev_is_the_interpolant_of_numpy(degree, low, high):
    """A Rademacher probe of a diagonal matrix has no noise: the estimate is the sum of numpy's interpolant of the
    logarithm over the eigenvalues, which do not sit at its nodes.
    """
    values = torch.linspace(low * 1.01, high * 0.97, 37, dtype=torch.float64)
    op = Operator(kind="spd", n=37, product=lambda v: values.unsqueeze(-1) * v, bounds=Bounds(low=low, high=high))
    sample, _ = run(Chebyshev(degree=degree, probes=1), op)
    want = Series.interpolate(np.log, degree, domain=[low, high])(values.numpy()).sum()
    assert float(sample.value) == pytest.approx(float(want), rel=1e-10)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("target", ["logdet", "inverse"])
def test_slq_is_the_gauss_rule_of_the_moments(steps, target, signs, dealt):
    """Nodes and weights from the Hankel matrices of the moments v^T A^j v, without Lanczos: for a tridiagonal matrix
    with entries of no table, over all 64 sign vectors.
    """
    a = torch.diag(torch.tensor([3.0, 2.5, 4.0, 1.7, 2.2, 5.0])).double()
    off = torch.diag(torch.tensor([0.3, -0.6, 0.5, 0.2, -0.9]).double(), 1)
    a = a + off + off.mT
    op = Operator.of(a, "spd", target=target)
    got = SLQ(steps=steps, probes=1).estimate(op, 6, dealt(signs), 64).value
    f = np.log if target == "logdet" else np.reciprocal
    for row in range(0, 64, 7):
        v = signs[row].numpy()
        moments = [float(v @ np.linalg.matrix_power(a.numpy(), j) @ v) for j in range(2 * steps)]
        # The node polynomial is orthogonal to all of lower degree.
        hankel = np.array([[moments[i + j] for j in range(steps)] for i in range(steps)])
        coefficients = np.linalg.solve(hankel, -np.array(moments[steps : 2 * steps]))
        nodes = np.roots([1.0, *coefficients[::-1]]).real
        weights = np.linalg.solve(np.vander(nodes, steps, increasing=True).T, np.array(moments[:steps]))
        assert float(got[row]) == pytest.approx(float(weights @ f(nodes)), rel=1e-6)


@pytest.mark.parametrize(("name", "parameter", "n"), [("kms", 0.35, 9), ("path", 0.37, 11), ("ring", 2.6, 8)])
def test_toeplitz_truths_at_other_parameters(name, parameter, n):
    """By numpy's slogdet of the matrix written out."""
    task = Toeplitz(name=name, parameter=parameter, n=n)
    i = np.arange(n)
    distance = np.abs(i[:, None] - i[None, :])
    ring = np.minimum(distance, n - distance)
    matrix = {
        "kms": parameter**distance,
        "path": (2 + parameter) * (distance == 0) - 1.0 * (distance == 1),
        "ring": (2 + parameter) * (ring == 0) - 1.0 * (ring == 1),
    }[name]
    assert task.truth() == pytest.approx(float(np.linalg.slogdet(matrix)[1]), rel=1e-12)


@pytest.mark.statistical
def test_orthogonal_probes_beat_independent_ones_by_the_finite_population():
    """Four of nine on a matrix of no table: the closed variances differ by (n - m) / (n - 1) from sphere probes."""
    b = spread(9)
    sphere, orthogonal = (Hutchinson(probes=4, distribution=law) for law in ("sphere", "orthogonal"))
    op = Operator.of(b, "spd", target="trace")
    variances = [float(run(method, op, repeats=40_000)[0].value.var()) for method in (sphere, orthogonal)]
    f, t = float(b.square().sum()), float(b.trace())
    want = 2 * 9 / 11 * (f - t**2 / 9) / 4
    # Kurtosis below 6: 4 standard errors of a variance of 40,000 draws.
    assert variances[0] == pytest.approx(want, rel=4 * math.sqrt(5 / 40_000))
    assert variances[1] == pytest.approx(want * 5 / 8, rel=4 * math.sqrt(5 / 40_000))


# -- one probe --------------------------------------------------------------------------------------------------------


def test_one_probe_is_the_preconditioned_rule_where_one_will_do():
    """With a tolerance that every first probe meets it is PreconditionedSLQ with one Gaussian probe, draw for draw, and
    its bar is sqrt(2 v^T log(B)^2 v) by the dense remainder.
    """
    a = 0.5 * torch.eye(30, dtype=torch.float64) + spread(30)
    op = Operator.of(a, "spd", bounds=Bounds(low=0.5, provenance="exact"))
    one, spent = run(OneProbeSLQ(rank=4, steps=30, tolerance=1e6), op, repeats=3)
    other, _ = run(PreconditionedSLQ(rank=4, steps=30, probes=1, distribution="gaussian"), op, repeats=3)
    torch.testing.assert_close(one.value, other.value, rtol=1e-12, atol=0)
    assert spent == 34
    assert one.products.tolist() == [34] * 3
    stream = noise()
    known = precondition(op, stream, rank=4, repeats=3, name="t")
    v = probe_blocks(op, stream, "gaussian", repeats=3, probes=1)
    for r in range(3):
        u, grown = known.vectors[r], known.values[r]
        p = (u * grown) @ u.mT + 0.5 * torch.eye(30, dtype=torch.float64)
        assert float(known.logdet[r]) == pytest.approx(float(p.logdet()), rel=1e-10)
        theta, basis = torch.linalg.eigh(p)
        root = (basis * theta.rsqrt()) @ basis.mT
        values, vectors = torch.linalg.eigh(root @ a @ root)
        weights = (vectors.mT @ v[r, :, 0]).square()
        assert float(one.value[r]) == pytest.approx(float(p.logdet() + (weights * values.log()).sum()), rel=1e-9)
        assert float(one.stderr[r]) == pytest.approx(
            math.sqrt(2 * float((weights * values.log() ** 2).sum())), rel=1e-7
        )


def test_more_probes_are_taken_only_where_the_bar_asks_for_them():
    """At a tolerance near one probe's error some repeats stop at once, others continue; each counts its products."""
    op = Operator.of(0.5 * torch.eye(40, dtype=torch.float64) + spread(40, 0.8), "spd", bounds=Bounds(low=0.5))
    method = OneProbeSLQ(rank=5, steps=8, most=4, tolerance=0.9)
    sample, spent = run(method, op, repeats=60)
    counts = (sample.products - 5) / 8
    assert set(counts.tolist()) >= {1.0, 2.0}
    assert spent == pytest.approx(float(sample.products.double().mean()))
    assert int(sample.products.max()) <= 5 + 8 * 4
    assert bool((sample.stderr[counts == 1] <= 0.9).all())
    with pytest.raises(BudgetError):
        run(method, op, budget=36)


@pytest.mark.statistical
def test_closed_variances_take_orthogonal_probes_of_power_series_too(matrix):
    """Two of six orthogonal probes on bidiag6 cut after 3 terms: sphere / 2 x 4 / 5 of the cut series, by 20,000 runs
    within 4 standard errors (kurtosis below 6); six of them have none.
    """
    j = matrix["bidiag6"]
    method = PowerSeries(degree=3, probes=2, distribution="orthogonal")
    series = j - j @ j / 2 + j @ j @ j / 3
    want = one_probe_variance(series, "sphere") / 2 * 4 / 5
    assert exact_variance(method, j) == pytest.approx(want, rel=1e-12)
    values = run(method, Operator.of(j, "residual"), repeats=20_000)[0].value
    assert float(values.var()) == pytest.approx(want, rel=4 * math.sqrt(5 / 20_000))
    assert exact_variance(PowerSeries(degree=3, probes=6, distribution="orthogonal"), j) == 0
