"""Polynomials, maps, retractions, spectra and operation counts against closed forms and other libraries."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch

from kexue_orthogonality import flops, maps, polar, polynomials, spectra, stiefel

EXACT = json.loads((Path(__file__).parent / "reference_matrices.json").read_text(encoding="utf-8"))
DOUBLE = torch.float64


def gaussian(*shape, seed=0):
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def w53():
    i, j = torch.arange(1, 6, dtype=DOUBLE)[:, None], torch.arange(1, 4, dtype=DOUBLE)
    return torch.sin(i * (j + 1))


@pytest.fixture
def kernel():
    o, c, a, b = torch.meshgrid(*(torch.arange(n, dtype=DOUBLE) for n in (3, 2, 3, 3)), indexing="ij")
    return torch.cos(1 + o + 2 * c + 3 * a + 5 * b) / 3


# -- odd polynomials --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("polynomial", [(1.5, -0.5), polynomials.JORDAN, (0.3, 1.0, -2.0, 0.7)])
def test_a_polynomial_of_a_matrix_is_that_of_its_singular_values(polynomial):
    """U p(S) V^T, by a decomposition of every matrix of a stack."""
    matrix = gaussian(3, 7, 4) / 3
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    expected = left @ torch.diag_embed(sum(c * values ** (2 * i + 1) for i, c in enumerate(polynomial))) @ right
    torch.testing.assert_close(polynomials.apply(polynomial, matrix), expected, rtol=1e-12, atol=1e-12)


def test_a_polynomial_of_a_matrix_is_differentiated_through():
    """Central differences; in-place work on the diagonal must not break the backward pass."""
    matrix = (gaussian(2, 4, 3) / 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: polynomials.apply((1.9, -1.2, 0.4, 0.1), w), matrix)


def test_a_stack_of_matrices_is_its_singles():
    """Batches do not affect each other."""
    stack = gaussian(4, 6, 3)
    for function in (
        lambda w: polynomials.apply(polynomials.JORDAN, w),
        lambda w: polynomials.scaled(w, "spectral"),
        polar,
        stiefel.qr_retraction,
    ):
        singles = torch.stack([function(one) for one in stack])
        torch.testing.assert_close(function(stack), singles, rtol=1e-12, atol=1e-13)


def test_polar_express_coefficients_are_those_computed_elsewhere():
    """Six rows for l = 1e-3 by another program, printed to 12 digits; published ones are in the published specs."""
    rows = list(itertools.islice(polynomials.polar_express(1e-3), 6))
    np.testing.assert_allclose(rows, EXACT["polar_express_rows"], rtol=1e-11)


@pytest.mark.parametrize(("low", "high"), [(1e-4, 1.0), (0.3, 1.2), (0.9, 1.0)])
def test_the_first_quintic_equioscillates(low, high):
    """Chebyshev's theorem: the nearest polynomial of three terms attains its error four times, signs alternating."""
    polynomial = polynomials._quintic(low, high)
    s = torch.linspace(low, high, 200_001, dtype=DOUBLE)
    error = polynomials.evaluate(polynomial, s) - 1
    peak = error.abs().max()
    # Where it is within a thousandth of the peak, in order; neighbors of one sign are one extremum.
    signs = error[error.abs() > 0.999 * peak].sign().tolist()
    assert [sign for sign, _ in itertools.groupby(signs)] in ([-1, 1, -1, 1], [1, -1, 1, -1])


def test_ranges_after_five_steps_are_those_computed_elsewhere():
    """Muon's and Polar Express's polynomials on log-spaced values from 1e-4, 1e-3, 1e-2 and 1e-1 to 1.

    The other program's grid starts a little above 1e-4, which its smallest value shows in the fifth digit.
    """
    express = list(itertools.islice(polynomials.polar_express(1e-3), 5))
    for name, sequence in (("muon5", [polynomials.JORDAN] * 5), ("PE5", express)):
        for low in ("0.0001", "0.001", "0.01", "0.1"):
            values = torch.logspace(math.log10(float(low)), 0, 200_001, dtype=DOUBLE)
            for polynomial in sequence:
                values = polynomials.evaluate(polynomial, values)
            expected = EXACT["ranges_after_5"][f"{name}_range_[{low},1]"]
            np.testing.assert_allclose([values.min(), values.max()], expected, rtol=5e-5)


