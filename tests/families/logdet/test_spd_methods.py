"""The estimators for SPD operators against closed forms, enumerations and naive versions of themselves."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import linalg

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_logdet import SLQ, Bounds, Operator
from kexue_logdet.blocks import probe_blocks
from kexue_logdet.lanczos import apply, krylov, quadrature, radau_quadrature
from kexue_logdet.methods.chebyshev import Chebyshev
from kexue_logdet.methods.hutchinson import Hutchinson
from kexue_logdet.methods.hutchpp import HutchPP
from kexue_logdet.methods.krylov_deflated_slq import KrylovDeflatedSLQ
from kexue_logdet.methods.na_hutchpp import NAHutchPP
from kexue_logdet.methods.preconditioned_slq import PreconditionedSLQ
from kexue_logdet.methods.xnystrace import XNysTrace
from kexue_logdet.methods.xtrace import XTrace
from kexue_logdet.spectrum import interval
from kexue_logdet.tasks.grid_gradient import GridGradient
from kexue_logdet.tasks.grid_laplacian import GridLaplacian
from kexue_logdet.tasks.spectrum import Spectrum
from kexue_logdet.variances import hutchinson_variance, one_probe_variance

SPD = ("minij6", "lap1d6", "kms6", "lehmer6", "hilbert6")
TRACES = [HutchPP(), NAHutchPP(), XTrace(), XNysTrace()]
LAWS = ("rademacher", "gaussian", "sphere")


@pytest.fixture(scope="module")
def spd_reference():
    """Exact figures of SPD operators; each table's derivation is named in the file."""
    return json.loads((Path(__file__).parent / "reference_spd.json").read_text(encoding="utf-8"))


def noise(seed=0):
    return Noise.seeded(seed, dtype=torch.float64)


def diagonal(values, target="trace", **bounds):
    """The operator of a diagonal matrix, whose spectrum is all that rotation-invariant probes see."""
    column = values.unsqueeze(-1)
    known = Bounds(**bounds) if bounds else Bounds(low=float(values.min()), high=float(values.max()))
    return Operator(kind="spd", n=len(values), product=lambda v: column * v, target=target, bounds=known)


def spread(n, decay=0.7):
    """A full PSD matrix with eigenvalues decay^i and Haar eigenvectors."""
    q = torch.linalg.qr(noise(5).normal(n, n)).Q
    return (q * decay ** torch.arange(n, dtype=torch.float64)) @ q.mT


def run(method, op, repeats=1, budget=10**6, seed=0):
    metered = op.within(budget=budget, repeats=repeats)
    return method.estimate(metered, budget, noise(seed), repeats), metered.spent / repeats


# -- hutchinson and its variances -------------------------------------------------------------------------------------


def test_hutchinson_over_all_sign_vectors(spd_reference, matrix, signs, dealt):
    """Mean and variance of one Rademacher probe by enumeration, symmetric or not: 0.8 on bidiag6, where the formula for
    symmetric matrices would say 1.6.
    """
    for name, (trace, variance, *_) in spd_reference["traces"].items():
        op = Operator.of(matrix[name], "spd", target="trace")
        values = Hutchinson(probes=1).estimate(op, 1, dealt(signs), 64).value
        assert float(values.mean()) == pytest.approx(trace, abs=1e-12)
        assert float(values.var(correction=0)) == pytest.approx(variance, rel=1e-12, abs=1e-12)
    assert spd_reference["traces"]["bidiag6"][1] == pytest.approx(0.8)


def test_closed_variances_of_the_three_laws(spd_reference, matrix):
    """The formulas give every tabled figure, for the matrix and for its logarithm by scipy."""
    for name, (_, *variances) in spd_reference["traces"].items():
        for law, want in zip(LAWS, variances, strict=True):
            assert one_probe_variance(matrix[name], law) == pytest.approx(want, rel=1e-10, abs=1e-10)
    for name, variances in spd_reference["logs"].items():
        shift = 0 if name in SPD else np.eye(6)
        log = torch.tensor(np.asarray(linalg.logm(matrix[name].numpy() + shift)).real)
        for law, want in zip(LAWS, variances, strict=True):
            assert one_probe_variance(log, law) == pytest.approx(want, rel=1e-6, abs=1e-8)


