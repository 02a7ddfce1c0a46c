from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_logdet import Bounds, Operator, PowerSeries

TABLED = [
    *(f"cyc6_c{c}" for c in (0.5, 0.7, 0.9, 0.98)),
    *(f"mlp6_c{c}" for c in (0.5, 0.7, 0.9, 0.98)),
    "mod7_6",
    "mod11_6",
    "bidiag6",
    "negdiag6",
]
DEGREES = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50)


def values(j, degree, distribution, noise, repeats):
    method = PowerSeries(degree=degree, probes=1, distribution=distribution)
    return method.estimate(Operator.of(j, "residual"), degree, noise, repeats).value


@pytest.mark.parametrize("name", TABLED)
def test_rademacher_mean_and_variance_by_enumeration(name, matrix, reference, signs, dealt):
    """Over all 64 sign vectors mean and variance are the tabled ones at every degree: the truncation bias is exact."""
    for degree in DEGREES:
        expected, variance, _, _ = reference["power_series"][name][str(degree)]
        got = values(matrix[name], degree, "rademacher", dealt(signs), 64)
        assert float(got.mean()) == pytest.approx(expected, abs=1e-10)
        assert float(got.var(correction=0)) == pytest.approx(variance, abs=1e-10)


@pytest.mark.parametrize("name", TABLED)
def test_gaussian_mean_and_variance_by_cubature(name, matrix, reference, hermite, dealt):
    """The estimate is a quadratic form, its square of degree 4: a rule of degree 5 gives both moments exactly."""
    nodes, weights = hermite
    for degree in DEGREES:
        expected, _, variance, _ = reference["power_series"][name][str(degree)]
        got = values(matrix[name], degree, "gaussian", dealt(nodes), len(nodes))
        mean = float(weights @ got)
        assert mean == pytest.approx(expected, abs=1e-10)
        assert float(weights @ got.square()) - mean**2 == pytest.approx(variance, abs=1e-10)


@pytest.mark.parametrize("name", TABLED)
def test_sphere_mean_and_variance_by_cubature(name, matrix, reference, hermite, dealt):
    """Length and direction of a normal vector are independent, so weighting by |g|^2 / n and |g|^4 / (n (n + 2)) gives
    the moments over the sphere from the same rule, exactly.
    """
    nodes, weights = hermite
    squared = nodes.square().sum(dim=1)
    for degree in DEGREES:
        expected, _, _, variance = reference["power_series"][name][str(degree)]
        got = values(matrix[name], degree, "sphere", dealt(nodes), len(nodes))
        mean = float(weights @ (squared / 6 * got))
        assert mean == pytest.approx(expected, abs=1e-10)
        second = float(weights @ (squared.square() / 48 * got.square()))
        assert second - mean**2 == pytest.approx(variance, abs=1e-10)


def test_a_cyclic_shift_has_nothing_to_see_below_degree_n(matrix, signs, dealt):
    """Tr J^k = 0 for k < 6, so the mean is 0 for every degree below 6 and the bias is minus the truth."""
    for degree in range(1, 6):
        got = values(matrix["cyc6_c0.9"], degree, "rademacher", dealt(signs), 64)
        assert abs(float(got.mean())) < 1e-14


@pytest.mark.parametrize("degree", [1, 5, 10, 20])
def test_minus_a_multiple_of_the_identity_attains_the_bound(degree, matrix, signs, dealt):
    """J = -c I: bias is exactly -n (log(1 - c) + sum c^k / k), the largest that a Lipschitz constant allows."""
    got = values(matrix["negdiag6"], degree, "rademacher", dealt(signs), 64)
    bias = -6 * (math.log(0.1) + sum(0.9**k / k for k in range(1, degree + 1)))
    assert float(got.mean()) - 6 * math.log(0.1) == pytest.approx(bias, abs=1e-12)


def test_the_variance_formula_is_not_the_symmetric_one(matrix, signs, dealt):
    """Tr J of bidiag6: 0.8 over all sign vectors, where 2 sum of squares off the diagonal would give twice that."""
    got = values(matrix["bidiag6"], 1, "rademacher", dealt(signs), 64)
    assert float(got.var(correction=0)) == pytest.approx(0.8, abs=1e-12)


def test_a_diagonal_operator_has_no_rademacher_variance():
    """v_i^2 = 1: every probe gives the truncated series of the trace itself."""
    j = torch.diag(torch.tensor([0.5, -0.3, 0.1, 0.7], dtype=torch.float64))
    got = values(j, 6, "rademacher", Noise.seeded(0, dtype=torch.float64), 50)
    truth = sum((-1) ** (k + 1) / k * sum(x**k for x in (0.5, -0.3, 0.1, 0.7)) for k in range(1, 7))
    assert got.tolist() == pytest.approx([truth] * 50, abs=1e-14)


@pytest.mark.parametrize("name", ["lap1d6", "kms6", "minij6"])
def test_an_spd_operator_is_scaled_by_its_upper_bound(name, matrix, signs, dealt):
    """The mean is n log a + sum (-1)^(k+1) sum_i (lambda_i / a - 1)^k / k with numpy's eigenvalues, and too large."""
    eigenvalues = np.linalg.eigvalsh(matrix[name].numpy())
    a = 1.1 * eigenvalues[-1]
    op = Operator.of(matrix[name], "spd", bounds=Bounds(high=a, provenance="proven"))
    got = PowerSeries(degree=7, probes=1).estimate(op, 7, dealt(signs), 64).value
    series = 6 * np.log(a) + sum((-1) ** (k + 1) / k * ((eigenvalues / a - 1) ** k).sum() for k in range(1, 8))
    assert float(got.mean()) == pytest.approx(series, abs=1e-10)
    assert float(got.mean()) > np.log(eigenvalues).sum()


def test_an_spd_operator_without_a_bound_is_refused(matrix):
    """The scale cannot be guessed; the message names the missing bound."""
    with pytest.raises(ValueError, match="needs an upper bound of its eigenvalues"):
        PowerSeries().estimate(Operator.of(matrix["kms6"], "spd"), 60, Noise.seeded(0), 1)


def test_probes_average(matrix, signs, dealt):
    """A repeat of m probes is the mean over them, at degree x m products."""
    op = Operator.of(matrix["mod11_6"], "residual").within(budget=12, repeats=5)
    noise = Noise.seeded(3, dtype=torch.float64)
    got = PowerSeries(degree=4, probes=3).estimate(op, 12, noise, 5).value
    rows = Noise.seeded(3, dtype=torch.float64).rademacher(5, 3, 6).reshape(15, 6)
    single = values(matrix["mod11_6"], 4, "rademacher", dealt(rows), 15)
    torch.testing.assert_close(got, single.reshape(5, 3).mean(dim=1), rtol=1e-12, atol=1e-12)
    assert op.spent == 60


def test_the_graph_and_the_operator_are_left_alone(matrix):
    """The estimate is float64 whatever the products' dtype, and the matrix is what it was."""
    j = matrix["mod7_6"].to(torch.float32)
    before = j.clone()
    value = PowerSeries().estimate(Operator.of(j, "residual"), 60, Noise.seeded(0), 2).value
    assert value.dtype == torch.float64
    assert torch.equal(j, before)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"degree": 0}, "degree must be >= 1, got 0"), ({"probes": 0}, "probes must be >= 1")]
)
def test_bad_parameters_say_what_was_got(arguments, message):
    """Refused when the method is built, before any case runs."""
    with pytest.raises(ValueError, match=message):
        PowerSeries(**arguments)
