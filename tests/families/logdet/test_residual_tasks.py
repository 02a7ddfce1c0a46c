from __future__ import annotations

import math

import installed
import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.catalog import selectors
from kexue_bench.catalog.fields import fields_of
from kexue_bench.lab import stages
from kexue_bench.lab.context import Context
from kexue_bench.run.worker import build
from kexue_logdet import Exact, LogdetSample, PowerSeries
from kexue_logdet.methods.golub_kahan_slq import GolubKahanSLQ
from kexue_logdet.methods.neumann_roulette import NeumannRoulette
from kexue_logdet.methods.russian_roulette import RussianRoulette
from kexue_logdet.tasks.convolution_block import ConvolutionBlock
from kexue_logdet.tasks.density import TRAINED, Density
from kexue_logdet.tasks.reference_matrix import NAMES, ReferenceMatrix
from kexue_logdet.tasks.residual_block import ResidualBlock
from kexue_logdet.tasks.residual_gradient import ResidualGradient
from kexue_logdet.tasks.residual_variances import exact_variance

# side, c -> sum over all frequencies of log |det(I + c Khat / s)|, three channels; one by a dense determinant too.
CONVOLUTIONS = {
    (8, 0.5): 1.55320160037105,
    (8, 0.7): 2.29754366803191,
    (8, 0.9): 3.09235947713102,
    (8, 0.98): 3.42145232626388,
    (32, 0.5): 23.9931032373248,
    (32, 0.7): 35.4633093504364,
    (32, 0.9): 47.7150088941303,
    (32, 0.98): 52.7911354803,
}
# d = 64: tr((I + J)^-1 J) / c, by numpy in float64.
DERIVATIVES = {0.5: 21.7182258832639, 0.7: 25.8353123018244, 0.9: 27.6945225431, 0.98: 27.9775222428}


def rows(task, method, *, budget=256, dtype="float64"):
    options = {"precision": 0.05, "budget": budget, "work": "products"}
    if isinstance(method, Exact):
        options["deterministic"] = True
    names = (Instance(name=type(x).__name__, target="m:T") for x in (task, method))
    case = Case(
        family="logdet",
        task=next(names),
        task_version=1,
        method=next(names),
        stage="evaluate",
        dtype=dtype,
        options=options,
    )
    ctx = Context(case)
    with torch.no_grad():
        stages.evaluate(task, method, ctx)
    return {row.metric: row for row in ctx.measurements if row.point is None}


@pytest.mark.parametrize(("side", "c"), CONVOLUTIONS)
def test_convolution_truth_is_the_tabled_one(side, c):
    """The sum over frequencies covers 3,072 rows at side 32 without their matrix."""
    assert ConvolutionBlock(side=side, c=c).truth() == pytest.approx(CONVOLUTIONS[side, c], abs=1e-9)


def test_convolution_operator_is_its_symbol():
    """On a torus of side 4 the dense matrix of `mv` has the truth as its log-determinant, `rmv` is its transpose, and
    its norm is c: numpy's dense answers.
    """
    task = ConvolutionBlock(side=4, channels=2, c=0.7)
    op = task.operator()
    j, eye = op.dense(), torch.eye(32, dtype=torch.float64)
    assert float(torch.linalg.slogdet(eye + j).logabsdet) == pytest.approx(task.truth(), abs=1e-12)
    torch.testing.assert_close(op.rmv(eye), j.T, rtol=0, atol=1e-15)
    assert float(torch.linalg.matrix_norm(j, 2)) == pytest.approx(0.7, abs=1e-12)


@pytest.mark.parametrize("distribution", ["rademacher", "gaussian", "sphere"])
def test_variance_by_frequencies_is_that_of_the_dense_matrix(distribution):
    """Norms, traces and the diagonal computed from the symbol agree with those of the 32 x 32 matrix."""
    task = ConvolutionBlock(side=4, channels=2)
    dense = task.operator().dense()
    for method in (
        RussianRoulette(probability=0.3, distribution=distribution),
        PowerSeries(degree=7, distribution=distribution),
    ):
        assert exact_variance(method, task.symbol()) == pytest.approx(exact_variance(method, dense), rel=1e-11)


@pytest.mark.parametrize("name", NAMES)
def test_reference_matrices_have_their_closed_determinants(name, matrix):
    """Six closed forms against LU factors, and the matrices against formulas written with numpy."""
    task = ReferenceMatrix(name=name, c=0.9)
    j = task.matrix()
    scaled = {"cyc6": "cyc6_c0.9", "mlp6": "mlp6_c0.9"}
    torch.testing.assert_close(j, matrix[scaled.get(name, name)], rtol=0, atol=1e-14)
    eye = torch.eye(6, dtype=torch.float64)
    assert float(torch.linalg.slogdet(eye + j).logabsdet) == pytest.approx(task.truth(), abs=1e-12)


@pytest.mark.parametrize("c", DERIVATIVES)
def test_derivative_is_the_tabled_one(c):
    """tr((I + J)^-1 J) / c of the block with 64 features."""
    assert ResidualGradient(c=c).truth() == pytest.approx(DERIVATIVES[c], abs=1e-9)


def test_derivative_is_that_of_the_truth():
    """A central difference of the log-determinant itself in c; error h^2 / 6 f''' < 1e-6."""
    h = 1e-4
    difference = (ResidualBlock(c=0.7 + h).truth() - ResidualBlock(c=0.7 - h).truth()) / (2 * h)
    assert ResidualGradient(c=0.7).truth() == pytest.approx(difference, abs=1e-5)


