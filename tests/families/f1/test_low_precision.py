"""Losses in half precision, under autocast, with overflow and at saturation: right values, finite gradients."""

from __future__ import annotations

import installed
import pytest
import torch

from kexue_f1 import AsymmetricLoss, Focal
from kexue_f1.counts import power, stacked

NAMES = [spec.name for spec in installed.methods("f1")]
HALF = [torch.float16, torch.bfloat16]


def _batch(name, dtype, *shape):
    """Logits and 0/1 targets `[R, B, C]`; of several labels exactly one, as the losses over classes need it."""
    generator = torch.Generator().manual_seed(0)
    z = (2 * torch.randn(shape, generator=generator)).to(dtype)
    y = torch.nn.functional.one_hot(z.argmax(2).roll(1, 1), shape[2]).to(dtype)
    return z, y


def _value_and_gradient(method, z, y):
    with torch.enable_grad():
        z = z.clone().requires_grad_()
        value, _ = method.loss(z, y, method.init(y))
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("shape", [(1, 512, 512), (3, 20, 4)])
@pytest.mark.parametrize("name", NAMES)
def test_a_loss_of_half_precision_is_that_of_double_precision(losses, name, shape, dtype):
    """Value and gradient differ from float64 by rounding of the result alone, and keep the dtype of the logits."""
    if name == "smooth-ap" and shape[1] == 512:
        shape = (1, 128, 64)
    z, y = _batch(name, dtype, *shape)
    value, gradient = _value_and_gradient(losses[name], z, y)
    expected, slope = _value_and_gradient(losses[name], z.double(), y.double())
    assert value.dtype == gradient.dtype == dtype
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(value.double(), expected, rtol=eps, atol=eps)
    torch.testing.assert_close(gradient.double(), slope, rtol=16 * eps, atol=max(float(slope.abs().max()) * eps, 1e-7))


@pytest.mark.parametrize("name", NAMES)
def test_autocast_does_not_change_a_loss(losses, name):
    """The loss of float32 logits is the same number under autocast."""
    z, y = _batch(name, torch.float32, 2, 16, 4)
    plain, _ = losses[name].loss(z, y, losses[name].init(y))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = losses[name].loss(z, y, losses[name].init(y))
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, plain)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
@pytest.mark.parametrize("name", NAMES)
def test_an_infinite_logit_is_a_very_large_one(losses, name, dtype):
    """A mask or an overflow gives the numbers of -1e9 and 1e9, in every dtype, and no gradient is NaN."""
    z, y = _batch(name, torch.float64, 2, 8, 4)
    z[y == 0] = torch.where(torch.arange(int((y == 0).sum())) % 3 == 0, -torch.inf, z[y == 0])
    z[y == 1] = torch.where(torch.arange(int((y == 1).sum())) % 3 == 0, torch.inf, z[y == 1])
    far = z.nan_to_num(nan=torch.nan, posinf=1e9, neginf=-1e9)
    value, gradient = _value_and_gradient(losses[name], z.to(dtype), y.to(dtype))
    expected, _ = _value_and_gradient(losses[name], far, y)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(value.double(), expected, rtol=8 * eps, atol=8 * eps)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
@pytest.mark.parametrize("exponent", [0.01, 0.5, 0.9])
@pytest.mark.parametrize("logit", [18.0, 110.0, 800.0, 5e4])
def test_a_focusing_exponent_below_one_has_no_gradient_at_saturation(dtype, exponent, logit):
    """Where p(1 - p) rounds to 0 the gradient is 0, not NaN, and the other items keep theirs."""
    for method in (
        Focal(gamma=exponent),
        AsymmetricLoss(gamma_positive=exponent, gamma_negative=exponent, weight_gradient=True),
        AsymmetricLoss(gamma_positive=exponent, gamma_negative=exponent, margin=0.0, weight_gradient=True),
    ):
        z = torch.tensor([logit, -logit, -0.5, 0.3], dtype=dtype)
        y = torch.tensor([1, 0, 0, 1])
        _, gradient = _value_and_gradient(method, z, y)
        assert gradient[:2].abs().max() < 1e-5
        _, alone = _value_and_gradient(method, z[2:].double(), y[2:])
        torch.testing.assert_close(gradient[2:].double(), alone / 2, rtol=4 * torch.finfo(dtype).eps, atol=1e-7)


def test_a_power_is_the_power():
    """Away from 0 both value and gradient are those of the operator, bit for bit; at 0 the gradient is 0."""
    x = torch.tensor([0.0, 1e-3, 0.5, 1.0], dtype=torch.float64)
    for exponent in (0.0, 0.3, 1.0, 2.5):
        with torch.enable_grad():
            a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
            value = power(a, exponent)
            value.sum().backward()
            (b**exponent).sum().backward()
        assert torch.equal(value, x**exponent)
        assert torch.equal(a.grad[1:], b.grad[1:])
        assert bool(a.grad.isfinite().all())


def test_integer_logits_are_refused():
    """Logits that are not floating point are named, instead of rounded."""
    with pytest.raises(ValueError, match=r"floating point, got torch\.int64"):
        Focal().loss(torch.tensor([1, 2]), torch.tensor([0, 1]))


@pytest.mark.parametrize("name", NAMES)
def test_finite_logits_are_not_copied(losses, name):
    """The peak memory of a loss is that without the rule for infinite logits: the tensor itself is used."""
    z, y = _batch(name, torch.float32, 2, 8, 4)
    seen = stacked(z, y)[0]
    assert seen.data_ptr() == z.data_ptr()
    assert losses[name].loss(z, y, losses[name].init(y))[0].isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_an_infinite_logit_under_vmap(losses, name):
    """Where no value can be looked at all logits are clamped: a stack of problems by `torch.func.vmap`, masks in it."""
    z, y = _batch(name, torch.float32, 3, 8, 4)
    z[0, 0, 0] = -torch.inf if not y[0, 0, 0] else torch.inf
    state = losses[name].init(y[:1])
    if name in ("lovasz-softmax", "smooth-ap"):
        # Their shapes depend on the targets: torch refuses, with a sentence.
        with pytest.raises(RuntimeError, match="vmap"):
            torch.func.vmap(lambda a, b: losses[name].loss(a[None], b[None], state)[0][0])(z, y)
        return
    together = torch.func.vmap(lambda a, b: losses[name].loss(a[None], b[None], state)[0][0])(z, y)
    single = torch.stack([losses[name].loss(a[None], b[None], state)[0][0] for a, b in zip(z, y, strict=True)])
    torch.testing.assert_close(together, single)
