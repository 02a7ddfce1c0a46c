"""Properties of single operators, from identities and other libraries."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special
from sklearn.isotonic import isotonic_regression

import kexue_smoothing as ks
from kexue_bench.lab.noise import Noise
from kexue_smoothing.contract import KINDS, SCALARS, fitting
from kexue_smoothing.methods.top_k import ThresholdTopK


def rows(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_isotonic_regression_is_that_of_scikit_learn():
    """The fit equals scikit-learn's on 200 rows, including ties and long runs."""
    v = rows(200, 17).round(decimals=1)
    expected = np.stack([isotonic_regression(row) for row in v.numpy()])
    np.testing.assert_allclose(ks.isotonic(v).numpy(), expected, atol=1e-12)


def test_a_soft_rank_is_the_nearest_point_of_the_permutahedron():
    """The soft rank satisfies the optimality condition of the projection at every vertex."""
    x, s = rows(4), 0.7
    ranks = ks.FastSoftRank().apply(x, softness=s)
    vertices = torch.tensor(list(itertools.permutations(range(1, 5))), dtype=torch.float64)
    # y is the projection of z iff <z - y, v - y> <= 0 for every vertex v.
    assert float(((x / s - ranks) * (vertices - ranks)).sum(-1).max()) < 1e-12


def test_hard_ranks_appear_exactly_where_gaps_reach_the_softness():
    """Hard ranks occur with P(no gap below s) = (1 - (n - 1) s)^n, within 5 standard errors (false-alarm rate 6e-7)."""
    n, s = 20, 1e-3
    x = torch.rand(2000, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exact = (ks.FastSoftRank().apply(x, softness=s) == ks.hard("rank", x)).all(-1).double()
    expected = (1 - (n - 1) * s) ** n
    assert abs(float(exact.mean()) - expected) < 5 * math.sqrt(expected * (1 - expected) / 2000)


@pytest.mark.parametrize("alpha", [1.0, 1.2, 1.5, 2.0, 3.0])
def test_entmax_maximises_its_regularised_choice(alpha):
    """No random point of the simplex has a larger value, and the soft maximum is the value at the weights."""
    x, s = rows(6), 0.8
    p = ks.Entmax(alpha=alpha).apply(x, softness=s)
    q = torch.from_numpy(np.random.default_rng(0).dirichlet([0.5] * 6, 4000))

    def value(p):
        tsallis = (1 - (p.numpy() ** alpha).sum(-1)) / (alpha * max(alpha - 1, 1e-9))
        entropy = special.entr(p.numpy()).sum(-1) if alpha == 1 else tsallis
        return (p @ x).numpy() + s * entropy

    assert value(q).max() <= value(p)
    np.testing.assert_allclose(ks.EntmaxMax(alpha=alpha).apply(x, softness=s), value(p), rtol=1e-12)


def test_entmax_of_1_33_is_the_printed_one():
    """Two rows match the README of entmax to the printed digits."""
    operator = ks.Entmax(alpha=1.33)
    for x, printed in (((-1.0, 0.0, 0.5), (0.046, 0.3276, 0.6264)), ((1.0, 2.0, 3.5), (0.0026, 0.1012, 0.8963))):
        found = operator.apply(torch.tensor(x, dtype=torch.float64), softness=1.0)
        np.testing.assert_allclose(found, printed, atol=5.001e-5)


def test_soft_spearman_correlation_and_its_gradient_are_the_printed_ones():
    """Soft ranks reproduce the last example of torchsort's README."""
    operator = ks.FastSoftRank()
    prediction, target = torch.tensor([[1.0, 2, 3, 4, 5]]).double(), torch.tensor([[5.0, 6, 7, 8, 7]]).double()
    with torch.enable_grad():
        prediction.requires_grad_()
        a, b = (operator.apply(v, softness=1.0) for v in (prediction, target))
        a, b = ((v - v.mean()) / (v - v.mean()).norm() for v in (a, b))
        value = (a * b).sum()
        value.backward()
    assert abs(float(value) - 0.8321) < 5e-5
    np.testing.assert_allclose(prediction.grad[0], [-0.05547, 0, 0.05547, 0.11094, -0.11094], atol=5e-6)


@pytest.mark.parametrize("softness", [1e-3, 0.3, 10.0])
def test_lapsum_in_closed_form_is_its_own_bisection(softness):
    """The closed form equals bisection for every k, with and without ties, and the weights sum to k."""
    x = torch.cat([rows(20, 9), rows(20, 9).round()])
    for k in range(1, 9):
        closed = ks.LapSum().apply(x, softness=softness, k=k)
        ordered = x - x.topk(k, -1).values[..., -1:]
        b = ThresholdTopK.threshold(ks.LapSum(), (ordered / softness).clamp(-100, 100), k)
        torch.testing.assert_close(
            closed, ks.LapSum().step((ordered / softness).clamp(-100, 100) - b), rtol=0, atol=1e-10
        )
        torch.testing.assert_close(closed.sum(-1), torch.full((40,), float(k), dtype=torch.float64), rtol=0, atol=1e-10)


def test_sinkhorn_converges_to_sigmoids_at_half_the_softness():
    """Many Sinkhorn iterations give `LogisticTopK` at half the softness."""
    x = rows(8, 12)
    found = ks.SinkhornTopK(iterations=2000).apply(x, softness=0.4, k=5)
    torch.testing.assert_close(found, ks.LogisticTopK().apply(x, softness=0.2, k=5), rtol=0, atol=1e-9)


def test_projection_onto_weights_of_sum_1_is_sparsemax():
    """For k = 1 the projection is sparsemax."""
    x = rows(30, 7)
    found = ks.ProjectionTopK().apply(x, softness=0.9, k=1)
    torch.testing.assert_close(found, ks.Sparsemax().apply(x, softness=0.9), rtol=0, atol=1e-12)


@pytest.mark.statistical
def test_perturbed_ranks_and_their_gradients_are_sums_of_sigmoids_on_average():
    """With Gumbel noise mean ranks and gradients are those of `PairwiseRank`, within 6 standard errors (rate 2e-8)."""
    x, s = torch.tensor([0.3, 1.2, -0.5, 0.9], dtype=torch.float64), 0.5
    cotangent = torch.tensor([1.0, -2.0, 0.5, 0.3], dtype=torch.float64)
    operator, noise = ks.Perturbed(samples=8, distribution="gumbel").of("rank"), Noise.seeded(3, dtype=torch.float64)
    with torch.enable_grad():
        many = x.expand(20000, 4).clone().requires_grad_()
        value = operator.apply(many, softness=s, noise=noise)
        (slope,) = torch.autograd.grad((value * cotangent).sum(), many)
        exact = x.clone().requires_grad_()
        soft = ks.PairwiseRank().apply(exact, softness=s)
        (expected,) = torch.autograd.grad((soft * cotangent).sum(), exact)
    for found, truth in ((value, soft), (slope, expected)):
        error = found.std(0) / math.sqrt(len(found))
        assert float(((found.mean(0) - truth) / error).abs().max()) < 6


def test_the_error_of_a_soft_assignment_vanishes_into_the_identity():
    """For large softness |soft(x) - x| is below 4 pi s exp(-pi^2 s), by the Poisson summation formula."""
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    for s in (1.0, 2.0, 3.9, 5.0):
        gap = float((ks.SoftAssignment().apply(x, softness=s) - x).abs().max())
        assert gap < 4 * math.pi * s * math.exp(-(math.pi**2) * s) + 1e-14


def test_a_perturbed_maximum_is_a_convolution():
    """E|x + s z| with normal z, by quadrature, is the erf form plus a Gaussian term."""
    x, s = 0.4, 0.5
    value, _ = integrate.quad(
        lambda z: abs(x + s * z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -12, 12, points=[-x / s]
    )
    soft = ks.SoftAbs(law="erf").apply(torch.tensor(x, dtype=torch.float64), softness=s * math.sqrt(2))
    assert abs(value - float(soft) - 2 * s * math.exp(-((x / s) ** 2) / 2) / math.sqrt(2 * math.pi)) < 1e-9


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SCALARS])
def test_a_dimension_can_be_chosen(kind):
    """Along dim 0 of the transposed rows an operator returns the transposed result."""
    operator, x = ks.Softmax().of(kind), rows(5, 7)
    more = {"k": 3} if kind == "top-k" else {"noise": Noise.seeded(0, dtype=torch.float64)} if kind == "sample" else {}
    along = operator.apply(x, softness=0.5, **more)
    if kind == "sample":
        assert along.shape == x.shape
        return
    turned = operator.apply(x.T, softness=0.5, dim=0, **more)
    torch.testing.assert_close(turned, along.T if along.ndim == 2 else along, rtol=0, atol=1e-15)