@pytest.mark.parametrize("method", [Exact(), PowerSeries(), RussianRoulette(), NeumannRoulette(), GolubKahanSLQ()])
def test_every_residual_method_gives_a_gradient(method):
    """Through its surrogate or its graph; the exact one is the truth to rounding, the others within 5 of their own
    standard errors and 0.1 of bias (false alarm 6e-7; c^20 of truncation is below 1e-3 at c = 0.5).
    """
    task = ResidualGradient(c=0.5, d=16, budget=80)
    found = rows(task, method)["estimate"]
    half = max((found.high - found.low) / 2, 1e-9)
    assert abs(found.value - task.truth()) < 5 / 1.96 * half + (0.1 if isinstance(method, GolubKahanSLQ) else 1e-3)


def test_exact_variance_is_recorded_and_its_absence_flagged():
    """A row beside the sampled variance; under the Poisson law it has no value and says why, as does the spectral
    radius, 0.5, which has a cell in the table.
    """
    geometric = rows(ReferenceMatrix(), RussianRoulette())["exact-variance"]
    assert geometric.value == pytest.approx(exact_variance(RussianRoulette(), ReferenceMatrix().matrix()))
    found = rows(ReferenceMatrix(), RussianRoulette(stopping="poisson"))
    assert found["exact-variance"].value is None
    assert found["exact-variance"].flags == found["spectral-radius"].flags == {"infinite-variance"}
    assert found["spectral-radius"].value == pytest.approx(0.5, abs=1e-3)


@pytest.mark.statistical
@pytest.mark.parametrize("method", [PowerSeries(), RussianRoulette()])
def test_sampled_variance_agrees_with_the_closed_form(method):
    """16,384 draws: within 5 sqrt(2 / 16383) of it, as for a normal distribution (tails of the roulette are heavier,
    which is why the factor is 5).
    """
    found = rows(ReferenceMatrix(name="mlp6", c=0.5), method, budget=2**14)
    assert found["variance"].value == pytest.approx(found["exact-variance"].value, rel=5 * math.sqrt(2 / 16383))


def test_realised_products_are_reported():
    """A random cost has a mean near its expectation and a maximum above it; both are rows."""
    found = rows(ResidualBlock(c=0.5), RussianRoulette())
    assert found["products-mean"].value == pytest.approx(60, rel=0.2)
    assert found["products-max"].value > 70


@pytest.mark.parametrize("method", [Exact(), NeumannRoulette(probes=1)])
def test_a_tiny_density_is_trained_and_scored(method):
    """Eight steps of two narrow blocks: scores are finite, the gap is nll minus the entropy, the cap holds, and the
    inverse is good to single precision.
    """
    found = rows(Density(steps=8, blocks=2, width=8, cap=0.7), method, dtype="float32")
    assert found["entropy-gap"].value == pytest.approx(found["nll"].value - 2.83188040157, abs=1e-6)
    assert 0 < found["entropy-gap"].value < 3
    assert found["lipschitz"].value <= 0.7
    assert found["inverse-error"].value < 1e-5


@pytest.mark.parametrize("text", TRAINED)
def test_every_estimator_trains_a_density(text):
    """Each selector of the full suite, through the task's own step: 25 steps of two blocks lower the exact negative
    log-likelihood, and the cap holds.
    """
    selector = selectors.parse(text)
    spec = installed.registry().methods["logdet", selector.name]
    (instance,) = selectors.expand(selector, spec, fields_of(spec))
    found = curve(Density(data="two-moons", steps=25, blocks=2, width=16), build(instance))
    assert found["nll"][-1] < found["nll"][0] - 0.05
    assert max(found["lipschitz"]) <= 0.9


def test_a_method_without_a_gradient_says_so():
    """Training with a value alone is an error that names what to use, never a silent no-op."""
    with pytest.raises(ValueError, match="provides no gradient: its sample has neither a surrogate nor a graph"):
        curve(Density(steps=1, blocks=1, width=4), ValueOnly())


class ValueOnly:
    """An estimate of 0 for every row, detached."""

    def estimate(self, op, budget, noise, repeats):
        return LogdetSample(value=torch.zeros(repeats, *op.batch_shape, dtype=torch.float64))


def curve(task, method):
    """Metric -> its values at the marks."""
    names = (Instance(name=type(x).__name__, target="m:T") for x in (task, method))
    case = Case(
        family="logdet",
        task=next(names),
        task_version=1,
        method=next(names),
        stage="evaluate",
        dtype="float32",
    )
    ctx = Context(case)
    with torch.no_grad():
        stages.evaluate(task, method, ctx)
    found = {}
    for row in sorted((row for row in ctx.measurements if row.point is not None), key=lambda row: row.point):
        found.setdefault(row.metric, []).append(row.value)
    return found


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ConvolutionBlock(c=1.0), r"c must be in \(0, 1\), got 1.0"),
        (lambda: ConvolutionBlock(side=2), "side must be >= 3"),
        (lambda: ReferenceMatrix(name="x"), "name must be one of cyc6"),
        (lambda: ReferenceMatrix(c=0.0), "c must be in"),
        (lambda: ResidualGradient(c=1.5), "c must be in"),
        (lambda: ResidualBlock(bounds="some"), "bounds must be one of known, none"),
        (lambda: Density(data="moon"), "data must be one of checkerboard"),
        (lambda: Density(steps=0), "must be >= 1"),
        (lambda: Density(cap=1.0), "cap must be in"),
    ],
)
def test_bad_parameters_say_what_was_got(build, message):
    """Refused when the task is built."""
    with pytest.raises(ValueError, match=message):
        build()
