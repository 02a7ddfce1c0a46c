"""The problems with SPD operators: their truths by tables, dense matrices and other routes, and their records."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from scipy import fft as scipy_fft

from kexue_bench.api import Case, Instance
from kexue_bench.lab import stages
from kexue_bench.lab.context import Context
from kexue_bench.lab.data import load
from kexue_bench.lab.noise import Noise
from kexue_logdet import SLQ, Bounds, BudgetError, Exact, LogdetSample, Operator
from kexue_logdet.methods.chebyshev import Chebyshev
from kexue_logdet.methods.hutchinson import Hutchinson
from kexue_logdet.methods.xtrace import XTrace
from kexue_logdet.tasks.grid_gradient import GridGradient
from kexue_logdet.tasks.grid_laplacian import GridLaplacian
from kexue_logdet.tasks.ising import Ising
from kexue_logdet.tasks.kernel_gradient import KernelGradient
from kexue_logdet.tasks.min_matrix import MinMatrix
from kexue_logdet.tasks.rbf_kernel import exponents
from kexue_logdet.tasks.sampling import BATCH, covers
from kexue_logdet.tasks.spectrum import NAMES, Spectrum, from_cosines, to_cosines
from kexue_logdet.tasks.toeplitz import Toeplitz


@pytest.fixture(scope="module")
def spd_reference():
    """Exact figures of SPD operators; each table's derivation is named in the file."""
    return json.loads((Path(__file__).parent / "reference_spd.json").read_text(encoding="utf-8"))


def context(**options):
    task, method = Instance(name="t", target="m:T"), Instance(name="m", target="m:M")
    return Context(
        Case(
            family="logdet",
            task=task,
            task_version=1,
            method=method,
            stage="evaluate",
            dtype="float64",
            options=options,
        )
    )


def rows(task, method, **options):
    ctx = context(**({"precision": 0.05, "budget": 256, "work": "products"} | options))
    with torch.no_grad():
        stages.evaluate(task, method, ctx)
    return {row.metric: row for row in ctx.measurements}


# -- truths -----------------------------------------------------------------------------------------------------------


def test_grid_truths_and_their_derivatives(spd_reference):
    """Every tabled log-determinant, n up to 1e6, and tr A^-1 where it is tabled."""
    for boundary, side, tau, logdet, derivative in spd_reference["grids"]:
        task = GridLaplacian(side=side, tau=tau, boundary=boundary)
        assert task.truth() == pytest.approx(logdet, rel=1e-12)
        if derivative is not None and tau > 0:
            got = GridGradient(side=side, tau=tau, boundary=boundary).truth()
            assert float(got[0]) == pytest.approx(derivative, rel=1e-12)


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("boundary", ["dirichlet", "neumann", "periodic"])
def test_grid_products_entries_and_bounds_are_one_matrix(boundary, dim):
    """The stencil, the sparse matrix by Kronecker sums and the eigenvalues by angles agree; so does the sparse LU."""
    task = GridLaplacian(side=4, dim=dim, boundary=boundary, tau=0.3)
    op = task.operator()
    dense = op.dense()
    torch.testing.assert_close(torch.tensor(task.matrix().toarray()), dense, rtol=1e-13, atol=1e-13)
    values = torch.linalg.eigvalsh(dense)
    torch.testing.assert_close(task.eigenvalues().sort().values, values, rtol=1e-10, atol=1e-10)
    assert (op.bounds.low, op.bounds.high) == pytest.approx((float(values[0]), float(values[-1])))
    assert float(Exact().estimate(op, 1, Noise.seeded(0), 1).value) == pytest.approx(task.truth(), rel=1e-12)


def test_withheld_bounds_are_withheld():
    """The track without bounds provides no bound of the spectrum."""
    assert GridLaplacian(side=4, bounds="none").operator().bounds.low is None


def test_toeplitz_truths(spd_reference):
    """Every tabled figure, n = 1e6 among them."""
    for n, tau, ring, path in spd_reference["lines"]:
        assert Toeplitz(name="ring", n=n, parameter=tau).truth() == pytest.approx(ring, rel=1e-12)
        assert Toeplitz(name="path", n=n, parameter=tau).truth() == pytest.approx(path, rel=1e-12)
    for n, rho, logdet in spd_reference["kms"]:
        assert Toeplitz(name="kms", n=n, parameter=rho).truth() == pytest.approx(logdet, rel=1e-12)
    for n, length, sigma2, logdet in spd_reference["ring_rbf"]:
        assert sigma2 == 0.01
        assert Toeplitz(name="ring-rbf", n=n, parameter=length).truth() == pytest.approx(logdet, rel=1e-10)