def test_gaussian_variance_by_quadrature(matrix, hermite, spd_reference):
    """The closed Gaussian variance is that of the rule exact for quartics; the origin's share is added back."""
    nodes, weights = hermite
    for name in ("bidiag6", "mod11_6", "lap1d6"):
        form = (nodes @ matrix[name] * nodes).sum(1)
        second = float((weights * form.square()).sum())
        trace, _, gaussian, _ = spd_reference["traces"][name]
        assert second - trace**2 == pytest.approx(gaussian, rel=1e-10)


@pytest.mark.statistical
def test_orthogonal_probes_have_the_finite_population_factor(matrix):
    """Three Haar-orthogonal probes on mod11_6: variance 0.0405625 = sphere / 3 x 3 / 5, within 4 standard errors
    (kurtosis below 6: false alarm 1e-4 at most).
    """
    method = Hutchinson(probes=3, distribution="orthogonal")
    assert hutchinson_variance(method, matrix["mod11_6"]) == pytest.approx(0.0405625)
    values = run(method, Operator.of(matrix["mod11_6"], "spd", target="trace"), repeats=20_000)[0].value
    assert float(values.var()) == pytest.approx(0.0405625, rel=4 * math.sqrt(5 / 20_000))


def test_n_orthogonal_probes_are_exact(matrix):
    """At m = n an estimate is the trace, its error bar rounding; with n Lanczos steps the log-determinant too."""
    op = Operator.of(matrix["lehmer6"], "spd", target="trace")
    sample, _ = run(Hutchinson(probes=6, distribution="orthogonal"), op, repeats=4)
    assert sample.stderr is not None
    torch.testing.assert_close(sample.value, torch.full((4,), 6.0, dtype=torch.float64))
    assert float(sample.stderr.max()) == torch.finfo(torch.float64).eps * (6 + 6)
    log, _ = run(SLQ(steps=6, probes=6, distribution="orthogonal"), Operator.of(matrix["lehmer6"], "spd"), repeats=4)
    torch.testing.assert_close(log.value, torch.full((4,), -3.90942222372809, dtype=torch.float64))


def test_orthogonal_blocks():
    """Within a block of n the probes are orthogonal with length sqrt(n); a further block is independent."""
    op = diagonal(torch.ones(5, dtype=torch.float64))
    v = probe_blocks(op, noise(), "orthogonal", repeats=2, probes=7)
    gram = v[..., :5].mT @ v[..., :5]
    torch.testing.assert_close(gram, 5 * torch.eye(5, dtype=torch.float64).expand(2, 5, 5))
    torch.testing.assert_close(v.square().sum(-2), torch.full((2, 7), 5.0, dtype=torch.float64))


# -- chebyshev and bounds ---------------------------------------------------------------------------------------------


def test_chebyshev_has_the_tabled_bias(spd_reference):
    """A Rademacher probe of a diagonal matrix has no noise: one estimate is the tabled trace of the interpolant."""
    for tau, degree, expected in spd_reference["chebyshev"]:
        values = GridLaplacian(side=32, tau=tau).eigenvalues()
        op = diagonal(values, target="logdet", low=tau, high=tau + 8)
        sample, spent = run(Chebyshev(degree=degree, probes=1), op)
        assert float(sample.value) == pytest.approx(expected, abs=2e-8)
        assert spent == (degree + 1) // 2


def test_bounds_are_paid_for_where_they_are_missing():
    """Twenty Lanczos products per repeat, counted as bounds, give an interval that holds this spectrum."""
    values = torch.linspace(1, 9, 200, dtype=torch.float64)
    counter = Counter()
    op = Operator(kind="spd", n=200, product=lambda v: values.unsqueeze(-1) * v)
    metered = op.within(budget=80, repeats=3, counter=counter)
    low, high = interval(metered, noise(), repeats=3, steps=20)
    assert counter.units == {"products": 60, "bounds": 60}
    assert bool((low <= 1).all() and (low > 0.4).all() and (high >= 9).all() and (high < 11).all())
    _, spent = run(Chebyshev(), op, repeats=2)
    assert spent == 80


# -- slq: brackets, orthogonalization, gradients ----------------------------------------------------------------------


