"""Operators at the edges of Krylov methods: few eigenvalues, any scale, float32, half precision, complex entries."""

from __future__ import annotations

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_logdet import SLQ, Exact, HutchPP, KrylovDeflatedSLQ, Operator, XTrace
from kexue_logdet.lanczos import krylov
from kexue_logdet.spectrum import interval

DOUBLE = torch.float64
FEW = {
    "3 I": torch.full((200,), 3.0),
    "3, 5": torch.tensor([3.0, 5.0]).repeat(100),
    "1 to 4": torch.arange(1.0, 5).repeat(50),
}


def estimate(method, op, repeats=3):
    return method.estimate(op, 10**6, Noise.seeded(0, dtype=DOUBLE), repeats)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("method", [SLQ(), KrylovDeflatedSLQ(), XTrace(), HutchPP()], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("label", sorted(FEW))
def test_few_distinct_eigenvalues_give_numbers(label, method, scale):
    """Where the Krylov space is exhausted at once: right to the error of the probes, at any scale."""
    d = FEW[label].to(DOUBLE)
    plain = estimate(method, Operator.of(torch.diag(d), "spd")).value
    scaled = estimate(method, Operator.of(torch.diag(scale * d), "spd")).value
    assert bool(plain.isfinite().all())
    assert float((plain / d.log().sum() - 1).abs().max()) < 0.2
    torch.testing.assert_close(scaled, plain + 200 * torch.tensor(scale, dtype=DOUBLE).log(), rtol=0.05, atol=0.5)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_bounds_of_an_exhausted_space_hold_its_spectrum_alone(scale):
    """The bounds of c A are c times those of A; none is that of a filler."""
    op = Operator.of(torch.diag(scale * FEW["3, 5"].to(DOUBLE)), "spd")
    low, high = interval(op, Noise.seeded(0, dtype=DOUBLE), repeats=2, steps=12)
    torch.testing.assert_close(low / scale, torch.full((2,), 3.0, dtype=DOUBLE))
    torch.testing.assert_close(high / scale, torch.full((2,), 5.0, dtype=DOUBLE))


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_traces_of_zero_are_zero(dtype):
    """The zero matrix leaves nothing to sketch."""
    op = Operator.of(torch.zeros(40, 40, dtype=dtype), "spd", target="trace")
    assert float(estimate(XTrace(vectors=20), op).value.abs().max()) < 1e-12


def test_a_row_of_zeros_has_the_matrix_of_ones():
    """No Ritz value of a zero vector, whose logarithm would be -inf."""
    found = krylov(Operator.of(torch.diag(FEW["3 I"].to(DOUBLE)), "spd"), torch.zeros(2, 200, dtype=DOUBLE), 4)
    assert torch.equal(found.diagonal, torch.ones(2, 4, dtype=DOUBLE))


@pytest.mark.parametrize(("n", "largest"), [(4096, 1e4), (16384, 1e4)])
def test_float32_goes_on_beyond_a_large_eigenvalue(n, largest):
    """A spectrum from 0.5 to 2 with one large eigenvalue: float32 on the same probes gives what float64 does."""
    values = []
    for dtype in (DOUBLE, torch.float32):
        d = torch.linspace(0.5, 2, n, dtype=dtype).unsqueeze(-1)
        u = torch.full((n, 1), n**-0.5, dtype=dtype)
        op = Operator(kind="spd", n=n, product=lambda v, d=d, u=u: d * v + largest * u * (u.mT @ v), dtype=dtype)
        values.append(float(estimate(SLQ(steps=20, probes=3), op, 1).value))
    assert abs(values[0] - values[1]) < 0.5


@pytest.mark.parametrize("target", ["trace", "logdet", "inverse"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_matrices_below_float64_give_their_own_values(dtype, target):
    """Half precision is held in float32; noise of either dtype is taken."""
    g = torch.Generator().manual_seed(0)
    b = torch.randn(100, 100, generator=g, dtype=DOUBLE)
    matrix = (b @ b.mT / 100 + 0.5 * torch.eye(100, dtype=DOUBLE)).to(dtype)
    truth = float(estimate(Exact(), Operator.of(matrix.to(DOUBLE), "spd", target=target), 1).value)
    methods = (XTrace(), HutchPP()) if target == "trace" else (XTrace(steps=30), HutchPP(steps=30), SLQ(probes=40))
    for method in methods:
        for noise in (torch.float32, DOUBLE):
            op = Operator.of(matrix, "spd", target=target)
            got = method.estimate(op, 10**6, Noise.seeded(0, dtype=noise), 1).value
            assert float(got) == pytest.approx(truth, rel=0.15, abs=5.0)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.float16, torch.bfloat16, torch.int64])
def test_other_products_are_refused_with_what_to_do(dtype):
    """Complex Hermitian operators and products that round."""
    with pytest.raises(ValueError, match="products must be in float32 or float64"):
        Operator(kind="spd", n=3, product=lambda v: v, dtype=dtype)


def test_the_real_form_of_a_hermitian_matrix_has_twice_its_log_determinant():
    """What the refusal advises."""
    g = torch.Generator().manual_seed(0)
    c = torch.randn(20, 20, dtype=torch.complex128, generator=g)
    h = c @ c.mH / 20 + torch.eye(20)
    with pytest.raises(ValueError, match="Hermitian"):
        Operator.of(h, "spd")
    real = torch.cat([torch.cat([h.real, -h.imag], -1), torch.cat([h.imag, h.real], -1)])
    assert float(estimate(Exact(), Operator.of(real, "spd"), 1).value / 2) == pytest.approx(
        float(torch.linalg.slogdet(h).logabsdet)
    )