def test_muons_polynomial_rests_nowhere_near_one():
    """Its fixed points repel (slopes -1.58 and 6.47), it maps 1 to 0.701, and its attractor has spread 0.363."""
    a, b, c = polynomials.JORDAN
    roots = np.sqrt(np.sort(np.roots([c, b, a - 1]).real))
    np.testing.assert_allclose(roots, EXACT["muon"]["fixed points"], rtol=1e-10)
    np.testing.assert_allclose(a + 3 * b * roots**2 + 5 * c * roots**4, EXACT["muon"]["slopes"], rtol=1e-10)
    assert float(polynomials.evaluate(polynomials.JORDAN, torch.ones(1, dtype=DOUBLE))) == pytest.approx(0.701)
    values = torch.logspace(-3, 0, 4001, dtype=DOUBLE)
    for _ in range(200):
        values = polynomials.evaluate(polynomials.JORDAN, values)
    low, high, _, spread = EXACT["muon"]["attractor"]
    assert low - 1e-4 < float(values.min()) < float(values.max()) < high + 1e-4
    assert float((values.square() - 1).square().mean().sqrt()) == pytest.approx(spread, abs=0.02)


def test_the_spectral_norm_is_exact_where_power_iterations_are_not():
    """sin(i (j + 1)), 64 x 32: the two largest singular values are 0.7 % apart; 20 iterations still err by 1.2 %."""
    i, j = torch.arange(1, 65, dtype=DOUBLE)[:, None], torch.arange(1, 33, dtype=DOUBLE)
    matrix = torch.sin(i * (j + 1))
    assert float(polynomials.spectral_norm(matrix)) == pytest.approx(7.83352514235, rel=1e-11)


def test_a_zero_matrix_stays_zero_when_scaled():
    """No division by its norm."""
    zero = torch.zeros(3, 2, dtype=DOUBLE)
    assert all(torch.equal(polynomials.scaled(zero, scale), zero) for scale in ("spectral", "frobenius", "none"))


# -- maps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "k"), [(5, 5), (9, 4), (41, 4), (6, 3)])
def test_maps_of_skew_matrices_are_those_of_the_whole_matrix(d, k):
    """exp(A) B and (I - A/2)^-1 (I + A/2) B by scipy, whichever small system is solved."""
    base, free = polar(gaussian(d, k)), 0.3 * gaussian(d, k, seed=1)
    skew = (free @ base.mT - base @ free.mT).numpy()
    eye = np.eye(d)
    expected = {
        maps.exponential: scipy.linalg.expm(skew) @ base.numpy(),
        maps.cayley: np.linalg.solve(eye - skew / 2, (eye + skew / 2) @ base.numpy()),
    }
    for function, value in expected.items():
        np.testing.assert_allclose(function(free, base), value, atol=1e-13)


@pytest.mark.parametrize(("d", "k"), [(4, 4), (9, 2)])
def test_maps_have_the_gradients_of_their_values(d, k):
    """Central differences at a random point, tall and square."""
    base, free = polar(gaussian(d, k)), (0.3 * gaussian(d, k, seed=1)).requires_grad_()
    signs = torch.tensor([1.0, -1.0], dtype=DOUBLE).repeat(k)[:k]
    for function in (
        lambda x: maps.exponential(x, base),
        lambda x: maps.cayley(x, base),
        lambda x: maps.householder(x, signs),
    ):
        assert torch.autograd.gradcheck(function, free)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("d", "k"), [(4, 4), (7, 3), (5, 1)])
def test_reflections_give_the_matrix_back(d, k, sign):
    """Also of matrices that LAPACK reflects nowhere (the identity), and of either sign of the determinant."""
    for matrix in (polar(gaussian(2, d, k)), torch.eye(d, k, dtype=DOUBLE).expand(2, d, k)):
        flipped = torch.cat([sign * matrix[..., :1], matrix[..., 1:]], dim=-1)
        torch.testing.assert_close(maps.householder(*maps.reflections(flipped)), flipped, rtol=0, atol=1e-14)


# -- the manifold -----------------------------------------------------------------------------------------------------


def test_polar_factor_and_qr_factor_are_those_computed_elsewhere(w53):
    """The polar factor of sin(i (j + 1)), its distance, and the larger distance of the QR factor."""
    expected = EXACT["polar_of_W53"]
    np.testing.assert_allclose(polar(w53), expected["polar"], atol=1e-11)
    assert float((w53 - polar(w53)).square().sum()) == pytest.approx(expected["dist2"], rel=1e-11)
    assert float((w53 - stiefel.qr_retraction(w53)).square().sum()) == pytest.approx(
        EXACT["qr_of_W53_dist2"], rel=1e-11
    )