@pytest.mark.parametrize("name", SPD)
def test_gauss_and_radau_are_a_bracket(name, matrix):
    """For k = 1..6: Radau with its node at the smallest eigenvalue <= v^T log(A) v <= Gauss, both exact at k = n."""
    values, vectors = torch.linalg.eigh(matrix[name])
    v = torch.arange(1.0, 7.0, dtype=torch.float64)
    exact = float(((vectors.mT @ v).square() * values.log()).sum() / v.square().sum())
    slack = 1e-10 if name != "hilbert6" else 1e-5
    for k in range(1, 7):
        space = krylov(Operator.of(matrix[name], "spd"), (v / v.norm()).unsqueeze(0), k)
        upper = float(quadrature(space.diagonal, space.off))
        lower = float(radau_quadrature(space, float(values[0]) * (1 - 1e-9)))
        assert lower - slack <= exact <= upper + slack
    assert upper == pytest.approx(exact, abs=slack)


def test_slq_carries_its_bracket(matrix):
    """The bracket of an estimate is the mean of its probes' brackets, and there is none without a lower bound."""
    known = Operator.of(matrix["lap1d6"], "spd", bounds=Bounds(low=0.19, high=4.0))
    sample, _ = run(SLQ(steps=3, probes=4), known, repeats=5)
    assert sample.bracket is not None
    low, high = sample.bracket
    assert torch.equal(high, sample.value)
    assert bool((low < high).all())
    assert run(SLQ(steps=3), Operator.of(matrix["lap1d6"], "spd"))[0].bracket is None


def test_lanczos_without_orthogonalisation_is_the_same_while_nothing_is_lost():
    """Ten steps on 200 well-spread eigenvalues agree to rounding, and no basis is kept."""
    op = diagonal(torch.linspace(1, 9, 200, dtype=torch.float64), target="logdet")
    full, none = (run(SLQ(steps=10, orthogonalisation=kind), op, repeats=3)[0].value for kind in ("full", "none"))
    torch.testing.assert_close(full, none, rtol=1e-12, atol=0)
    start = torch.full((1, 200), 200**-0.5, dtype=torch.float64)
    assert krylov(op, start, 10, reorthogonalise=False).basis.shape == (1, 0, 200)


def test_log_products_are_exact_at_n_steps(matrix):
    """Log(A) v by six steps is scipy's matrix logarithm times v; a zero row stays zero."""
    a = matrix["lehmer6"]
    rows = torch.cat([noise().normal(3, 6), torch.zeros(1, 6, dtype=torch.float64)])
    want = rows @ torch.tensor(np.asarray(linalg.logm(a.numpy())).real)
    torch.testing.assert_close(apply(Operator.of(a, "spd"), rows, 6)[0], want, rtol=1e-9, atol=1e-9)


def test_slq_gradient_over_all_sign_vectors(dealt):
    """At k = n the mean surrogate gradient over all 16 sign vectors is (tr A^-1, tr A^-1 L) by eigenvalues; one more
    product per probe, counted as backward.
    """
    task, counter = GridGradient(side=2), Counter()
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 4)
    op = task.operator()
    metered = op.within(budget=5, repeats=16, counter=counter)
    with torch.no_grad():
        surrogate = SLQ(steps=4, probes=1).estimate(metered, 5, dealt(signs), 16).surrogate
    (gradient,) = torch.autograd.grad(surrogate.mean(), op.params)
    torch.testing.assert_close(gradient, task.truth(), rtol=1e-10, atol=1e-10)
    assert counter.units == {"products": 80, "backward": 16}


# -- low rank: hutch++, xtrace and related methods
# --------------------------------------------------------------------------


@pytest.mark.parametrize("method", TRACES, ids=lambda m: type(m).__name__)
def test_a_matrix_of_low_rank_is_found_exactly(method):
    """Rank 5 is within every sketch of 60 products: each estimate is the trace."""
    values = torch.zeros(200, dtype=torch.float64)
    values[:5] = torch.tensor([5.0, 4, 3, 2, 1])
    q = torch.linalg.qr(noise(7).normal(200, 200)).Q
    sample, spent = run(method, Operator.of((q * values) @ q.mT, "spd", target="trace"), repeats=6)
    torch.testing.assert_close(sample.value, torch.full((6,), 15.0, dtype=torch.float64), rtol=1e-9, atol=0)
    assert spent == 60


