from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from kexue_bench.lab.noise import Noise
from kexue_logdet import Exact, PowerSeries, densities
from kexue_logdet.iresnet import InvertibleBlock, InvertibleResNet
from kexue_logdet.lipschitz import (
    CappedConv2d,
    CappedLinear,
    LipSwish,
    Residual,
    conv_residual,
    conv_symbol,
    linear_residual,
    norm_bound,
)
from kexue_logdet.methods.golub_kahan_slq import GolubKahanSLQ
from kexue_logdet.methods.neumann_roulette import NeumannRoulette
from kexue_logdet.methods.russian_roulette import RussianRoulette


def small_flow(*, dtype=torch.float64, blocks=2, cap=0.9):
    return InvertibleResNet.drawn(Noise.seeded(3, dtype=dtype), dim=2, blocks=blocks, width=8, depth=2, cap=cap)


def points(n, *, dtype=torch.float64):
    return densities.draw("two-moons", n, Noise.seeded(8, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(64, 64), (64, 2), (3, 50), (1, 1)])
def test_the_bound_is_above_the_norm_and_near_it(dtype, shape):
    """Singular values of Gaussian matrices, of every scale: never above the bound, which is within
    n^(2^-8) - 1 (1.7 % at n = 64) of them.
    """
    noise = Noise.seeded(1, dtype=dtype)
    for scale in (1e-4, 1.0, 1e4):
        weight = scale * noise.normal(*shape)
        true = float(torch.linalg.matrix_norm(weight.double(), 2))
        bound = float(norm_bound(weight).double())
        assert true <= bound <= true * (min(shape) ** 2**-8 + 1e-3)


def test_the_bound_has_the_gradient_of_its_value():
    """Constants that are divided out and multiplied back need no derivative: finite differences agree."""
    weight = Noise.seeded(2, dtype=torch.float64).normal(5, 4).requires_grad_()
    assert torch.autograd.gradcheck(norm_bound, (weight,))


def test_one_power_iteration_does_not_hold_a_cap():
    """A matrix with two close large singular values: the estimate after one step from a fixed vector is a lower bound,
    so that a weight scaled by it exceeds 0.9; scaled by the bound used here it does not.
    """
    noise = Noise.seeded(0, dtype=torch.float64)
    weight = noise.normal(64, 64)
    u = functional.normalize(weight.T @ noise.normal(64), dim=0)
    estimate = (weight @ u).norm()
    assert float(torch.linalg.matrix_norm(weight * 0.9 / estimate, 2)) > 1.1
    assert float(torch.linalg.matrix_norm(weight * 0.9 / norm_bound(weight), 2)) <= 0.9


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_a_cap_holds_and_leaves_small_weights_alone(scale):
    """The norm in use is at most the cap; a weight below it is used as it is."""
    layer = CappedLinear(scale * Noise.seeded(4).normal(20, 30), 0.9)
    assert layer.norm() <= 0.9
    if scale == 0.01:
        assert torch.equal(layer.capped(), layer.weight)


def test_convolution_norm_is_that_of_the_dense_map():
    """The largest norm over the frequencies is the norm of the 75 x 50 matrix of the layer, and the cap holds."""
    weight = Noise.seeded(5, dtype=torch.float64).normal(3, 2, 3, 3)
    layer = CappedConv2d(weight, (5, 5), 0.8)
    eye = torch.eye(50, dtype=torch.float64).view(50, 2, 5, 5)
    dense = layer(eye).flatten(1).detach()
    assert float(torch.linalg.matrix_norm(dense, 2)) == pytest.approx(layer.norm(), abs=1e-12)
    assert 0.7 < layer.norm() <= 0.8
    symbol = conv_symbol(weight, (5, 5))
    assert float(norm_bound(symbol).max()) >= float(torch.linalg.matrix_norm(symbol, 2).max())


def test_lipswish_is_one_lipschitz():
    """Its slope over [-20, 20] stays within 1, for flat and steep ones."""
    act = LipSwish(dtype=torch.float64)
    x = torch.linspace(-20, 20, 4001, dtype=torch.float64, requires_grad=True)
    for raw in (-3.0, 0.5, 5.0):
        with torch.no_grad():
            act.raw.fill_(raw)
        slope = torch.autograd.grad(act(x).sum(), x)[0]
        assert 0.8 < float(slope.abs().max()) <= 1


