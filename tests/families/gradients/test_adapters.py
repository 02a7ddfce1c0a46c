"""Drop-in samplers behave as methods of the family."""

from __future__ import annotations

import doctest

import pytest
import torch
from torch.nn import functional

from kexue_bench.lab.context import Noise
from kexue_gradients import Distribution, FunctionObjective, adapters, from_sampler


def hard(logits, temperature):
    return functional.gumbel_softmax(logits, temperature, hard=True)


def cube(bits):
    return FunctionObjective((lambda x: (x**3).sum(-1)) if bits else (lambda x: (x[..., 0] ** 3).sum(-1)))


@pytest.mark.statistical
@pytest.mark.parametrize("task", ["bernoulli-toy", "categorical-toy"])
def test_torchs_sampler_is_st_gumbel_softmax(task, reference, build, context):
    """Torch's hard sampler has the exact mean and variance of st-gumbel-softmax at temperature 1.

    False alarms: 5 sigma on 8 scores, 5e-6.
    """
    entry = next(
        e
        for e in reference
        if e["task"] == task
        and e["method"] == "st-gumbel-softmax"
        and e["method_params"] == {"temperature": 1.0}
        and e["task_params"].get("theta", 0.5) == 0.5
        and e["task_params"]["power"] == 2
    )
    n = 2**16
    problem = build(task, **entry["task_params"]).problem(from_sampler(hard, temperature=1.0), context(dtype="float64"))
    draws = problem.draw(Noise.seeded(0, dtype=torch.float64), n).flatten(1)
    for g, mean, variance, fourth in zip(draws.T, entry["mean"], entry["variance"], entry["fourth"], strict=True):
        assert abs(float(g.mean()) - mean) < 5 * (variance / n) ** 0.5
        assert abs(float(g.var()) - variance) < 5 * ((fourth - variance**2) / n) ** 0.5


def test_the_noise_decides_and_the_global_generator_is_left_alone():
    """Same noise, same bits, whatever the global generator's state, which is put back; fresh noise, other numbers."""
    method = from_sampler(hard, temperature=1.0)
    distribution = Distribution(kind="bernoulli", logits=torch.tensor([0.3, -0.2]))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        before = torch.get_rng_state()
        a = method.estimate(distribution, cube(bits=True), Noise.seeded(5), 100).gradient
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        noise = Noise.seeded(5)
        b = method.estimate(distribution, cube(bits=True), noise, 100).gradient
        c = method.estimate(distribution, cube(bits=True), noise, 100).gradient
    assert torch.equal(a, b)
    assert not torch.equal(b, c)


def test_every_repeat_has_its_own_gradient():
    """One backward pass over expanded logits gives what differentiating each repeat alone gives."""
    logits = Noise.seeded(0, dtype=torch.float64).normal(2, 3)
    distribution = Distribution(kind="categorical", logits=logits)
    kept = []

    def sampler(z, temperature):
        kept.append(torch.softmax(z * torch.arange(1.0, 5.0)[:, None, None] / temperature, -1))
        return kept[-1]

    gradient = from_sampler(sampler, temperature=2.0).estimate(distribution, cube(bits=False), Noise.seeded(0), 4)
    for r in range(4):
        with torch.enable_grad():
            leaf = logits.clone().requires_grad_()
            y = torch.softmax(leaf * (r + 1.0) / 2.0, -1)
            (expected,) = torch.autograd.grad((y[..., 0] ** 3).sum(), leaf)
        torch.testing.assert_close(gradient.gradient[r], expected)


def test_a_sampler_of_another_shape_is_refused():
    """An index instead of a one-hot sample is named with both shapes."""
    method = from_sampler(lambda z, _: z.argmax(-1), temperature=1.0)
    with pytest.raises(ValueError, match=r"must return the shape of its logits \(2, 3, 4\), got \(2, 3\)"):
        method.estimate(
            Distribution(kind="categorical", logits=torch.zeros(3, 4)), cube(bits=False), Noise.seeded(0), 2
        )


def test_the_example_in_the_docstring_runs():
    """The published example is true."""
    assert doctest.testmod(adapters).failed == 0