@pytest.mark.parametrize("vectors", [24, 48])
def test_budgets_are_spent_to_the_product(vectors):
    """Remainders included: the declared products are counted, on traces and on logarithms."""
    values = torch.linspace(1, 3, 300, dtype=torch.float64)
    for kind in (HutchPP, NAHutchPP, XTrace, XNysTrace):
        assert run(kind(vectors=vectors), diagonal(values), repeats=2)[1] == vectors
        assert run(kind(vectors=vectors, steps=5), diagonal(values, target="logdet"), repeats=2)[1] == 5 * vectors
    assert run(HutchPP(vectors=25), diagonal(values))[1] == 25
    assert run(NAHutchPP(vectors=29), diagonal(values))[1] == 29


def test_hutchpp_with_a_whole_basis_is_exact():
    """At s = n the first part is the trace and nothing is left to probe."""
    sample, spent = run(HutchPP(vectors=24), Operator.of(spread(8), "spd", target="trace"), repeats=3)
    torch.testing.assert_close(sample.value, torch.full((3,), float(spread(8).trace()), dtype=torch.float64))
    assert spent == 16


@pytest.mark.parametrize("normalisation", ["improved", "none"])
def test_xtrace_is_its_definition(normalisation):
    """Each leave-one-out term recomputed from a separate factorization, without the downdating formula."""
    n, tests = 20, 5
    a = spread(n)
    op = Operator.of(a, "spd", target="trace")
    omega = probe_blocks(op, noise(), "sphere", repeats=1, probes=tests)[0]
    terms = []
    for i in range(tests):
        q = torch.linalg.qr(a @ omega[:, [j for j in range(tests) if j != i]]).Q
        left = omega[:, i] - q @ (q.mT @ omega[:, i])
        scale = (n - tests + 1) / left.square().sum() if normalisation == "improved" else 1.0
        terms.append((q.mT @ a @ q).trace() + scale * left @ a @ left)
    sample, _ = run(XTrace(vectors=2 * tests, normalisation=normalisation), op)
    assert float(sample.value) == pytest.approx(float(torch.stack(terms).mean()), rel=1e-10)
    assert sample.stderr is not None
    assert float(sample.stderr) == pytest.approx(float(torch.stack(terms).std()) / math.sqrt(tests), rel=1e-6)


def test_xnystrace_is_its_definition():
    """Each leave-one-out term from a separate Nystrom approximation by a pseudo-inverse."""
    n, tests = 20, 4
    a = spread(n)
    op = Operator.of(a, "spd", target="trace")
    omega = probe_blocks(op, noise(), "sphere", repeats=1, probes=tests)[0]
    terms = []
    for i in range(tests):
        others = omega[:, [j for j in range(tests) if j != i]]
        y = a @ others
        rest = a - y @ torch.linalg.pinv(others.mT @ y) @ y.mT
        basis = torch.linalg.qr(others).Q
        left = omega[:, i] - basis @ (basis.mT @ omega[:, i])
        scale = (n - tests + 1) / left.square().sum()
        terms.append((a - rest).trace() + scale * omega[:, i] @ rest @ omega[:, i])
    sample, _ = run(XNysTrace(vectors=tests), op)
    assert float(sample.value) == pytest.approx(float(torch.stack(terms).mean()), rel=1e-8)


@pytest.mark.statistical
def test_hutchpp_keeps_its_bound(spd_reference):
    """Gaussian sketch, m = 60, the six spectra: the RMS error over 60 runs is below the closed bound, which is loose
    by more than the sampling error.
    """
    for name, (trace, _, _, bound) in spd_reference["spectra"].items():
        values = Spectrum(name=name, n=1000).eigenvalues()
        errors = run(HutchPP(distribution="gaussian"), diagonal(values), repeats=60)[0].value / trace - 1
        assert float(errors.square().mean().sqrt()) <= 1.2 * bound["60"]


def mean_error(method, name):
    values = Spectrum(name=name, n=1000).eigenvalues()
    sample, _ = run(method, diagonal(values), repeats=24, seed=1)
    return float((sample.value / values.sum() - 1).abs().mean())


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["smallstep", "bigstep"])
def test_steps_show_once_the_sketch_is_longer(name):
    """A step of rank 50 shows in Hutch++ once m / 3 > 50, in XTrace once m / 2 > 50, in XNysTrace once m > 50; before,
    the error is that of probing, about 1e-2, and after, that of the floor.
    """
    kinds = {HutchPP: (120, 180), XTrace: (80, 120), XNysTrace: (40, 120)}
    for kind, (before, after) in kinds.items():
        distribution = {"distribution": "sphere"}
        assert mean_error(kind(vectors=before, **distribution), name) > 5e-3
        assert mean_error(kind(vectors=after, **distribution), name) < 1e-3


