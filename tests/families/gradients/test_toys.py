"""Truth and definition of the two toys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kexue_bench.lab.noise import Noise


@pytest.mark.parametrize("bits", [1, 200])
@pytest.mark.parametrize(("theta", "t", "power"), [(0.3, 0.45, 2.0), (-1.0, 0.2, 1.5), (2.0, 0.499, 3.0)])
def test_bernoulli_truth_in_closed_form(build, context, theta, t, power, bits):
    """Each bit's gradient is `p (1 - p) (f(1) - f(0)) / bits`, in float64 even for a float32 run."""
    problem = build("bernoulli-toy", theta=theta, t=t, power=power, bits=bits).problem(build("reinforce"), context())
    p = 1 / (1 + math.exp(-theta))
    expected = p * (1 - p) * (abs(1 - t) ** power - abs(t) ** power) / bits
    assert problem.truth.dtype == torch.float64
    assert problem.truth.tolist() == pytest.approx([expected] * bits, rel=1e-12)


@pytest.mark.parametrize("power", [2, 3])
def test_categorical_truth_in_closed_form(build, context, power):
    """The gradient is `p (f - E f)` at the three vertices (numpy)."""
    problem = build("categorical-toy", power=power, point="peaked").problem(build("reinforce"), context())
    logits = np.array([2.0, -1.0, 0.0])
    p = np.exp(logits) / np.exp(logits).sum()
    f = (np.array([-1.0, 0.5, 2.0]) - 0.45) ** power
    assert problem.truth.flatten().tolist() == pytest.approx((p * (f - p @ f)).tolist(), rel=1e-12)


def test_f_off_the_vertices_is_the_same_formula(build):
    """Relaxed points are evaluated by the formula of the vertices, and its derivative is the formula's."""
    task = build("bernoulli-toy", t=0.45, power=3.0, bits=2)
    distribution = task.distribution(torch.float64, torch.device("cpu"))
    x = torch.tensor([[0.2, 0.7]], dtype=torch.float64)
    value, gradient = task.objective(distribution).value_and_gradient(x)
    assert value.tolist() == pytest.approx([(0.25**3 + 0.25**3) / 2])
    assert gradient[0].tolist() == pytest.approx([-3 * 0.25**2 / 2, 3 * 0.25**2 / 2])


def test_learned_state_is_warmed_and_then_frozen(build, context):
    """The moving average sees its warm-up draws before the measurement, and no draw of the measurement changes it."""
    method = build("reinforce", baseline="ema", warmup=40)
    ctx = context()
    problem = build("bernoulli-toy").problem(method, ctx)
    assert ctx.counter.units["evaluations"] == 40
    first = problem.draw(Noise.seeded(1), 1000)
    problem.draw(Noise.seeded(2), 1000)
    assert torch.equal(first, problem.draw(Noise.seeded(1), 1000))


def test_a_truth_of_zero_has_no_direction(build, context):
    """Equal values at both states make the gradient zero: then no error is relative to it."""
    assert {"cosine", "relative-bias"} <= set(build("bernoulli-toy").problem(build("rloo"), context()).metrics)
    flat = build("bernoulli-toy", theta=0.3, t=0.5).problem(build("rloo"), context())
    assert flat.metrics == ("bias", "variance", "mse")


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("bernoulli-toy", {"power": 1.0}, "power must be > 1, got 1.0"),
        ("bernoulli-toy", {"bits": 0}, "bits must be >= 1, got 0"),
        ("categorical-toy", {"power": 0}, "power must be >= 1, got 0"),
        ("categorical-toy", {"point": "b"}, "point must be one of flat, peaked, got 'b'"),
        ("digits-vae", {"steps": 0}, "steps must be >= 1, got 0"),
    ],
)
def test_parameters_are_validated(build, name, fields, says):
    """A value out of range is rejected with what was got."""
    with pytest.raises(ValueError, match=says):
        build(name, **fields)
