"""Error bars that include what a truncated rule leaves out, and bounds that a product disproves."""

from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_logdet import (
    SLQ,
    Bounds,
    Chebyshev,
    GolubKahanSLQ,
    Hutchinson,
    HutchPP,
    KrylovDeflatedSLQ,
    NAHutchPP,
    NeumannRoulette,
    Operator,
    PowerSeries,
    PreconditionedSLQ,
    RussianRoulette,
    XTrace,
)
from kexue_logdet.methods.power_series import _tail
from kexue_logdet.truncation import remaining

DOUBLE = torch.float64
N = 400


def kernel_spectrum(*, decay, noise):
    """Eigenvalues like those of a kernel matrix with noise on its diagonal: n exp(-decay i) + noise."""
    return N * torch.exp(-decay * torch.arange(N, dtype=DOUBLE)) + noise


SPECTRA = {
    "smooth": kernel_spectrum(decay=0.5, noise=1e-2),
    "rough": kernel_spectrum(decay=0.05, noise=1e-2),
    "rougher": kernel_spectrum(decay=0.01, noise=1e-4),
    "powers": torch.arange(1, N + 1, dtype=DOUBLE) ** -2.0,
    "laplacian": 2.01 - 2 * torch.cos(math.pi * torch.arange(1, N + 1, dtype=DOUBLE) / (N + 1)),
}


def diagonal(eigenvalues, *, bounds=None, dtype=DOUBLE):
    """An operator with these eigenvalues; Gaussian probes see nothing but them."""
    eigenvalues = eigenvalues.to(dtype)
    return Operator(
        kind="spd",
        n=len(eigenvalues),
        product=lambda v: eigenvalues[:, None] * v,
        dtype=dtype,
        bounds=bounds or Bounds(),
    )


def extremes(eigenvalues):
    return Bounds(low=float(eigenvalues.min()), high=float(eigenvalues.max()), provenance="exact")


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(
    ("method", "bounded"),
    [
        *[(SLQ(steps=steps, probes=40, distribution="gaussian"), False) for steps in (5, 8, 20)],
        (SLQ(steps=8, probes=40, distribution="gaussian"), True),
        (Chebyshev(probes=40, distribution="gaussian"), True),
        (PowerSeries(probes=40, distribution="gaussian"), True),
        (PreconditionedSLQ(steps=8, probes=40, distribution="gaussian"), True),
        (KrylovDeflatedSLQ(steps=8, probes=40, distribution="gaussian"), False),
        (HutchPP(vectors=90, distribution="gaussian"), False),
        (NAHutchPP(vectors=90, distribution="gaussian"), False),
        (XTrace(vectors=90), False),
    ],
    ids=lambda x: "known" if x is True else "unknown" if x is False else f"{type(x).__name__}-{getattr(x, 'steps', 0)}",
)
def test_an_error_bar_includes_the_truncation(method, bounded, spectrum):
    """The mean error of 4 estimates is within two standard errors of one, where the bar claims to know it.

    The truncation is common to all estimates, and bars of 40 probes leave it the larger part wherever
    it matters. An unknown truncation is an infinite
    bar, never a small one, and a note says so.
    """
    eigenvalues = SPECTRA[spectrum]
    op = diagonal(eigenvalues, bounds=extremes(eigenvalues) if bounded else None)
    sample = method.estimate(op, 10**6, Noise.seeded(7, dtype=DOUBLE), 4)
    error = float((sample.value - eigenvalues.log().sum()).mean())
    assert sample.stderr is not None
    bar = float(sample.stderr.median())
    assert abs(error) < 2 * bar + 1e-9 * abs(float(sample.value.mean()))
    if math.isinf(bar) or (sample.truncation > sample.spread).all():
        assert "not converged" in sample.note
        assert "=" in sample.note


def test_a_bar_of_the_probes_alone_does_not_cover():
    """On a rough kernel with 20 steps the error is many standard errors of the probes: those alone are a false promise.

    The eigenvalues are those of a kernel matrix of 5,000 points with noise 1e-2.
    """
    eigenvalues = 5000 * torch.exp(-0.01 * torch.arange(5000, dtype=DOUBLE)) + 1e-2
    op = diagonal(eigenvalues)
    sample = SLQ().estimate(op, 10**6, Noise.seeded(0, dtype=DOUBLE), 8)
    error = (sample.value - eigenvalues.log().sum()).abs()
    assert sample.spread is not None
    assert sample.stderr is not None
    assert bool((error > 5 * sample.spread).all())
    assert bool((error < 2 * sample.stderr).all())
    assert sample.note == "not converged: the truncation error is unknown; take steps=40"