def test_the_qr_retraction_has_a_positive_diagonal_and_is_the_identity_on_the_manifold():
    """R = Q^T W has a positive diagonal; matrices with orthonormal columns are unchanged."""
    matrix = gaussian(5, 6, 4)
    q = stiefel.qr_retraction(matrix)
    assert bool(((q.mT @ matrix).diagonal(dim1=-2, dim2=-1) > 0).all())
    torch.testing.assert_close(stiefel.qr_retraction(q), q, rtol=0, atol=1e-14)


def test_the_tangent_gradient_is_tangent_and_the_nearest_one():
    """W^T M is skew, and what was subtracted, W S with S symmetric, is orthogonal to every tangent."""
    matrix, gradient = polar(gaussian(6, 3)), gaussian(6, 3, seed=1)
    tangent = stiefel.tangent(matrix, gradient)
    inner = matrix.mT @ tangent
    torch.testing.assert_close(inner, -inner.mT, rtol=0, atol=1e-14)
    assert abs(float(((gradient - tangent) * tangent).sum())) < 1e-13


def test_the_landing_field_is_what_its_formula_says_and_its_parts_are_orthogonal():
    """The skew psi formed as a d x d matrix; <psi W, W (W^T W - I)> = 0."""
    matrix, gradient = gaussian(6, 3) / 2, gaussian(6, 3, seed=1)
    psi = (gradient @ matrix.mT - matrix @ gradient.mT) / 2
    normal = matrix @ (matrix.mT @ matrix - torch.eye(3, dtype=DOUBLE))
    torch.testing.assert_close(stiefel.landing_field(matrix, gradient, 0.7), psi @ matrix + 0.7 * normal)
    assert abs(float(((psi @ matrix) * normal).sum())) < 1e-13


def test_the_safe_step_keeps_every_matrix_inside_and_is_not_timid():
    """10,000 matrices inside the radius with gradients of every size: none leaves; some come within a tenth of it."""
    generator = torch.Generator().manual_seed(0)
    n, radius = 10_000, 0.5
    left = polar(torch.randn(n, 5, 3, dtype=DOUBLE, generator=generator))
    right = polar(torch.randn(n, 3, 3, dtype=DOUBLE, generator=generator))
    shifts = torch.randn(n, 3, dtype=DOUBLE, generator=generator)
    distance = radius * torch.rand(n, 1, dtype=DOUBLE, generator=generator)
    values = (1 + distance * shifts / shifts.norm(dim=1, keepdim=True)).sqrt()
    matrix = (left * values.unsqueeze(1)) @ right.mT
    sizes = 10 ** (4 * torch.rand(n, 1, 1, dtype=DOUBLE, generator=generator) - 2)
    gradient = sizes * torch.randn(n, 5, 3, dtype=DOUBLE, generator=generator)
    field = stiefel.landing_field(matrix, gradient, 1.0)
    step = stiefel.safe_step(distance.squeeze(1), torch.linalg.matrix_norm(field), strength=1.0, radius=radius)
    after = torch.linalg.matrix_norm(stiefel.defect(matrix - step[:, None, None] * field))
    assert float(after.max()) <= radius * (1 + 1e-12)
    assert float(after.max()) > 0.9 * radius


# -- spectra of convolutions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_spectrum_by_fourier_transform_is_that_of_the_whole_matrix(kernel, size, stride):
    """Every singular value, for a stack of two kernels."""
    stack = torch.stack([kernel, kernel.flip(-1) - 0.2])
    found = spectra.circular(stack, size, stride).flatten(1).sort(descending=True).values
    truth = torch.linalg.svdvals(spectra.dense(stack, size, stride))
    torch.testing.assert_close(found, truth[:, : found.shape[1]], rtol=0, atol=1e-13)
    assert float(truth[:, found.shape[1] :].abs().sum()) < 1e-10