@pytest.mark.parametrize("method", [Exact(), PowerSeries(degree=200, probes=2), GolubKahanSLQ(steps=2, probes=2)])
def test_log_density_is_that_of_the_whole_jacobian(method):
    """Change of variables with the Jacobian of the whole flow by reverse mode. The estimators are exact on average, so
    the mean over 4,000 copies of one point is compared, within 5 standard errors; `exact` to rounding.
    """
    flow, x = small_flow(cap=0.5), points(1)
    jacobian = torch.func.jacrev(lambda row: flow(row.unsqueeze(0)).squeeze(0))(x[0])
    z = flow(x)[0]
    expected = (torch.linalg.slogdet(jacobian).logabsdet - z.square().sum() / 2).item() - math.log(2 * math.pi)
    with torch.no_grad():
        got = flow.log_prob(x.expand(4000, 2), method, Noise.seeded(1, dtype=torch.float64))
    error = 0.0 if isinstance(method, Exact) else float(got.std()) / 4000**0.5
    assert float(got.mean()) == pytest.approx(expected, abs=5 * error + 1e-10)


def test_products_are_those_of_the_jacobians():
    """`mv` is J^T V and `rmv` J V for each row, for one column and for several, against `jacrev`."""
    block = small_flow().blocks[0]
    x = points(4)
    jacobians = torch.func.vmap(torch.func.jacrev(lambda row: block.residual(row.unsqueeze(0)).squeeze(0)))(x)
    op = block.jacobian(x)
    for columns in (1, 3):
        v = Noise.seeded(0, dtype=torch.float64).normal(4, 2, columns)
        torch.testing.assert_close(op.mv(v).detach(), jacobians.mT @ v, rtol=0, atol=1e-14)
        torch.testing.assert_close(op.rmv(v).detach(), jacobians @ v, rtol=0, atol=1e-14)


@pytest.mark.statistical
@pytest.mark.parametrize(
    "method", [PowerSeries(degree=200, probes=1), RussianRoulette(), NeumannRoulette(), GolubKahanSLQ(steps=2)]
)
def test_training_gradients_agree_with_the_exact_ones(method):
    """The gradient of the mean log density of 4,000 copies of a point in every parameter: within 0.05 of the exact one
    relative to its length (about 5 standard errors of the noisiest, the roulette).
    """
    flow, x = small_flow(cap=0.5), points(1).expand(4000, 2)
    params = list(flow.parameters())
    gradients = [
        torch.cat(
            [
                g.flatten()
                for g in torch.autograd.grad(
                    flow.log_prob(x, m, Noise.seeded(1, dtype=torch.float64)).mean(), params, materialize_grads=True
                )
            ]
        )
        for m in (Exact(), method)
    ]
    assert float((gradients[1] - gradients[0]).norm() / gradients[0].norm()) < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_decoding_undoes_encoding(dtype):
    """To a hundred ulps of the dtype, in both directions, for a flow at c = 0.9."""
    flow, x = small_flow(dtype=dtype, blocks=4), points(200, dtype=dtype)
    with torch.no_grad():
        assert float((flow.inverse(flow(x)) - x).abs().max()) < 100 * torch.finfo(dtype).eps
        z = Noise.seeded(6, dtype=dtype).normal(200, 2)
        assert float((flow(flow.inverse(z)) - z).abs().max()) < 100 * torch.finfo(dtype).eps


def test_nothing_is_rounded_between_blocks():
    """Four blocks 0.1 x + 30, each centered and scaled by the affine map after it: a float32 code of every block would
    lose 10 * 30 * 2^-24 = 2e-5 of x, the code that is passed on loses 2^-24 of its size.
    """

    def contraction():
        layer = CappedLinear(-3 * torch.eye(2), 0.9)
        with torch.no_grad():
            layer.bias.fill_(30.0)
        return InvertibleBlock(Residual([layer]), 0.9)

    flow, x = InvertibleResNet([contraction() for _ in range(4)], dim=2), points(200, dtype=torch.float32)
    flow.fit_(x)
    with torch.no_grad():
        z = flow(x)
        back = flow.inverse(z)
    assert z.dtype == back.dtype == torch.float32
    assert float((back - x).abs().max()) < 8 * torch.finfo(torch.float32).eps


def test_the_tolerance_is_an_error_in_the_units_of_x():
    """Each tolerance is met by the true error, and coarser ones leave larger errors. A rule on squared differences
    would stop at the square root of the tolerance.
    """
    block = InvertibleBlock(
        linear_residual(Noise.seeded(1, dtype=torch.float64), dim=2, width=16, depth=1, cap=0.9), 0.9
    )
    x = points(100)
    with torch.no_grad():
        z = block(x)
        errors = [float((block.inverse(z, tolerance=t) - x).norm(dim=1).max()) for t in (1e-2, 1e-5, 1e-8)]
    assert all(error <= tolerance for error, tolerance in zip(errors, (1e-2, 1e-5, 1e-8), strict=True))
    assert errors == sorted(errors, reverse=True)