def test_a_converged_estimate_has_the_bar_of_its_probes():
    """With eigenvalues between 1 and 4 and 20 steps the truncation is below 1e-6 of the bar, and there is no note."""
    sample = SLQ(distribution="gaussian").estimate(
        diagonal(torch.linspace(1, 4, N, dtype=DOUBLE)), 10**6, Noise.seeded(0, dtype=DOUBLE), 4
    )
    torch.testing.assert_close(sample.stderr, sample.spread, rtol=1e-6, atol=0)
    assert sample.note == ""


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_few_steps_say_nothing_about_the_rest(steps):
    """Below five steps differences say nothing: the bar is infinite, unless the space is exhausted."""
    sample = SLQ(steps=steps).estimate(diagonal(SPECTRA["rough"]), 10**6, Noise.seeded(0, dtype=DOUBLE), 2)
    assert sample.stderr is not None
    assert bool(sample.stderr.isinf().all())
    three = diagonal(torch.full((N,), 3.0, dtype=DOUBLE))
    exact = SLQ(steps=steps).estimate(three, 10**6, Noise.seeded(0, dtype=DOUBLE), 2)
    assert float(exact.truncation.max()) == 0
    assert exact.value.tolist() == pytest.approx(2 * [N * math.log(3)], rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("rank", [2, 5])
def test_na_hutchpp_covers_on_identity_plus_low_rank(rank, dtype):
    """log(I + U D U^T) has rank `rank`, so that the low-rank part is exact up to rounding, 1e-3 of it in float32.

    The pseudo-inverse of a core of that rank divided rounding by rounding: errors were 0.02 with bars of 0.003.
    """
    generator = torch.Generator().manual_seed(0)
    u = torch.linalg.qr(torch.randn(200, rank, generator=generator, dtype=DOUBLE)).Q
    scales = 100 * (torch.rand(rank, generator=generator, dtype=DOUBLE) + 0.5)
    matrix = (torch.eye(200, dtype=DOUBLE) + (u * scales) @ u.T).to(dtype)
    sample = NAHutchPP().estimate(Operator.of(matrix, "spd"), 10**6, Noise.seeded(0, dtype=dtype), 50)
    truth = float(torch.log1p(scales).sum())
    assert float((sample.value - truth).abs().max()) < truth * 50 * torch.finfo(dtype).eps ** 0.9


@pytest.mark.parametrize("spread", [0.0, 3.0])
@pytest.mark.parametrize(
    ("method", "target"),
    [(SLQ(), "logdet"), (SLQ(), "inverse"), (Chebyshev(), "logdet"), (Hutchinson(), "trace"), (XTrace(), "logdet")],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_bar_holds_the_rounding_of_float32(method, target, spread):
    """Signs as probes see no variance in a diagonal matrix, nor do others in 7 I: what is left is rounding.

    The truth is that of the same eigenvalues in float64. The bars of probes and truncation alone are up to 1e13 times
    smaller than the error.
    """
    if spread and isinstance(method, XTrace):
        pytest.skip("its probes see the spread")
    eigenvalues = torch.linspace(7 - spread, 7 + spread, N)
    op = diagonal(eigenvalues, bounds=extremes(eigenvalues), dtype=torch.float32)
    op.target = target
    sample = method.estimate(op, 10**6, Noise.seeded(0), 4)
    function = {"logdet": torch.log, "inverse": torch.reciprocal, "trace": lambda x: x}[target]
    error = (sample.value - function(eigenvalues.double()).sum()).abs()
    assert bool((error < 2 * sample.stderr).all())
    assert bool((sample.stderr < 3 * torch.finfo(torch.float32).eps * (N + sample.value.abs())).all())


@pytest.mark.parametrize("degree", [1, 5, 40, 400])
@pytest.mark.parametrize("c", [0.0, 1e-3, 0.3, 0.9, 0.999])
def test_the_rest_of_a_series_is_bounded(c, degree):
    """Against the sum itself to 20,000 terms: never below it, and at most 1 / (1 - c) times as large."""
    j = torch.arange(1, 20001, dtype=DOUBLE)
    rest = float((c**j / (degree + j)).sum())
    found = float(_tail(torch.tensor(c, dtype=DOUBLE), degree))
    assert rest * (1 - 1e-6) <= found <= rest / (1 - c) * (1 + 1e-6)


def test_differences_are_extrapolated():
    """A geometric sequence with ratio 1/2 leaves twice its last difference; with ratio 0.8 it is unknown."""
    for ratio, expected in ((0.5, 2 * 0.5), (0.8, math.inf)):
        values = [torch.tensor([2 - ratio**k / (1 - ratio)], dtype=DOUBLE) for k in range(3)]
        assert remaining(values).tolist() == pytest.approx([expected])


def false_contraction(growth, *, dtype=DOUBLE, bounds):
    """J = growth times a rotation of the plane in one block of 2, 0.1 times the identity in the rest."""
    matrix = 0.1 * torch.eye(64, dtype=dtype)
    matrix[:2, :2] = growth * torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=dtype)
    return Operator.of(matrix, "residual", bounds=bounds)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "method",
    [PowerSeries(), PowerSeries(degree=6), RussianRoulette(), NeumannRoulette()],
    ids=lambda m: type(m).__name__,
)
def test_a_false_bound_of_a_contraction_is_refused(method, dtype):
    """||J|| = 2 beside a declared 0.9: the series diverges, its products show it, and the refusal says so."""
    op = false_contraction(2.0, dtype=dtype, bounds=Bounds(norm=0.9, provenance="proven", origin="spectral norm"))
    with pytest.raises(
        ValueError, match=r"\|\|J\|\| <= 0.9 \(proven: spectral norm\) is false: .* use golub-kahan-slq"
    ):
        method.estimate(op, 10**6, Noise.seeded(0, dtype=dtype), 8)