def test_a_rectangular_kernel_of_even_width_has_its_spectrum_too():
    """The published identity's shape, at a smaller size."""
    kernel = gaussian(3, 2, 3, 4)
    found = spectra.circular(kernel, 8).flatten().sort(descending=True).values
    torch.testing.assert_close(found, torch.linalg.svdvals(spectra.dense(kernel, 8)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [4, 8])
def test_norms_of_the_reference_kernel(kernel, size):
    """Circular at strides 1 and 2, zero padding, the sum of squares, the flattened norm that spectral_norm sees."""
    exact = EXACT["convolution"][f"n={size}"]
    spectrum = spectra.circular(kernel, size)
    assert float(spectrum.max()) == pytest.approx(exact["circ_sigma_max"], rel=1e-11)
    assert float(spectra.circular(kernel, size, 2).max()) == pytest.approx(exact["circ_stride2_sigma_max"], rel=1e-11)
    assert float(spectrum.square().sum()) == pytest.approx(exact["circ_sum_sq = n^2*||K||_F^2"], rel=1e-11)
    zeros = torch.linalg.svdvals(spectra.dense(kernel, size, padding="zeros"))
    assert float(zeros.max()) == pytest.approx(exact["zero_pad1_sigma_max"], rel=1e-11)
    flattened = torch.linalg.matrix_norm(kernel.flatten(1), ord=2)
    assert float(flattened) == pytest.approx(EXACT["convolution"]["flattened"], rel=1e-11)


def test_the_unfolding_bound_is_a_bound_at_every_size(kernel):
    """Its value, and above the true norm at sizes 4 to 16, circular and zero-padded."""
    bound = float(spectra.unfolding_bound(kernel))
    assert bound == pytest.approx(EXACT["convolution"]["unfolding"], rel=1e-11)
    assert all(float(spectra.circular(kernel, size).max()) <= bound for size in range(4, 17))
    assert float(torch.linalg.svdvals(spectra.dense(kernel, 6, padding="zeros")).max()) <= bound


@pytest.mark.parametrize(("size", "stride", "message"), [(7, 2, "must divide"), (2, 1, "at least as large")])
def test_sizes_that_make_no_sense_are_refused(kernel, size, stride, message):
    """Before anything is transformed."""
    with pytest.raises(ValueError, match=message):
        spectra.circular(kernel, size, stride)


# -- operations -------------------------------------------------------------------------------------------------------


def counts():
    a = gaussian(3, 20, 8)
    s, b = a.mT @ a, gaussian(3, 8, 5)
    return {
        "product": (lambda: a.mT @ a, 3 * 2 * 20 * 8 * 8),
        "matrix and vector": (lambda: a[0] @ b[0, :, 0], 2 * 20 * 8),
        "qr": (lambda: torch.linalg.qr(a), 3 * (4 * 20 * 64 - 4 * 512 / 3)),
        "only r": (lambda: torch.linalg.qr(a, mode="r"), 3 * (2 * 20 * 64 - 2 * 512 / 3)),
        "svd": (lambda: torch.linalg.svd(a, full_matrices=False), 3 * (6 * 20 * 64 + 20 * 512)),
        "singular values": (lambda: torch.linalg.svdvals(a), 3 * (2 * 20 * 64 + 2 * 512)),
        "spectral norm": (lambda: torch.linalg.matrix_norm(a, ord=2), 3 * (2 * 20 * 64 + 2 * 512)),
        "eigenvalues": (lambda: torch.linalg.eigvalsh(s), 3 * 4 * 512 / 3),
        "eigenvectors": (lambda: torch.linalg.eigh(s), 3 * 9 * 512),
        "system": (lambda: torch.linalg.solve(s, b), 3 * (2 * 512 / 3 + 2 * 64 * 5)),
        "triangular": (lambda: torch.linalg.solve_triangular(s, b, upper=True), 3 * 64 * 5),
        "cholesky": (lambda: torch.linalg.cholesky(s), 3 * 512 / 3),
        "inverse": (lambda: torch.linalg.inv(s), 3 * 2 * 512),
        "exponential": (lambda: torch.linalg.matrix_exp(s), 3 * 10 * 512),
        "reflections": (lambda: torch.geqrf(a), 3 * (2 * 20 * 64 - 2 * 512 / 3)),
        "elementwise": (lambda: a + a.sin(), 0),
    }


@pytest.mark.parametrize("name", counts())
def test_operations_are_counted_by_the_formula(name):
    """Each factorization once, batches included; torch's own counter sees only the products."""
    call, expected = counts()[name]
    assert flops.count(call) == pytest.approx(expected, abs=3)


def test_the_backward_pass_counts_too():
    """The gradient of a product is two products of its size."""
    a, b = gaussian(6, 5).requires_grad_(), gaussian(5, 4).requires_grad_()
    assert flops.count(lambda: (a @ b).sum().backward()) == 3 * 2 * 6 * 5 * 4


def test_singular_values_that_are_differentiated_cost_their_vectors():
    """Torch computes them for the backward pass, and so they are counted."""
    matrix = gaussian(20, 8).requires_grad_()
    assert flops.count(lambda: torch.linalg.svdvals(matrix)) == pytest.approx(flops.svd(20, 8), abs=1)


def test_making_a_parametrization_without_grad_can_be_counted():
    """Torch's own mode hooks gradients of modules and fails there."""
    from kexue_orthogonality import Parametrization, targets_of

    with torch.no_grad():
        model = torch.nn.Linear(6, 4)
        assert flops.count(lambda: Parametrization().attach(targets_of(model))) > 0