def test_a_broken_cap_is_an_error_and_no_answer():
    """G(x) = -2 x declared 0.5-Lipschitz: the iteration diverges, and the error names the violated bound."""
    block = InvertibleBlock(Scaled(), 0.5)
    with pytest.raises(ArithmeticError, match="residual branch violates its bound"):
        block.inverse(torch.ones(3, 2))


class Scaled(nn.Module):
    def forward(self, x):
        return -2 * x


def test_samples_have_the_shape_and_law_of_the_flow():
    """Encoded samples are the normal numbers that were drawn."""
    flow = small_flow()
    x = flow.sample(50, Noise.seeded(9, dtype=torch.float64))
    z = Noise.seeded(9, dtype=torch.float64).normal(50, 2)
    torch.testing.assert_close(flow(x).detach(), z, rtol=0, atol=1e-12)


def test_fit_centres_and_scales_what_each_block_sees():
    """After fitting, codes have mean 0 and standard deviation 1."""
    flow, x = small_flow(), points(500)
    flow.fit_(x)
    z = flow(x).detach()
    torch.testing.assert_close(z.mean(0), torch.zeros(2, dtype=z.dtype), rtol=0, atol=1e-12)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(2, dtype=z.dtype), rtol=0, atol=1e-12)


def test_convolution_blocks_are_invertible_and_have_a_logdet():
    """An image block at c = 0.7: its inverse to rounding, and golub-kahan at k = n against the dense Jacobian."""
    residual = conv_residual(Noise.seeded(2, dtype=torch.float64), channels=1, size=(4, 4), width=3, depth=1, cap=0.7)
    block = InvertibleBlock(residual, residual.lipschitz)
    x = Noise.seeded(3, dtype=torch.float64).normal(2, 1, 4, 4)
    assert residual.norm() <= 0.7 + 1e-12
    with torch.no_grad():
        z, logdet = block.with_logdet(x, Exact(), Noise.seeded(0))
        assert float((block.inverse(z) - x).abs().max()) < 1e-13
    jacobian = torch.func.jacrev(lambda row: block(row.view(1, 1, 4, 4)).flatten())(x[0].flatten())
    assert logdet[0].item() == pytest.approx(torch.linalg.slogdet(jacobian).logabsdet.item(), abs=1e-12)


@pytest.mark.parametrize(("name", "area"), [("checkerboard", 32.0), ("eight-gaussians", None), ("two-moons", None)])
def test_densities_have_their_entropies(name, area):
    """Checkerboard: log of its area, and its points lie on the dark squares. The others: a kernel estimate of the
    entropy from 4,000 points against 1,000 others with bandwidth 0.15 is above the entropy by less than 0.15 nats.
    """
    x = densities.draw(name, 5000, Noise.seeded(0, dtype=torch.float64))
    if area:
        assert densities.ENTROPY[name] == pytest.approx(math.log(area))
        assert float(x.abs().max()) <= 4
        assert ((x / 2).floor().sum(1) % 2 == 0).all()
        return
    squared = torch.cdist(x[:1000], x[1000:]).square()
    log_density = torch.logsumexp(-squared / (2 * 0.15**2), dim=1) - math.log(4000 * 2 * math.pi * 0.15**2)
    assert -0.05 < float(-log_density.mean()) - densities.ENTROPY[name] < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eight-gaussians", "two-moons"])
def test_flows_reach_the_entropy(name):
    """Three blocks of 2 x 32 after 250 steps at 1e-2 stay within 0.6 nats of the entropy (the full size is a matter of
    minutes: 8 blocks of 3 x 64 and 3,000 steps come within 0.1), keep their cap and invert to 1e-5 in float32.
    """
    flow = InvertibleResNet.drawn(Noise.seeded(0), dim=2, blocks=3, width=32, depth=2)
    source = Noise.seeded(2)
    flow.fit_(densities.draw(name, 2000, source.at(-1)))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    for step in range(250):
        optimizer.zero_grad()
        (-flow.log_prob(densities.draw(name, 128, source.at(step)), Exact(), source.at(step)).mean()).backward()
        optimizer.step()
    test = densities.draw(name, 2000, Noise.seeded(1))
    with torch.no_grad():
        excess = -float(flow.log_prob(test, Exact(), source).mean()) - densities.ENTROPY[name]
        assert -0.1 < excess < 0.6
        assert max(flow.norms()) <= 0.9
        assert float((flow.inverse(flow(test)) - test).abs().max()) < 1e-5
