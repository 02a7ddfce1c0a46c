from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_logdet import Operator
from kexue_logdet.golub_kahan import bidiagonalise
from kexue_logdet.methods.golub_kahan_slq import GolubKahanSLQ

NAMES = ["cyc6_c0.9", "mod7_6", "mod11_6", "bidiag6", "negdiag6", "mlp6_c0.9", "mlp6_c0.98"]


def values(j, steps, noise, repeats):
    return GolubKahanSLQ(steps=steps, probes=1).estimate(Operator.of(j, "residual"), 100, noise, repeats).value


@pytest.mark.parametrize("name", NAMES)
def test_all_steps_are_exact_on_average(name, matrix, signs, dealt):
    """At k = n the mean over all sign vectors is log |det(I + J)|, here by LU; 1e-10 covers rounding."""
    truth = float(torch.linalg.slogdet(torch.eye(6, dtype=torch.float64) + matrix[name]).logabsdet)
    assert float(values(matrix[name], 6, dealt(signs), 64).mean()) == pytest.approx(truth, abs=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_quadrature_falls_towards_the_truth(name, matrix, signs, dealt):
    """Vector by vector the k-point rule falls with k: the even derivatives of the logarithm are negative."""
    rules = torch.stack([values(matrix[name], steps, dealt(signs), 64) for steps in range(1, 7)])
    assert (rules.diff(dim=0) <= 1e-12).all()


@pytest.mark.parametrize("name", NAMES)
def test_quadrature_is_lanczos_on_the_normal_matrix(name, matrix, signs, dealt):
    """The rule of k steps equals half of v^T log v by an eigendecomposition of M^T M compressed to the span
    of its Krylov vectors, orthonormalized by a singular value decomposition.
    """
    m = torch.eye(6, dtype=torch.float64) + matrix[name]
    normal, steps = m.T @ m, 3
    got = values(matrix[name], steps, dealt(signs), 64)
    for v, value in zip(signs[::9], got[::9], strict=True):
        krylov = torch.stack([torch.linalg.matrix_power(normal, k) @ v for k in range(steps)], dim=1)
        left, singular, _ = torch.linalg.svd(krylov, full_matrices=False)
        basis = left[:, singular > 1e-9 * singular[0]]
        theta, q = torch.linalg.eigh(basis.T @ normal @ basis)
        weights = (q.T @ (basis.T @ v)).square()
        assert float(value) == pytest.approx(float((weights * theta.log()).sum()) / 2, abs=1e-9)


def test_norms_above_one_are_no_obstacle(signs, dealt):
    """J = 3 S with S the cyclic shift: det(I + J) = 1 - 729, where every series in J diverges."""
    j = 3 * torch.eye(6, dtype=torch.float64).roll(1, dims=1)
    assert float(values(j, 6, dealt(signs), 64).mean()) == pytest.approx(math.log(728), abs=1e-10)


def test_both_bases_stay_orthonormal():
    """On a Jacobian of 80 rows with singular values down to 1e-6: U^T U = I and M V = U B to rounding, where a basis
    without reorthogonalization loses it.
    """
    noise = Noise.seeded(0, dtype=torch.float64)
    left, _ = torch.linalg.qr(noise.normal(80, 80))
    right, _ = torch.linalg.qr(noise.normal(80, 80))
    m = left @ torch.diag(torch.logspace(-6, 1, 80, dtype=torch.float64)) @ right
    op = Operator.of(m - torch.eye(80, dtype=torch.float64), "residual")
    start = torch.nn.functional.normalize(noise.normal(1, 80), dim=1)
    found = bidiagonalise(op, start, 60)
    gram = found.left[0] @ found.left[0].T
    assert float((gram - torch.eye(60, dtype=torch.float64)).abs().max()) < 1e-12
    singular = torch.linalg.svdvals(found.matrix()[0])
    assert float(singular.max()) == pytest.approx(10, abs=1e-6)


def test_an_exhausted_space_goes_on_as_ones(matrix, signs, dealt):
    """-0.9 I is exhausted after one step: all further ones change nothing."""
    one, six = (values(matrix["negdiag6"], k, dealt(signs), 64) for k in (1, 6))
    torch.testing.assert_close(one, six, rtol=1e-13, atol=0)


def test_products_are_billed_for_both_sides(matrix):
    """(2 k - 1) m products per repeat: k with J, k - 1 with its transpose; and m more for a gradient."""
    op = Operator.of(matrix["mlp6_c0.9"], "residual").within(budget=20, repeats=3)
    GolubKahanSLQ(steps=3, probes=4).estimate(op, 20, Noise.seeded(0, dtype=torch.float64), 3)
    assert op.spent == 60


def test_gradient_is_exact_at_k_equal_n(matrix, signs, dealt):
    """With all steps x is M^-T v, so that the mean over all sign vectors is tr((I + J)^-1 dJ)."""
    unit = matrix["mlp6_c0.9"] / 0.9
    truth = float(torch.linalg.solve(torch.eye(6, dtype=unit.dtype) + 0.9 * unit, unit).trace())
    c = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    op = Operator(
        kind="residual", n=6, product=lambda v: c * (unit @ v), transposed=lambda v: c * (unit.mT @ v), params=(c,)
    )
    got = GolubKahanSLQ(steps=6, probes=1).estimate(op, 100, dealt(signs), 64)
    got.surrogate.mean().backward()
    assert float(c.grad) == pytest.approx(truth, abs=1e-10)


def test_an_spd_operator_is_refused():
    """The message names the method that fits."""
    with pytest.raises(ValueError, match="needs a residual operator, got an spd one; use slq"):
        GolubKahanSLQ().estimate(Operator.of(torch.eye(3), "spd"), 100, Noise.seeded(0), 1)