@pytest.mark.parametrize("kind", ["max", "one-hot", "cumax", "top-k", "argmax"])
def test_a_masked_entry_is_as_good_as_absent(kind):
    """Masked entries can be dropped without changing the result, and their values have no effect."""
    operator, x = ks.Softmax().of(kind), rows(6)
    mask = torch.tensor([True, True, True, True, False, False])
    more = {"k": 2} if kind == "top-k" else {}
    masked, short = operator.apply(x, softness=0.5, mask=mask, **more), operator.apply(x[:4], softness=0.5, **more)
    torch.testing.assert_close(masked[:4] if masked.ndim else masked, short)
    moved = operator.apply(torch.where(mask, x, 1e9), softness=0.5, mask=mask, **more)
    torch.testing.assert_close(moved, masked, rtol=0, atol=0)


def test_rows_without_entries_have_no_maximum():
    """A row without entries has the maximum minus infinity and an indicator of zeros."""
    x = torch.full((1, 3), -math.inf)
    assert ks.LogSumExp().apply(x, softness=1.0).item() == -math.inf
    assert ks.Sparsemax().apply(x, softness=1.0).tolist() == [[0.0, 0.0, 0.0]]
    assert ks.LapSum().apply(x, softness=1.0, k=2).tolist() == [[0.0, 0.0, 0.0]]


