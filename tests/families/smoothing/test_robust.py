"""Every operator in half precision, under autocast, with NaN and infinite entries, and with a learned softness."""

from __future__ import annotations

import importlib
import inspect
from functools import cache

import installed
import pytest
import torch

import kexue_smoothing as ks
from kexue_bench.lab.noise import Noise
from kexue_smoothing.contract import KINDS, SCALARS, arguments
from kexue_smoothing.kinds import Operator

HALF = [torch.float16, torch.bfloat16]


@cache
def _operators():
    """Every operator of every registered method, by name of the method and kind."""
    out = {}
    for spec in installed.methods("smoothing"):
        module, _, name = spec.target.partition(":")
        method = getattr(importlib.import_module(module), name)()
        kinds = KINDS if hasattr(method, "of") else (method.kind,)
        for kind in kinds:
            try:
                out[f"{spec.name}-{kind}"] = method.of(kind) if hasattr(method, "of") else method
            except ValueError:
                continue
    return out


OPERATORS = _operators()
OURS = [name for name, operator in OPERATORS.items() if isinstance(operator, Operator)]
ROWS = [name for name in OURS if OPERATORS[name].kind not in SCALARS]
MASKED = [name for name in ROWS if "mask" in inspect.signature(OPERATORS[name].apply).parameters]
SMOOTH = [name for name in OURS if name not in {"softmax-sample", "gumbel-softmax-sample"}]


def _x(name, *batch):
    """Rows of the length that the operator takes, of entries that half precision holds exactly."""
    n = 2 if name.startswith("pair-max") else 8
    x = torch.randn(*batch, n, generator=torch.Generator().manual_seed(0)).bfloat16().half().double()
    return x.abs() if name.startswith("p-norm") else x


def _apply(name, x, softness=0.5, **more):
    operator = OPERATORS[name]
    return operator.apply(x, **arguments(operator, softness=softness, k=3, noise=Noise.seeded(0)), **more)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", OPERATORS)
def test_half_precision_costs_the_rounding_of_the_result_alone(name, dtype):
    """The value is that of float64 rounded once; the dtype is that of the input."""
    x = _x(name, 4)
    found, exact = _apply(name, x.to(dtype)), _apply(name, x)
    assert found.dtype == dtype
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), exact, rtol=eps, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in OURS if OPERATORS[n].kind == "top-k"])
@pytest.mark.parametrize("dtype", HALF)
def test_a_mask_of_a_thousand_half_precision_scores_is_right(name, dtype):
    """Five scores that stand far above 995 others are marked alone."""
    x = 3 * torch.randn(1000, generator=torch.Generator().manual_seed(0)).clamp(-3.3, 3.3)
    x[:5] = torch.tensor([40.0, 39, 38, 37, 36])
    found = OPERATORS[name].apply(x.to(dtype), softness=1.0, k=5).double()
    exact = OPERATORS[name].apply(x.to(dtype).double(), softness=1.0, k=5)
    torch.testing.assert_close(found, exact, rtol=torch.finfo(dtype).eps, atol=1e-3)