@pytest.mark.statistical
def test_xtrace_beats_hutchpp_where_eigenvalues_decay():
    """At least threefold on 0.9^i with 120 products (about six), and no loss beyond noise on the flat spectrum."""
    decay = [mean_error(kind(vectors=120, distribution="sphere"), "slowexp") for kind in (HutchPP, XTrace)]
    flat = [mean_error(kind(vectors=120, distribution="sphere"), "flat") for kind in (HutchPP, XTrace)]
    assert decay[0] > 3 * decay[1]
    assert 0.5 < flat[0] / flat[1] < 4


@pytest.mark.statistical
@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0])
def test_hutchpp_falls_at_least_as_one_over_m(exponent):
    """Spectrum i^-c, c >= 1, n = 1000: the slope of log RMS error over log m is at most -0.9; Hutchinson's is -0.5 by
    its closed variance.
    """
    values = torch.arange(1, 1001, dtype=torch.float64) ** -exponent
    sizes = [30, 60, 120, 240]
    samples = [run(HutchPP(vectors=m, distribution="sphere"), diagonal(values), repeats=40, seed=3)[0] for m in sizes]
    errors = [float((sample.value - values.sum()).square().mean().sqrt()) for sample in samples]
    assert np.polyfit(np.log(sizes), np.log(errors), 1)[0] <= -0.9


# -- deflation and preconditioning ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [PreconditionedSLQ(rank=12, steps=40, probes=1), KrylovDeflatedSLQ(block=10, depth=2, extra=2, steps=40, probes=1)],
    ids=lambda m: type(m).__name__,
)
def test_what_is_deflated_has_no_noise(method):
    """On log det(I + B), B of rank 8 and beyond it nothing: one probe, no error beyond rounding."""
    values = torch.ones(40, dtype=torch.float64)
    values[:8] += torch.tensor([100.0, 80, 60, 40, 20, 10, 5, 2])
    q = torch.linalg.qr(noise(7).normal(40, 40)).Q
    op = Operator.of((q * values) @ q.mT, "spd", bounds=Bounds(low=1.0, high=101.0))
    sample, _ = run(method, op, repeats=5)
    truth = torch.full((5,), float(values.log().sum()), dtype=torch.float64)
    torch.testing.assert_close(sample.value, truth, rtol=1e-7, atol=0)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "method",
    [PreconditionedSLQ(), PreconditionedSLQ(rank=40, probes=1), KrylovDeflatedSLQ(), XTrace(), XNysTrace(), HutchPP()],
    ids=lambda m: type(m).__name__,
)
def test_log_determinants_come_out(method):
    """On log det(I + A), slow decay, n = 80: the mean of 100 estimates within 4 standard errors and the bias of the
    inner Lanczos steps, far below both (false alarm 6e-5 each).
    """
    task = Spectrum(name="slowexp", target="logdet", n=80)
    op = Operator.of(task.matrix(noise(2)), "spd", bounds=Bounds(low=1.0, high=2.0))
    sample, _ = run(method, op, repeats=100)
    error = float(sample.value.std()) / 10
    assert abs(float(sample.value.mean()) - task.truth()) < 4 * error + 1e-6


@pytest.mark.statistical
def test_slq_reproduces_a_published_run(spd_reference):
    """A^T A with A bidiagonal (2, 1), n = 1024: 10 runs of 200 probes and 30 steps without orthogonalization, as imate
    published. Mean within 4 closed standard errors of 2 n ln 2, spread within [0.33, 1.82] of its closed form (99.9 %
    chi-square range of 10 runs), and the published mean and spread within the same limits.
    """
    n, mean, published, exact, closed = spd_reference["imate"][0]
    centre = torch.full((n, 1), 5.0, dtype=torch.float64)
    centre[0] = 4.0

    def product(v):
        out = centre * v
        out[1:] += 2 * v[:-1]
        out[:-1] += 2 * v[1:]
        return out

    op = Operator(kind="spd", n=n, product=product)
    values = run(SLQ(steps=30, probes=200, orthogonalisation="none"), op, repeats=10)[0].value
    for value, deviation in ((float(values.mean()), float(values.std())), (mean, published)):
        assert value == pytest.approx(exact, abs=4 * closed / math.sqrt(10))
        assert 0.33 < deviation / closed < 1.82
