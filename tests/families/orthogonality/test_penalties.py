"""Penalties against values and gradients computed elsewhere, and against the identities between them."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_orthogonality import (
    Coherence,
    Cosine,
    DoubleSoft,
    HypersphericalEnergy,
    L1Gram,
    LogDetDivergence,
    McEntry,
    McInduced,
    Ocnn,
    OffDiagonal,
    OrthoReg,
    PolarDistance,
    SelfOrthogonality,
    Soft,
    SpectralPenalty,
    Srip,
    VonNeumannDivergence,
    polar,
)

PENALTIES = {
    "SO": Soft(),
    "DSO": DoubleSoft(),
    "BIGGAN_OFFDIAG": OffDiagonal(),
    "L1_BROCK2016": L1Gram(),
    "MC_ENTRY": McEntry(),
    "MC_INDUCED_INF": McInduced(),
    "SRIP_EXACT": Srip(),
    "COHERENCE": Coherence(),
    "COS2": Cosine(),
    "ORTHOREG_lam10": OrthoReg(),
    "MHE_s1": HypersphericalEnergy(space="full"),
    "MHE_s2": HypersphericalEnergy(space="full", power=2.0),
    "MHE_log": HypersphericalEnergy(space="full", power=0.0),
    "HALFSPACE_MHE_s1": HypersphericalEnergy(),
    "SOM_EXACT_l100_1": SelfOrthogonality(estimator="exact"),
    "SNP": SpectralPenalty(),
    "POLAR_DIST2": PolarDistance(),
    "LOGDET_DIV": LogDetDivergence(),
    "VON_NEUMANN_DIV": VonNeumannDivergence(),
}
SHAPES = {"W53": (5, 3, 1.0), "W35": (3, 5, 1.0), "W44h": (4, 4, 0.5)}
# The divergences need full rank in the k x k Gram matrix: the file has none for k > d.
ENTRIES = [(m, p) for m in SHAPES for p in PENALTIES if m != "W35" or p not in {"LOGDET_DIV", "VON_NEUMANN_DIV"}]


def matrix(name):
    """sin(i (j + 1)), i and j from 1."""
    d, k, scale = SHAPES[name]
    rows, columns = torch.arange(1, d + 1).double(), torch.arange(2, k + 2).double()
    return (scale * torch.sin(rows[:, None] * columns)).requires_grad_()


@pytest.mark.parametrize(("where", "penalty"), ENTRIES)
def test_value_and_gradient_are_those_of_the_reference(reference, where, penalty):
    """To 1e-9 of the largest entry, in float64."""
    expected, w = reference["penalties"][where][penalty], matrix(where)
    value = PENALTIES[penalty].value(w)
    value.backward()
    gradient = torch.tensor(expected["gradient"], dtype=torch.float64)
    torch.testing.assert_close(value.detach(), value.new_tensor(expected["value"]), rtol=1e-9, atol=1e-12)
    assert float((w.grad - gradient).abs().max()) <= 1e-9 * float(gradient.abs().max())


@pytest.mark.parametrize(("gamma", "key"), [(10.0, "SOM_TANH_g10_X7x5"), (1.0, "SOM_TANH_g1_X7x5")])
def test_the_batch_estimate_of_angles_is_that_of_the_reference(reference, gamma, key):
    """Value and gradient in W of the smoothed signs of X W, X[a, b] = cos(0.3 a (b + 1))."""
    expected, w = reference["penalties"]["W53"][key], matrix("W53")
    x = torch.cos(0.3 * torch.arange(1, 8).double()[:, None] * torch.arange(2, 7).double())
    value = SelfOrthogonality(gamma=gamma).batch_value(x @ w)
    value.backward()
    gradient = torch.tensor(expected["gradient"], dtype=torch.float64)
    torch.testing.assert_close(value.detach(), value.new_tensor(expected["value"]), rtol=1e-9, atol=1e-12)
    assert float((w.grad - gradient).abs().max()) <= 1e-9 * float(gradient.abs().max())


@pytest.mark.parametrize("where", SHAPES)
def test_two_steps_from_ones_on_the_smaller_gram_matrix(reference, where):
    """|E v| after one normalized step, and its square as the published code returns it."""
    expected = reference["penalties"][where]["two-step"]["gram_min(d,k)"]
    w = matrix(where).detach()
    torch.testing.assert_close(Srip(solver="two-step").value(w), w.new_tensor(expected), rtol=1e-9, atol=0)
    torch.testing.assert_close(Srip(solver="released").value(w), w.new_tensor(expected**2), rtol=1e-9, atol=0)


def kernel():
    """cos(1 + o + 2 c + 3 a + 5 b) / 3, indices from 0."""
    o, c, a, b = (torch.arange(n).double() for n in (3, 2, 3, 3))
    phase = 1 + o[:, None, None, None] + 2 * c[:, None, None] + 3 * a[:, None] + 5 * b
    return torch.cos(phase) / 3


@pytest.mark.parametrize(
    ("stride", "padding", "key"),
    [
        (1, "full", "OCNN_s1_P2"),
        (2, "full", "OCNN_s2_P2"),
        (1, "released", "OCNN_s1_pad1_as_released"),
        (2, "released", "OCNN_s2_pad1_as_released"),
    ],
)
def test_the_penalty_of_a_kernel_is_that_of_the_reference(reference, stride, padding, key):
    """At both strides, with the right padding and with the published one; alone and in a stack."""
    k, method = kernel(), Ocnn(padding=padding)
    expected = torch.tensor(reference["kernel"][key], dtype=torch.float64)
    torch.testing.assert_close(method.kernel_value(k, (stride, stride)), expected, rtol=1e-9, atol=0)
    stacked = method.kernel_value(torch.stack([k, 0 * k, k]), (stride, stride))
    torch.testing.assert_close(stacked, torch.stack([expected, expected.new_tensor(3.0), expected]), rtol=1e-9, atol=0)


@pytest.mark.parametrize("where", SHAPES)
def test_identities_between_penalties(where):
    """DSO = 2 SO + d - k; SO = OFF + sum (|w|^2 - 1)^2 = sum (s^2 - 1)^2 + k - min(d, k)."""
    w = matrix(where).detach()
    d, k = w.shape
    soft = Soft().value(w)
    torch.testing.assert_close(DoubleSoft().value(w), 2 * soft + d - k)
    torch.testing.assert_close(soft, OffDiagonal().value(w) + (w.square().sum(0) - 1).square().sum())
    spectrum = torch.linalg.svdvals(w)
    torch.testing.assert_close(soft, (spectrum.square() - 1).square().sum() + k - min(d, k))


@pytest.mark.parametrize("where", ["W53", "W44h"])
def test_inequalities_between_norms_of_the_gram_error(where):
    """Entry <= spectral <= induced, and spectral <= Frobenius <= sqrt(k) spectral."""
    w = matrix(where).detach()
    spectral, frobenius = float(Srip().value(w)), math.sqrt(float(Soft().value(w)))
    assert float(McEntry().value(w)) <= spectral <= float(McInduced().value(w))
    assert spectral <= frobenius <= math.sqrt(w.shape[1]) * spectral


def test_double_soft_has_exactly_twice_the_gradient_of_soft():
    """So the two differ only by their weight."""
    w, v = matrix("W53"), matrix("W53")
    Soft().value(w).backward()
    DoubleSoft().value(v).backward()
    torch.testing.assert_close(v.grad, 2 * w.grad, rtol=1e-12, atol=1e-12)


def test_off_diagonal_scales_with_the_fourth_power():
    """It is degenerate without a term for lengths: shrinking W shrinks it to zero."""
    w = matrix("W53").detach()
    torch.testing.assert_close(OffDiagonal().value(0.5 * w), OffDiagonal().value(w) / 16)


@pytest.mark.parametrize("method", [Cosine(), Coherence(), OrthoReg(), SelfOrthogonality(estimator="exact")])
def test_cosines_do_not_see_lengths(method):
    """R(W D) = R(W) for positive diagonal D."""
    w = matrix("W53").detach()
    torch.testing.assert_close(method.value(w * torch.tensor([0.3, 2.0, 7.0])), method.value(w))


@pytest.mark.parametrize(
    "method", [Coherence(), Cosine(), McEntry(), L1Gram(), OffDiagonal(), SelfOrthogonality(estimator="exact")]
)
def test_penalties_of_entries_see_rotations_of_columns(method):
    """Only penalties of singular values are invariant to the right; all are invariant to permutations."""
    w = matrix("W53").detach()
    turn = polar(torch.sin(torch.arange(9.0).double()).reshape(3, 3))
    assert abs(float(method.value(w @ turn) - method.value(w))) > 1e-3
    torch.testing.assert_close(method.value(w[:, [2, 0, 1]]), method.value(w))


@pytest.mark.parametrize(("columns", "power"), [(2, 1.0), (3, 1.0), (4, 1.0)])
def test_the_energy_in_full_space_prefers_a_simplex(reference, columns, power):
    """k(k-1)/sqrt(2k/(k-1)), from the reference for k = 2, 3, 4: below that of orthonormal columns."""
    simplex = torch.eye(columns).double() - 1 / columns
    energy = HypersphericalEnergy(space="full", power=power)
    expected = {2: "d>=1,k=2 (antipodal)", 3: "d=2,k=3", 4: "d=3,k=4 tetra"}[columns]
    torch.testing.assert_close(
        energy.value(simplex), torch.tensor(reference["facts"]["mhe"][expected], dtype=torch.float64), rtol=1e-9, atol=0
    )
    assert float(energy.value(torch.eye(columns).double())) > float(energy.value(simplex)) + 1e-3


def test_the_energy_of_orthonormal_columns():
    """Three of them: six ordered pairs at distance sqrt(2), 4.2426, which is not optimal."""
    expected = torch.tensor(18**0.5, dtype=torch.float64)
    value = HypersphericalEnergy(space="full").value(torch.eye(5, 3).double())
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=0)


def test_the_energy_in_half_space_is_least_at_right_angles():
    """A curve of rotations through an orthonormal pair has its minimum there."""
    angles = torch.linspace(-0.5, 0.5, 11).double()
    pairs = torch.stack([torch.stack([torch.tensor([1.0, 0.0]).double(), a]) for a in _turned(angles)]).mT
    values = HypersphericalEnergy().value(pairs)
    assert int(values.argmin()) == 5


def _turned(angles):
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=1)


def test_the_energy_of_opposites_is_that_of_twice_the_columns():
    """Half space by its definition, the full energy of [W, -W], at a quarter of the products."""
    w = matrix("W53").detach()
    for power in (0.0, 1.0, 2.0):
        both = HypersphericalEnergy(space="full", power=power).value(torch.cat([w, -w], 1))
        torch.testing.assert_close(HypersphericalEnergy(power=power).value(w), both, rtol=1e-12, atol=0)


def test_the_squared_mean_of_angles_punishes_the_best_frame(reference):
    """Three lines in the plane: 120 degrees costs 400.7, two of 60 degrees 45.1, and the optimum is not a frame."""
    facts, method = reference["facts"]["som_optimum"], SelfOrthogonality(estimator="exact")

    def lines(*degrees):
        at = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
        return method.value(torch.stack([torch.cos(at), torch.sin(at)]))

    expected = torch.tensor(
        [facts[key] for key in ("equiangular120_R", "two 60deg one 120deg", "R")], dtype=torch.float64
    )
    best = 180 * facts["total_angle_over_pi"]
    values = torch.stack([lines(0.0, 120.0, 240.0), lines(0.0, 60.0, 120.0), lines(0.0, best / 2, best)])
    torch.testing.assert_close(values, expected, rtol=1e-9, atol=0)


def test_the_mean_of_soft_orthogonality_of_gaussian_matrices():
    """Entries N(0, 1/d): E SO = k (k + 1) / d exactly; 2,000 matrices of 64 x 32.

    The tolerance is five standard errors: a false alarm once in two million.
    """
    draws = torch.randn(2000, 64, 32, generator=torch.Generator().manual_seed(0)).double() / 8
    values = Soft().value(draws)
    assert abs(float(values.mean()) - 32 * 33 / 64) < 5 * float(values.std()) / 2000**0.5


def test_the_penalty_of_a_stack_is_that_of_each_matrix():
    """Every value takes leading dimensions and never mixes along them."""
    stack = torch.stack([matrix("W53").detach(), 0.5 * matrix("W53").detach()])
    for method in (*PENALTIES.values(), Srip(solver="two-step"), Srip(solver="power")):
        torch.testing.assert_close(method.value(stack), torch.stack([method.value(w) for w in stack]))


@pytest.mark.parametrize("where", ["W53", "W44h"])
def test_power_iteration_is_a_lower_bound_that_converges(where):
    """|v^T E v| of a unit vector never exceeds |E|, and reaches it in the end."""
    w = matrix(where).detach()
    exact = float(Srip().value(w))
    values = [float(Srip(solver="power", steps=n).value(w)) for n in (1, 2, 5, 2000)]
    assert all(value <= exact * (1 + 1e-12) for value in values)
    assert values[-1] == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("start", ["rand", "randn"])
def test_two_steps_underestimate_the_norm_of_gaussian_matrices(start):
    """Always a lower bound, of 64 x 32 matrices about two thirds; the distribution of the start does not matter.

    A Gaussian W has no preferred direction, so that uniform and normal starts see the same matrices. On one fixed
    matrix they differ, by up to 0.06. Over 400 matrices the mean has a standard error below 0.005.
    """
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn(400, 64, 32, generator=generator).double() / 8
    b = getattr(torch, start)(400, 32, generator=generator).double()
    ratio = Srip(solver="two-step").value(draws, b) / Srip().value(draws)
    assert float(ratio.max()) <= 1
    assert abs(float(ratio.mean()) - 0.645) < 5 * 0.005


def test_descent_on_soft_moves_singular_values_one_by_one():
    """Each s becomes s (1 + 4 r - 4 r s^2), singular vectors unchanged; at r = 1/8 the cubic Newton-Schulz step."""
    w = matrix("W53")
    Soft().value(w).backward()
    left, s, right = torch.linalg.svd(w.detach(), full_matrices=False)
    for rate in (0.01, 1 / 8):
        expected = left @ torch.diag(s * (1 + 4 * rate - 4 * rate * s**2)) @ right
        torch.testing.assert_close(w.detach() - rate * w.grad, expected, rtol=1e-12, atol=1e-12)
    start = w.detach() / 3
    cubic = 1.5 * start - 0.5 * start @ start.mT @ start
    torch.testing.assert_close(start - _soft_gradient(start) / 8, cubic, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("value", "fate"),
    [(2.999**0.5, "kept"), (3.001**0.5, "flipped"), (4.999**0.5, "bounded"), (5.001**0.5, "diverged")],
)
def test_the_basin_of_soft_descent_at_one_eighth(value, fate):
    """The sign is kept below s^2 = 1 + 1/(4 r) = 3, and beyond 1 + 1/(2 r) = 5 it diverges."""
    w = torch.full((1, 1), value).double()
    first = w - _soft_gradient(w) / 8
    for _ in range(400):
        w = w - _soft_gradient(w) / 8
    assert (float(first) > 0) == (fate == "kept")
    assert bool(w.isfinite().all()) == (fate != "diverged")
    if fate in {"kept", "flipped"}:
        assert abs(float(w)) == pytest.approx(1)


@pytest.mark.parametrize(("rate", "stable"), [(0.249, True), (0.251, False)])
def test_soft_descent_is_stable_below_a_quarter(rate, stable):
    """Near s = 1 the error is multiplied by 1 - 8 r."""
    w = torch.full((1, 1), 1.001).double()
    for _ in range(3000):
        w = w - rate * _soft_gradient(w)
    assert (abs(float(w) - 1) < 1e-3) == stable


def test_soft_descent_ends_at_the_polar_factor():
    """The limit is the nearest matrix with orthonormal columns of the start, to rounding."""
    start = matrix("W53").detach() / 3
    w = start
    for _ in range(60):
        w = w - _soft_gradient(w) / 8
    torch.testing.assert_close(w, polar(start), rtol=0, atol=1e-13)


def _soft_gradient(w):
    return 4 * w @ (w.mT @ w - torch.eye(w.shape[-1]).double())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Soft(weight=-1.0),
        lambda: OffDiagonal(gradient="half"),
        lambda: Srip(solver="lanczos"),
        lambda: Srip(steps=0),
        lambda: HypersphericalEnergy(power=-1.0),
        lambda: HypersphericalEnergy(space="quarter"),
        lambda: Ocnn(padding="same"),
        lambda: OrthoReg(sharpness=0.0),
        lambda: SelfOrthogonality(gamma=0.0),
        lambda: SelfOrthogonality(estimator="mean"),
        lambda: SelfOrthogonality(pair=-1.0),
        lambda: SelfOrthogonality(samples=0),
        lambda: SelfOrthogonality(momentum=1.0),
    ],
)
def test_hyper_parameters_are_checked(make):
    """The message says what was got."""
    with pytest.raises(ValueError, match="got"):
        make()


def test_srip_has_second_derivatives():
    """Of the eigenvalue itself, against differences: the eigenvector moves with the weight."""
    weight = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 3
    with torch.enable_grad():
        assert torch.autograd.gradgradcheck(Srip().value, (weight.requires_grad_(),))