@pytest.mark.parametrize("name", OPERATORS)
def test_autocast_changes_nothing(name):
    """float32 entries give the same bits under autocast."""
    x = _x(name, 4).float()
    plain = _apply(name, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(_apply(name, x), plain)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
@pytest.mark.parametrize("name", ROWS)
def test_a_row_with_nan_costs_no_other_row(name, dtype):
    """The row with NaN is NaN wherever it is not zero for want of a place, and all others are what they were."""
    x = _x(name, 3).to(dtype)
    bad = x.clone()
    bad[1, 0] = torch.nan
    healthy, found = _apply(name, x), _apply(name, bad)
    assert torch.equal(found[[0, 2]], healthy[[0, 2]])
    assert bool(found[1].isnan().any())


@pytest.mark.parametrize("name", [n for n in OURS if OPERATORS[n].kind in SCALARS])
def test_a_scalar_that_is_nan_costs_no_other(name):
    """Of a function of single entries, the entry that is NaN alone is NaN."""
    x = _x(name, 3)
    bad = x.clone()
    bad[1, 0] = torch.nan
    found = _apply(name, bad)
    assert bool(found[1, 0].isnan())
    assert torch.equal(found[0], _apply(name, x)[0])
    assert bool(found[1, 1:].isfinite().all())


@pytest.mark.parametrize("name", OURS)
def test_an_infinite_row_changes_no_gradient_of_another(name):
    """Finite entries alone are computed without care of infinities: gradients are those of the careful way."""
    x = _x(name, 3)
    odd = x.clone()
    odd[2] = torch.inf
    gradients = []
    for entries in (x, odd):
        with torch.enable_grad():
            y = entries.clone().requires_grad_()
            out = _apply(name, y)[:2]
            if out.requires_grad:
                (gradient,) = torch.autograd.grad((out * torch.linspace(1, 2, out.numel()).reshape(out.shape)).sum(), y)
                gradients.append(gradient[:2])
    if gradients:
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("fill", [torch.nan, torch.inf, -torch.inf, 1e30])
@pytest.mark.parametrize("name", MASKED)
def test_what_is_masked_takes_no_part(name, fill):
    """Value and gradient do not depend on what a masked entry holds."""
    x = _x(name, 3)
    mask = torch.ones_like(x, dtype=torch.bool)
    mask[1, -1] = False
    results = []
    for value in (0.25, fill):
        with torch.enable_grad():
            y = x.masked_fill(~mask, value).requires_grad_()
            out = _apply(name, y, mask=mask)
            (gradient,) = torch.autograd.grad((out * torch.linspace(1, 2, out.numel()).reshape(out.shape)).sum(), y)
        results.append((out.detach(), gradient))
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
@pytest.mark.parametrize("end", [torch.inf, -torch.inf])
@pytest.mark.parametrize("name", [n for n in ROWS if OPERATORS[n].kind == "sort"])
def test_a_row_padded_with_infinity_is_sorted_as_without(name, end, dtype):
    """Infinite entries take the ends, and the others stay within their range; a projection leaves them alone."""
    x = _x(name, 3).to(dtype)[:, :6]
    padded = torch.cat([x, torch.full_like(x[:, :2], end)], -1)
    with torch.enable_grad():
        padded.requires_grad_()
        found = _apply(name, padded)
        kept = found[:, :6] if end > 0 else found[:, 2:]
        (gradient,) = torch.autograd.grad(kept.double().square().sum(), padded)
    assert bool((found[:, 6:] if end > 0 else found[:, :2]).isinf().all())
    assert bool(gradient.isfinite().all())
    assert kept.max() <= x.max() + 1
    assert kept.min() >= x.min() - 1
    if name == "fast-soft-sort-sort":
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(kept.detach(), _apply(name, x), rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_learned_softness_has_its_gradient(name):
    """The gradient for a softness that is a tensor is the central difference, to its error h^2."""
    x, h = _x(name, 4), 1e-5
    weight = torch.linspace(1, 2, _apply(name, x).numel(), dtype=torch.float64).reshape(_apply(name, x).shape)
    with torch.enable_grad():
        s = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
        (found,) = torch.autograd.grad((_apply(name, x, s) * weight).sum(), s)
    high, low = ((_apply(name, x, 0.5 + step) * weight).sum() for step in (h, -h))
    assert float(found) == pytest.approx(float(high - low) / (2 * h), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0])
def test_an_entmax_maximum_is_twice_differentiable_in_entries_and_softness(alpha):
    """First and second derivatives, the mixed ones too, agree with differences of the value."""
    x = torch.tensor([0.5, 0.1, -1.0, 0.9], dtype=torch.float64)
    with torch.enable_grad():
        arguments = x.requires_grad_(), torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
        value = ks.EntmaxMax(alpha=alpha).apply
        assert torch.autograd.gradcheck(lambda x, s: value(x, softness=s), arguments)
        assert torch.autograd.gradgradcheck(lambda x, s: value(x, softness=s), arguments)


def test_a_softness_without_a_gradient_is_refused():
    """Perturbed choices have no estimator for it, and say so instead of returning no gradient."""
    with torch.enable_grad():
        s = torch.tensor(0.5, requires_grad=True)
        with pytest.raises(ValueError, match="no gradient for its softness"):
            ks.Perturbed().of("one-hot").apply(torch.zeros(3), softness=s, noise=Noise.seeded(0))


def test_a_straight_through_sample_is_refused():
    """Its soft function would draw noise of its own."""
    with pytest.raises(ValueError, match="no 'sample'"):
        ks.StraightThrough().of("sample")