@pytest.mark.parametrize(
    "task",
    [
        Toeplitz(name="path", n=30),
        Toeplitz(name="ring", n=31),
        Toeplitz(name="kms", n=30),
        Toeplitz(name="ring-rbf", n=64, parameter=4.0),
        MinMatrix(n=30),
    ],
    ids=lambda task: getattr(task, "name", "min"),
)
def test_products_are_those_of_the_defined_matrix(task):
    """Entry by entry from the definition; the truth by Cholesky, the bounds around the eigenvalues."""
    op, n = task.operator(), task.n
    i = torch.arange(n)
    if isinstance(task, MinMatrix):
        want, truth = torch.minimum(i[:, None], i[None, :]).double() + 1, 0.0
    else:
        column = task.column()
        want, truth = column[(i[:, None] - i[None, :]).abs()], task.truth()
    torch.testing.assert_close(op.dense(), want, rtol=1e-12, atol=1e-12)
    factor = torch.linalg.cholesky(want).diagonal()
    assert float(2 * factor.log().sum()) == pytest.approx(truth, abs=1e-9)
    values = torch.linalg.eigvalsh(want)
    assert op.bounds.low <= float(values[0]) * (1 + 1e-9)
    assert op.bounds.high >= float(values[-1]) * (1 - 1e-9)


@pytest.mark.parametrize("sites", [4, 6, 8])
@pytest.mark.parametrize("field", [0.5, 1.0, 1.5])
def test_ising_is_the_dense_hamiltonian(sites, field):
    """Spins by Kronecker products of Pauli matrices: H, E0, the trace of the exponential, and products with it."""
    task = Ising(sites=sites, field=field, beta=1.3)
    x, z = torch.tensor([[0.0, 1], [1, 0]]).double(), torch.diag(torch.tensor([1.0, -1]).double())

    def at(*factors):
        total = torch.ones(1, 1, dtype=torch.float64)
        for site in range(sites):
            total = torch.kron(total, dict(factors).get(site, torch.eye(2, dtype=torch.float64)))
        return total

    h = -sum(at((i, z), ((i + 1) % sites, z)) for i in range(sites)) - field * sum(at((i, x)) for i in range(sites))
    eye = torch.eye(2**sites, dtype=torch.float64)
    torch.testing.assert_close(task.hamiltonian(eye), h)
    energies = torch.linalg.eigvalsh(h)
    assert task.ground() == pytest.approx(float(energies[0]))
    assert task.truth() == pytest.approx(float(torch.exp(-1.3 * (energies - energies[0])).sum()), rel=1e-10)
    torch.testing.assert_close(
        task.operator().dense(), torch.matrix_exp(-1.3 * (h - energies[0] * eye)), rtol=1e-9, atol=1e-10
    )


