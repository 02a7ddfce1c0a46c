"""Logits of -inf, as action masks have them: the numbers that -1e9 gives."""

from __future__ import annotations

import pytest
import torch
from gradient_objects import NAMES, law, numbers, square, three_steps

from kexue_bench.lab.noise import Noise


def run(name, kind, dtype, mask):
    """The sample, its surrogate and the gradient of the logits."""
    with torch.enable_grad():
        logits = numbers(kind, dtype)
        logits[..., 1] = mask
        logits.requires_grad_()
        sample = three_steps(name, law(kind, logits), square(kind), Noise.seeded(3))
        if sample is None:
            return None
        loss = sample.surrogate(logits).mean()
        loss.backward()
    return sample, loss, logits.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("kind", "infinity"), [("categorical", -1), ("bernoulli", -1), ("bernoulli", 1)])
@pytest.mark.parametrize("name", NAMES)
def test_infinite_logits_give_the_numbers_of_large_ones(name, kind, infinity, dtype):
    """Value, estimate, loss and the gradient of every possible class."""
    found, expected = (run(name, kind, dtype, infinity * size) for size in (torch.inf, 1e9))
    assert (found is None) == (expected is None)
    if found is None:
        return
    assert bool(found[0].gradient.isfinite().all())
    torch.testing.assert_close(found[0].gradient, expected[0].gradient, rtol=1e-6, atol=0)
    torch.testing.assert_close(found[0].value, expected[0].value, rtol=1e-6, atol=0)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-6, atol=0)
    possible = torch.arange(found[2].shape[-1]) != 1
    torch.testing.assert_close(found[2][..., possible], expected[2][..., possible])
    assert not found[2][..., 1].any()


def test_a_logit_that_is_no_number_is_seen():
    """NaN is not taken for a mask."""
    logits = numbers("bernoulli", torch.float32)
    logits[0, 0] = torch.nan
    assert bool(law("bernoulli", logits).logits[0, 0].isnan())