def test_a_true_bound_is_not_refused():
    """At its own norm, in float32 and with the bound exact, no product is larger beyond rounding."""
    op = false_contraction(0.9, dtype=torch.float32, bounds=Bounds(norm=0.9, provenance="exact"))
    for method in (PowerSeries(), RussianRoulette()):
        assert bool(method.estimate(op, 10**6, Noise.seeded(0), 8).value.isfinite().all())


def test_a_series_that_diverges_without_a_bound_is_unknown():
    """Without a declared bound there is nothing to refuse: the bar is infinite, and a note says what to use."""
    sample = PowerSeries().estimate(false_contraction(1.2, bounds=Bounds()), 10**6, Noise.seeded(0, dtype=DOUBLE), 2)
    assert sample.stderr is not None
    assert bool(sample.stderr.isinf().all())
    assert sample.note == "not converged: the truncation error is unknown; take degree=40, slq or golub-kahan-slq"


@pytest.mark.parametrize("method", [PowerSeries(), Chebyshev()], ids=["series", "chebyshev"])
def test_a_false_upper_bound_is_refused(method):
    """Eigenvalues up to 600 beside a declared 100: powers and polynomials grow, and the refusal names the bound."""
    op = diagonal(SPECTRA["smooth"], bounds=Bounds(low=1e-2, high=100.0, provenance="proven"))
    with pytest.raises(ValueError, match=r"100 of the eigenvalues (is|are) false"):
        method.estimate(op, 10**6, Noise.seeded(0, dtype=DOUBLE), 2)


def test_golub_kahan_has_the_bar_of_its_truncation():
    """Half of the square of 1 + 0.98 Q, Q a rotation: few steps leave the truncation inside the bar, n leave 0."""
    angles = torch.linspace(0.05, 3.1, 20, dtype=DOUBLE)
    blocks = [0.98 * torch.stack([torch.stack([a.cos(), -a.sin()]), torch.stack([a.sin(), a.cos()])]) for a in angles]
    matrix = torch.block_diag(*blocks)
    truth = float(torch.linalg.slogdet(torch.eye(40, dtype=DOUBLE) + matrix).logabsdet)
    op = Operator.of(matrix, "residual")
    for steps in (5, 8):
        sample = GolubKahanSLQ(steps=steps, probes=40).estimate(op, 10**6, Noise.seeded(0, dtype=DOUBLE), 8)
        assert sample.stderr is not None
        assert abs(float(sample.value.mean()) - truth) < 2 * float(sample.stderr.median())
    exact = GolubKahanSLQ(steps=40, probes=2).estimate(op, 10**6, Noise.seeded(0, dtype=DOUBLE), 2)
    assert float(exact.truncation.max()) == 0
    assert exact.value.tolist() == pytest.approx(2 * [truth], rel=1e-9)