def test_long_rows_of_ties_sum_to_k():
    """Weights sum to k for 10,000 equal or distinct entries in float32."""
    for x in (torch.zeros(10000), torch.linspace(0, 1, 10000)):
        for operator in (ks.LapSum(), ks.LogisticTopK(), ks.ProjectionTopK()):
            assert abs(operator.apply(x, softness=1e-2, k=100).sum().item() - 100) < 0.05


def test_a_second_derivative_of_the_regularised_maximum_is_that_of_its_weights():
    """The Hessian of the sparsemax maximum is the Jacobian of sparsemax."""
    x = torch.tensor([1.0, 0.8, 0.1], dtype=torch.float64)
    with torch.enable_grad():
        hessian = torch.autograd.functional.hessian(lambda x: ks.EntmaxMax().apply(x, softness=0.5), x)
        jacobian = torch.autograd.functional.jacobian(lambda x: ks.Sparsemax().apply(x, softness=0.5), x)
    torch.testing.assert_close(hessian, jacobian)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ks.LogSumExp().apply(torch.ones(3), softness=0.0), "softness must be positive and finite, got 0.0"),
        (lambda: ks.LogSumExp().apply(torch.ones(3), softness=1e-50), "the minimum for torch.float32"),
        (lambda: ks.LogSumExp().apply(torch.ones(3).long(), softness=1.0), "x must be floating point, got torch.int64"),
        (lambda: ks.LapSum().apply(torch.ones(3), softness=1.0, k=4), "k must be between 1 and the 3 entries"),
        (lambda: ks.PNorm().apply(torch.tensor([-1.0, 2.0]), softness=1.0), "entries >= 0, got -1"),
        (lambda: ks.PNorm().bound(3, 0.0, 1.0), "got no x"),
        (lambda: ks.PairMax().apply(torch.ones(3), softness=1.0), "two entries"),
        (lambda: ks.SortingNetwork(network="bitonic").apply(torch.ones(3), softness=1.0), "power of 2 entries, got 3"),
        (lambda: ks.Entmax(alpha=0.5), "alpha must be >= 1"),
        (lambda: ks.Perturbed(samples=1), "samples must be >= 2"),
        (lambda: ks.LogSumExp().apply(torch.ones(2, 3), softness=1.0, mask=torch.ones(3).bool()), "mask must be bool"),
        (lambda: fitting(ks.LogSumExp(), "sort"), "smooths 'max', but the task needs 'sort'"),
        (lambda: ks.Softmax().of("median"), "kind must be one of"),
    ],
)
def test_errors_say_what_was_got(call, message):
    """An error states what is required, what was given and, if possible, what to do."""
    with pytest.raises((ValueError, TypeError), match=message.replace("(", r"\(")):
        call()
