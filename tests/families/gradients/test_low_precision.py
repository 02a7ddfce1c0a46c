"""Half precision, mixed dtypes and autocast: computed in float32 (float64 for float64), never wrong in silence."""

from __future__ import annotations

import pytest
import torch
from gradient_objects import KINDS, NAMES, law, numbers, square, three_steps

from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, Enumeration, Exact, FunctionObjective, Rloo

HALF = (torch.bfloat16, torch.float16)
FLOAT, DOUBLE = torch.float32, torch.float64


def same(actual, expected):
    """Two samples hold the same numbers, or both estimators refused."""
    assert (actual is None) == (expected is None)
    if expected is not None:
        assert torch.equal(actual.gradient, expected.gradient)
        assert torch.equal(actual.value, expected.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_gives_the_numbers_of_float32(name, kind):
    """Parameters and noise in half precision, learned state included, change nothing but what the parameters hold."""
    expected = three_steps(name, law(kind, numbers(kind, FLOAT)), square(kind), Noise.seeded(3))
    for dtype in HALF:
        same(three_steps(name, law(kind, numbers(kind, dtype)), square(kind), Noise.seeded(3)), expected)
        low = three_steps(name, law(kind, numbers(kind, dtype)), square(kind), Noise.seeded(3, dtype=dtype))
        same(low, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_noise_of_another_dtype_is_drawn_in_that_of_the_parameters(name, kind):
    """Float64 parameters with float32 noise and the reverse: what noise of their own dtype gives."""
    for own, other in ((FLOAT, DOUBLE), (DOUBLE, FLOAT)):
        distribution = law(kind, numbers(kind, own))
        expected = three_steps(name, distribution, square(kind), Noise.seeded(3, dtype=own))
        same(three_steps(name, distribution, square(kind), Noise.seeded(3, dtype=other)), expected)
        assert expected is None or expected.gradient.dtype == own


@pytest.mark.parametrize("name", NAMES)
def test_autocast_changes_nothing_inside(name):
    """Learned networks multiply matrices in their own precision under autocast."""
    distribution = law("bernoulli", numbers("bernoulli", FLOAT))
    expected = three_steps(name, distribution, square("bernoulli"), Noise.seeded(3))
    with torch.autocast("cpu", torch.bfloat16):
        same(three_steps(name, distribution, square("bernoulli"), Noise.seeded(3)), expected)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("classes", [100, 1000])
def test_equal_classes_are_drawn_alike(dtype, classes):
    """The first quarter of equal classes is drawn in 25 %; false alarms: 5 sigma, 6e-7 each."""
    distribution = Distribution(kind="categorical", logits=torch.zeros(1, classes, dtype=dtype))
    share = distribution.sample(Noise.seeded(1, dtype=dtype), 20_000).mean(0).flatten()[: classes // 4].sum()
    assert abs(float(share) - 0.25) < 5 * (0.25 * 0.75 / 20_000) ** 0.5


@pytest.mark.parametrize("dtype", HALF)
def test_parameters_of_half_precision_get_gradients_of_their_own_dtype(dtype):
    """The surrogate's backward pass casts back."""
    with torch.enable_grad():
        logits = torch.zeros(4, 3, dtype=dtype, requires_grad=True)
        f = FunctionObjective(square("bernoulli"))
        sample = Rloo().estimate(Distribution(kind="bernoulli", logits=logits), f, Noise.seeded(0), 8)
        sample.surrogate(logits).mean().backward()
    assert logits.grad is not None
    assert logits.grad.dtype == dtype
    torch.testing.assert_close(logits.grad.float(), sample.gradient.sum(0) / 32, rtol=0.01, atol=1e-4)


def test_f_takes_the_dtype_that_it_names():
    """A decoder in bfloat16 is given x in bfloat16; its value and gradient come back in the dtype of x."""
    seen = []
    f = FunctionObjective(lambda x: seen.append(x.dtype) or x.square().sum(-1), takes=torch.bfloat16)
    value, slope = f.value_and_gradient(torch.ones(2, 3))
    assert seen == [torch.bfloat16]
    assert value.dtype == slope.dtype == FLOAT
    assert torch.equal(slope, torch.full((2, 3), 2.0))


@pytest.mark.parametrize(
    ("kind", "logits", "truth"),
    [
        # p (1 - p) (f(1) - f(0)) and, for a class k, p_k (f_k - E f), with 60 digits (mpmath).
        ("bernoulli", [12.0], [6.144136851333178e-7]),
        ("bernoulli", [-12.0], [6.144136851333178e-7]),
        ("categorical", [0.0, 14.0, 1.0], [-8.315273362241488e-8, -1.428791852620428e-7, 2.260319188844577e-7]),
    ],
)
def test_the_exact_gradient_of_a_saturated_law_keeps_its_digits(kind, logits, truth):
    """In float32 the probability of the rare value is lost in that of the frequent one: 2 % at a logit of 12."""
    parameters = torch.tensor(logits)
    states = torch.tensor([[0.0], [1.0]]) if kind == "bernoulli" else torch.eye(3).unsqueeze(1)
    values = (states.flatten(1) - 0.45).square() @ torch.arange(1.0, states[0].numel() + 1)
    objective = FunctionObjective(lambda x: x.sum(-1), table=lambda: Enumeration(states=states, values=values[:, None]))
    law_of = Distribution(kind=kind, logits=parameters if kind == "bernoulli" else parameters[None])
    found = Exact().estimate(law_of, objective, Noise.seeded(0), repeats=1).gradient.flatten()
    assert found.double() == pytest.approx(torch.tensor(truth, dtype=torch.float64), rel=2e-6)