def test_spectra_have_the_tabled_sums(spd_reference):
    """Trace and log det(I + A) of the six spectra at n = 1000, and the spread of a sphere probe."""
    for name, (trace, logdet, deviation, _) in spd_reference["spectra"].items():
        assert Spectrum(name=name).truth() == pytest.approx(trace, rel=1e-12)
        assert Spectrum(name=name, target="logdet").truth() == pytest.approx(logdet, rel=1e-12)
        values = Spectrum(name=name).eigenvalues()
        spread = 2 * 1000 / 1002 * (values.square().sum() - trace**2 / 1000)
        assert math.sqrt(float(spread)) == pytest.approx(deviation, rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_spectra_are_those_of_the_matrix(name):
    """The dense matrix has the eigenvalues, not in the basis of the coordinates."""
    task = Spectrum(name=name, n=40)
    a = task.matrix(Noise.seeded(1, dtype=torch.float64))
    values = task.eigenvalues().sort().values
    torch.testing.assert_close(torch.linalg.eigvalsh(a), values, rtol=1e-9, atol=1e-12)
    assert float((a - torch.diag(a.diagonal())).abs().max()) > 1e-3


def test_a_gradient_is_that_of_the_closed_form():
    """Numerical derivatives of the truth in tau and in the scale."""
    task, h = GridGradient(side=5, tau=0.7), 1e-5
    axis = task.grid().axis()
    laplacian = (axis.unsqueeze(-1) + axis).flatten()

    def value(tau, scale):
        return float((tau + scale * laplacian).log().sum())

    want = [(value(0.7 + h, 1) - value(0.7 - h, 1)) / (2 * h), (value(0.7, 1 + h) - value(0.7, 1 - h)) / (2 * h)]
    assert task.truth().tolist() == pytest.approx(want, rel=1e-8)


@pytest.mark.parametrize("n", [20, 33])
def test_cosine_transforms_are_orthonormal(n):
    """Forward as scipy's orthonormal DCT-II, backward its inverse, even and odd n."""
    v = Noise.seeded(2, dtype=torch.float64).normal(n, 3)
    want = torch.tensor(scipy_fft.dct(v.numpy(), type=2, norm="ortho", axis=0))
    torch.testing.assert_close(to_cosines(v), want, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(from_cosines(want), v, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("target", ["trace", "logdet"])
def test_the_fast_spectrum_is_symmetric_with_its_eigenvalues(target):
    """By n products with the identity; a full matrix whose diagonal is not that of the eigenvalues."""
    task = Spectrum(name="poly", n=30, basis="cosine", target=target, exponent=1.5)
    dense = task.fast_operator(Noise.seeded(1, dtype=torch.float64)).dense()
    torch.testing.assert_close(dense, dense.mT, rtol=0, atol=1e-14)
    torch.testing.assert_close(torch.linalg.eigvalsh(dense), task.eigenvalues().sort().values, rtol=1e-9, atol=1e-12)
    assert float((dense - torch.diag(dense.diagonal())).abs().max()) > 0.01
    i = torch.arange(1, 31, dtype=torch.float64)
    want = (i**-1.5).sum() if target == "trace" else (1 + i**-1.5).log().sum()
    assert task.truth() == pytest.approx(float(want), rel=1e-13)


def test_a_bracket_survives_a_ritz_value_at_its_node():
    """Nearly all eigenvalues equal the lower bound, which Lanczos finds exactly: the bracket still holds each form."""
    values = torch.cat([torch.ones(500), torch.tensor([1.5, 2.0])]).double().unsqueeze(-1)
    op = Operator(kind="spd", n=502, product=lambda v: values * v, bounds=Bounds(low=1.0, provenance="exact"))
    sample = SLQ(steps=12, probes=3).estimate(op, 36, Noise.seeded(0, dtype=torch.float64), 4)
    low, high = sample.bracket
    truth = math.log(3.0)
    assert bool(((low - 1e-9 <= truth) & (truth <= high + 1e-9)).all())


@pytest.mark.parametrize("dataset", ["iris", "wine"])
def test_a_kernel_gradient_is_that_of_its_log_determinant(dataset):
    """Central differences of torch's dense logdet of a kernel written anew, and the tabled matrix at l = 1."""
    features = load(dataset)["inputs"].double()
    x = (features - features.mean(0)) / features.std(0, correction=0)
    squares = (x.unsqueeze(0) - x.unsqueeze(1)).square().sum(-1) / (2 * x.shape[1])

    def value(length, sigma2):
        return float((torch.exp(-squares / length**2) + sigma2 * torch.eye(len(x)).double()).logdet())

    task, h = KernelGradient(dataset=dataset, lengthscale=0.8, sigma2=0.3), 1e-5
    want = [
        (value(0.8 + h, 0.3) - value(0.8 - h, 0.3)) / (2 * h),
        (value(0.8, 0.3 + h) - value(0.8, 0.3 - h)) / (2 * h),
    ]
    powers = exponents(features)
    assert task.truth(powers).tolist() == pytest.approx(want, rel=1e-7)
    op = task.operator(powers)
    with torch.no_grad():
        torch.testing.assert_close(op.dense(), torch.exp(-squares / 0.64) + 0.3 * torch.eye(len(x)).double())
        surrogate = Exact().estimate(op, op.n, Noise.seeded(0), 1).surrogate
    (gradient,) = torch.autograd.grad(surrogate[0], op.params)
    assert gradient.tolist() == pytest.approx(want, rel=1e-7)


@pytest.mark.statistical
def test_slq_gradients_of_a_kernel_agree_with_the_exact_ones():
    """Mean of 64 surrogates at 60 steps within 5 of its standard errors in both parameters (false alarm 1e-6)."""
    task = KernelGradient(dataset="iris", sigma2=0.5)
    powers = exponents(load("iris")["inputs"])
    op = task.operator(powers)
    with torch.no_grad():
        surrogate = SLQ(steps=60, probes=2).estimate(op, 122, Noise.seeded(0, dtype=torch.float64), 64).surrogate
    rows = torch.stack([torch.autograd.grad(row, op.params, retain_graph=True)[0] for row in surrogate])
    error = (rows.mean(0) - task.truth(powers)).abs()
    assert bool((error < 5 * rows.std(0) / 8).all())


# -- what is recorded -------------------------------------------------------------------------------------------------


def test_rows_of_a_log_determinant():
    """Errors per n and per sqrt(n) differ by sqrt(n); coverage is a share with an interval."""
    found = rows(GridLaplacian(side=6), SLQ(steps=8, probes=2))
    assert found["root-error"].value == pytest.approx(found["error"].value * 6, rel=1e-9)
    coverage = found["coverage"]
    assert 0.3 < coverage.low < coverage.value < coverage.high < 1
    assert coverage.n == 256
    assert found["coverage-68"].value < coverage.value


@pytest.mark.statistical
def test_a_wide_error_bar_covers_as_it_should():
    """Thirty independent probes: the normal bars cover 94 to 95 % and 67 to 68 %, within 4 standard errors of 512
    estimates.
    """
    found = rows(Spectrum(name="flat", n=40), Hutchinson(probes=30, distribution="sphere"), budget=512, precision=1e-9)
    assert found["coverage"].value == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 512))
    assert found["coverage-68"].value == pytest.approx(0.68, abs=4 * math.sqrt(0.68 * 0.32 / 512))


def test_what_is_paid_for_apart_is_recorded_apart():
    """Products for bounds are a row, and part of the products; entries are not products."""
    found = rows(GridLaplacian(side=6, bounds="none"), Chebyshev(degree=4, probes=2, bound_steps=10))
    assert (found["bounds"].value, found["products"].value) == (10, 14)
    sparse = rows(GridLaplacian(side=6), Exact(), deterministic=True)
    assert sparse["entries"].value == GridLaplacian(side=6).matrix().nnz
    assert "products" not in sparse


def test_a_trace_is_recorded_like_a_log_determinant():
    """XTrace on a trace task: products as declared, the estimate near the truth."""
    found = rows(Spectrum(n=60, budget=24), XTrace(vectors=24))
    assert found["products"].value == 24
    assert found["estimate"].low < 10 * (1 - 0.9**60) < found["estimate"].high


def test_gradient_rows():
    """A gradient has a bias, a cosine, and no estimate; its products include those of the surrogate."""
    found = rows(GridGradient(side=4), SLQ(steps=6, probes=1))
    assert found["cosine"].value > 0.9
    assert (found["products"].value, found["backward"].value) == (7, 1)
    assert "estimate" not in found
    with pytest.raises(ValueError, match="provides no gradient"):
        rows(GridGradient(side=4), Chebyshev(degree=4, probes=1))


def test_the_budget_is_enforced():
    """A method that requests more than the task allows is refused."""
    with pytest.raises(BudgetError):
        rows(Spectrum(n=60, budget=20), XTrace(vectors=24))


def test_batches_shrink_where_vectors_are_long():
    """Eight draws at once up to 65,536 rows, one at a million, so that memory stays bounded."""
    sizes = [GridLaplacian(side=side, budget=60).problem(SLQ(), context()).batch for side in (32, 256, 512, 1000)]
    assert sizes == [BATCH, 8, 2, 1]


def test_covers_reads_brackets_and_bars():
    """The bracket, or the value itself, widened by 1.96 standard errors on both sides, ends included."""
    one = torch.ones(1, dtype=torch.float64)
    bar = LogdetSample(value=one, stderr=one)
    assert bool(covers(bar, 1 + 1.9599))
    assert not bool(covers(bar, 1 + 1.9601))
    bracket = LogdetSample(value=one, bracket=(one - 2, one))
    assert bool(covers(bracket, -1.0))
    assert not bool(covers(bracket, 1.01))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Spectrum(name="steep"), "name must be one of"),
        (lambda: Spectrum(target="det"), "target must be one of"),
        (lambda: Spectrum(n=4), "n must be >= 20"),
        (lambda: Ising(sites=5), "sites must be even"),
        (lambda: Ising(beta=0.0), "field and beta must be > 0"),
        (lambda: Toeplitz(name="kms", parameter=1.0), "below 1 for kms"),
        (lambda: Toeplitz(name="x"), "name must be one of"),
        (lambda: Toeplitz(n=2), "n must be >= 3"),
        (lambda: MinMatrix(n=0), "n must be >= 1"),
        (lambda: GridLaplacian(dim=4), "dim must be 2 or 3"),
        (lambda: GridLaplacian(boundary="open"), "boundary must be one of"),
        (lambda: GridLaplacian(boundary="neumann", tau=0.0), "null space"),
        (lambda: GridLaplacian(boundary="periodic", side=2), "side must be >= 3"),
        (lambda: GridGradient(tau=0.0), "tau must be > 0"),
        (lambda: Spectrum(basis="fourier"), "basis must be one of haar, cosine"),
        (lambda: Spectrum(exponent=0.0), "exponent must be > 0"),
        (lambda: KernelGradient(lengthscale=0.0), "lengthscale must be > 0"),
        (lambda: KernelGradient(dataset="mnist"), "dataset must be one of"),
    ],
)
def test_bad_parameters_say_what_was_got(build, message):
    """Each is refused with a message."""
    with pytest.raises(ValueError, match=message):
        build()
