"""Drop-in samplers behave as methods of the family."""

from __future__ import annotations

import doctest
import math

import pytest
import torch
from torch.nn import functional

from kexue_bench.lab.counter import Counter
from kexue_bench.lab.noise import Noise
from kexue_gradients import (
    Distribution,
    FunctionObjective,
    GumbelSoftmax,
    Reinforce,
    Rloo,
    StraightThrough,
    adapters,
    from_per_sample,
    from_sampler,
    from_surrogate,
)


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
    """Same noise, same bits, whatever the global generator's state, which is restored; fresh noise, other numbers."""
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
    """One backward pass over expanded logits equals differentiating each repeat alone."""
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


# -- rules for one sample ---------------------------------------------------------------------------------------------


def score_rule(distribution, f, u):
    x = (u[0] < distribution.mean).to(u.dtype)
    return distribution.expand(f(x)) * (x - distribution.mean)


def branching_rule(distribution, f, u):
    """The antithetic rule with a branch on a value, which `vmap` rejects."""
    x = (u[0] < distribution.mean).to(u.dtype)
    value = f(x)
    return value * (x - distribution.mean) if bool((value < 1e9).all()) else x


def slope_rule(distribution, f, u):
    x = (u[0] < distribution.mean).to(u.dtype)
    _, slope = f.value_and_gradient(x)
    return distribution.jacobian(distribution.mean, slope)


def pair_rule(distribution, f, u):
    x = (u < distribution.mean).to(u.dtype)
    return distribution.expand(f(x[0]) - f(x[1])) / 2 * (x[0] - x[1])


def counted_square(counter=None):
    return FunctionObjective(lambda x: (x - 0.45).square().mean(-1), counter=counter)


@pytest.mark.parametrize(
    ("rule", "method", "draws", "evaluations"),
    [(score_rule, Reinforce(), 1, 1), (slope_rule, StraightThrough(), 1, 1), (pair_rule, Rloo(), 2, 2)],
)
@pytest.mark.parametrize("shape", [(5,), (3, 4)])
def test_a_rule_for_one_sample_is_the_batched_method(rule, method, draws, evaluations, shape):
    """Gradient, value and counts equal those of the family's method on the same uniforms."""
    bits = Distribution(kind="bernoulli", logits=torch.linspace(-1, 1, math.prod(shape)).reshape(shape))
    found = []
    for one in (from_per_sample(rule, draws=draws), method):
        counter = Counter()
        sample = one.estimate(bits, counted_square(counter), Noise.seeded(3), 64)
        found.append((sample.gradient, sample.value, counter.units["evaluations"]))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)
    assert found[0][2] == found[1][2] == 64 * evaluations


def test_what_vmap_cannot_do_runs_in_a_loop_with_the_same_numbers():
    """A branch on a value: same gradients, values and counts as the rule without the branch."""
    bits = Distribution(kind="bernoulli", logits=torch.tensor([0.3, -0.2, 1.0]))
    found = []
    for rule in (score_rule, branching_rule):
        method, counter = from_per_sample(rule), Counter()
        sample = method.estimate(bits, counted_square(counter), Noise.seeded(3), 50)
        found.append((sample.gradient, sample.value, counter.units, list(method.batched.values())))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]
    assert (found[0][3], found[1][3]) == ([True], [False])


@pytest.mark.parametrize("rule", [score_rule, branching_rule])
def test_the_value_of_a_rule_trains_what_is_inside_f(rule):
    """The gradient of the mean value with respect to a parameter of f is that of f at the samples drawn."""
    bits = Distribution(kind="bernoulli", logits=torch.zeros(4))
    target = torch.full((4,), 0.3, requires_grad=True)
    with torch.enable_grad():
        objective = FunctionObjective(lambda x: (x - target).square().mean(-1))
        value = from_per_sample(rule).estimate(bits, objective, Noise.seeded(0), 32).value
        (gradient,) = torch.autograd.grad(value.mean(), target)
    x = (Noise.seeded(0).uniform(32, 1, 4)[:, 0] < 0.5).float()
    assert torch.allclose(gradient, -2 * (x - 0.3).mean(0) / 4, atol=1e-6)


def test_a_rule_works_for_classes():
    """One-hot samples by Gumbel-max from the rule's uniforms."""
    classes = Distribution(kind="categorical", logits=torch.tensor([[0.0, 0.5, -0.5]]))

    def rule(distribution, f, u):
        x = distribution.vertex(distribution.logits - torch.log(-torch.log(u[0])))
        return f(x) * (x - distribution.mean)

    objective = FunctionObjective(lambda x: x[..., 0].sum(-1))
    gradient = from_per_sample(rule).estimate(classes, objective, Noise.seeded(0), 20_000).gradient.mean(0)
    p = torch.softmax(classes.logits, -1)[0]
    exact = p[0] * (torch.tensor([1.0, 0, 0]) - p)
    assert torch.allclose(gradient[0], exact, atol=5 * 0.5 / 20_000**0.5)


def test_a_rule_of_the_wrong_shape_is_refused():
    """One value for two logits."""
    bits = Distribution(kind="bernoulli", logits=torch.zeros(2))
    with pytest.raises(ValueError, match="shape of the parameters"):
        from_per_sample(lambda _, f, u: f(u[0])).estimate(bits, counted_square(), Noise.seeded(0), 4)
    with pytest.raises(ValueError, match="draws"):
        from_per_sample(score_rule, draws=0)


# -- surrogate losses -------------------------------------------------------------------------------------------------


def score_surrogate(logits, f, noise):
    x = (noise.uniform(*logits.shape) < torch.sigmoid(logits)).to(logits.dtype)
    return f(x) * torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)


def relaxed_surrogate(logits, f, noise):
    return f(torch.sigmoid((logits + noise.logistic(*logits.shape)) / 0.5))


@pytest.mark.parametrize(
    ("rule", "method", "backwards"),
    [(score_surrogate, Reinforce(), 0), (relaxed_surrogate, GumbelSoftmax(temperature=0.5), 40)],
)
@pytest.mark.parametrize("shape", [(5,), (3, 4)])
def test_a_surrogate_is_the_method_that_it_derives(rule, method, backwards, shape):
    """The score function and the relaxed path: gradient, value and counts of the family's methods."""
    bits = Distribution(kind="bernoulli", logits=torch.linspace(-1, 1, math.prod(shape)).reshape(shape))
    found = []
    for one in (from_surrogate(rule), method):
        counter = Counter()
        sample = one.estimate(bits, counted_square(counter), Noise.seeded(3), 40)
        found.append((sample.gradient, sample.value, counter.units))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)
    assert found[0][2] == found[1][2] == {"evaluations": 40, "backwards": backwards}


def test_a_summed_surrogate_is_refused():
    """Its repeats are lost."""
    bits = Distribution(kind="bernoulli", logits=torch.zeros(2))
    with pytest.raises(ValueError, match="a loss per repeat"):
        from_surrogate(lambda *a: score_surrogate(*a).sum()).estimate(bits, counted_square(), Noise.seeded(0), 4)
