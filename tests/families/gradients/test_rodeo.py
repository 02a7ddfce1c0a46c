"""RODEO: its Stein operator has mean zero, so it is unbiased whatever it has learned, by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, FunctionObjective, Rloo, Rodeo
from kexue_gradients.methods.learning import Learned

DOUBLE = torch.float64
BITS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=DOUBLE)
LOGITS = torch.tensor([0.4, -1.1, 0.2], dtype=DOUBLE)


def seeded(seed=0):
    return Noise.seeded(seed, dtype=DOUBLE)


def f(x):
    s = x @ torch.tensor([-0.7, 0.4, 1.1], dtype=DOUBLE)
    return s.sin() + s**2 + 0.5


def dealt(draws):
    """The distribution of three bits, with every tuple of draws in a hand `[8^n, n, 3]`, and their probabilities."""
    index = torch.tensor(list(itertools.product(range(8), repeat=draws)))
    law = Distribution(kind="bernoulli", logits=LOGITS)
    p = torch.where(BITS > 0, law.mean, 1 - law.mean).prod(-1)
    hand = BITS[index]
    object.__setattr__(law, "sample", lambda noise, *leading: hand)
    return law, hand, p[index].prod(1)


def learned_state(method, seed=1):
    """A random network with weights of its control variates that are far from 0."""
    state = method.init(Distribution(kind="bernoulli", logits=LOGITS), seeded(seed))
    values = state.values | {"alpha": torch.tensor(0.7, dtype=DOUBLE), "beta": torch.tensor(-1.3, dtype=DOUBLE)}
    values |= {"bias": seeded(2).normal(method.hidden), "offset": torch.tensor(0.4, dtype=DOUBLE)}
    return Learned(values=values, first=state.first, second=state.second, steps=state.steps)


def true_gradient():
    p = torch.sigmoid(LOGITS)
    weights = torch.where(BITS > 0, p, 1 - p).prod(-1)
    return (weights.unsqueeze(-1) * f(BITS).unsqueeze(-1) * (BITS - p)).sum(0)


@pytest.mark.parametrize("n", [2, 3])
def test_no_bias_whatever_was_learned(n):
    """Summed over every tuple of n draws of three bits the estimate is the exact gradient."""
    method = Rodeo(n=n, hidden=5)
    law, hand, weights = dealt(n)
    gradient = method.estimate(law, FunctionObjective(f), seeded(), len(hand), learned_state(method)).gradient
    torch.testing.assert_close(weights @ gradient, true_gradient(), rtol=1e-12, atol=1e-13)
    plain = method.estimate(law, FunctionObjective(f), seeded(), len(hand)).gradient
    assert (gradient - plain).abs().max() > 0.05


def test_control_variates_by_brute_force():
    """Against loops over flips, with the Stein operator written as `sum_d q(flip | rest) (h(flip) - h)` (numpy)."""
    method = Rodeo(hidden=4)
    state = learned_state(method)
    law, hand, _ = dealt(2)
    found = method.estimate(law, FunctionObjective(f), seeded(), len(hand), state).gradient.numpy()
    v = {name: value.numpy() for name, value in state.values.items()}
    p = law.mean.numpy()
    with torch.enable_grad():
        x = hand.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(f(x).sum(), x)
    slopes, values = slopes.numpy(), f(hand).numpy()

    def network(y, other, row):
        linear = slopes[row, other] @ (y - hand[row, other].numpy())
        units = linear * v["slope"] + values[row, other] * v["level"] + v["bias"]
        units = np.where(units > 0, units, 0.3 * units)
        return (units * v["first"]).sum(), (units * v["second"]).sum() + v["offset"]

    for row in range(0, len(hand), 7):
        operator, pull = [], []
        for draw in range(2):
            x = hand[row, draw].numpy()
            h, k = network(x, 1 - draw, row)
            scalar, vector = 0.0, np.zeros(3)
            for d in range(3):
                y = x.copy()
                y[d] = 1 - y[d]
                chance = p[d] if y[d] else 1 - p[d]
                h_y, k_y = network(y, 1 - draw, row)
                scalar += chance * (h_y - h) / 3
                vector += chance * (k_y * (y - p) - k * (x - p)) / 3
            operator.append(scalar)
            pull.append(vector)
        total = np.zeros(3)
        for draw in range(2):
            baseline = values[row, 1 - draw] + v["alpha"] * operator[1 - draw]
            total += (values[row, draw] - baseline) * (hand[row, draw].numpy() - p) + v["beta"] * pull[draw]
        np.testing.assert_allclose(found[row], total / 2, rtol=1e-11, atol=1e-13)


def test_before_it_has_learned_it_is_rloo():
    """Without a state, and with the first one, where alpha and beta are 0."""
    law = Distribution(kind="bernoulli", logits=LOGITS)
    rloo = Rloo(n=3).estimate(law, FunctionObjective(f), seeded(5), 20).gradient
    method = Rodeo(n=3)
    for state in (None, method.init(law, seeded(1))):
        gradient = method.estimate(law, FunctionObjective(f), seeded(5), 20, state).gradient
        torch.testing.assert_close(gradient, rloo, rtol=1e-11, atol=1e-13)


def exact_variance(method, state):
    law, hand, weights = dealt(2)
    gradient = method.estimate(law, FunctionObjective(f), seeded(), len(hand), state).gradient
    return float(weights @ (gradient - true_gradient()).square().sum(-1))


def test_learning_lowers_the_variance():
    """500 steps of learning remove more than half of RLOO's variance; both enumerated over every pair of draws."""
    method = Rodeo(rate=0.02)
    law = Distribution(kind="bernoulli", logits=LOGITS)
    state = method.init(law, seeded(1))
    before = exact_variance(method, state)
    for step in range(500):
        _, state = method.adapt(law, FunctionObjective(f), seeded(6).at(step), 4, state)
    assert before == pytest.approx(exact_variance(Rloo(), None), rel=1e-10)
    assert exact_variance(method, state) < 0.5 * before


def test_independent_problems_learn_apart():
    """Two stacked problems, a minibatch of three: samples of the second do not affect the state of the first."""
    logits = seeded(3).normal(2, 3, 4)
    method = Rodeo(hidden=3)
    law = Distribution(kind="bernoulli", logits=logits)
    state = method.init(law, seeded(1))
    wave = FunctionObjective(lambda x: (x.sum(-1) + 0.3).sin())
    for step in range(3):
        _, state = method.adapt(law, wave, seeded(4).at(step), 2, state)
    scale = torch.tensor([[1.0], [5.0]], dtype=DOUBLE)
    other = method.init(law, seeded(1))
    for step in range(3):
        louder = FunctionObjective(lambda x: scale * (x.sum(-1) + 0.3).sin())
        _, other = method.adapt(law, louder, seeded(4).at(step), 2, other)
    for name, value in state.values.items():
        assert torch.equal(value[0], other.values[name][0])
    assert any(not torch.equal(value[1], other.values[name][1]) for name, value in state.values.items())


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"n": 1}, "n must be >= 2, got 1"),
        ({"hidden": 0}, "hidden must be >= 1, got 0; without a network use rloo"),
        ({"rate": 0.0}, "rate must be > 0, got 0.0"),
        ({"warmup": -1}, "warmup must be >= 0, got -1"),
    ],
)
def test_hyper_parameters_are_validated(fields, says):
    """A value out of range is rejected with what is wrong, what was got and what to do."""
    with pytest.raises(ValueError, match=says):
        Rodeo(**fields)


def test_classes_are_refused():
    """There is one way to flip a bit and several to change a class."""
    law = Distribution(kind="categorical", logits=torch.zeros(1, 3, dtype=DOUBLE))
    with pytest.raises(ValueError, match="rodeo flips bits, got categorical variables; use double-cv"):
        Rodeo().estimate(law, FunctionObjective(lambda x: x.sum((-1, -2))), seeded(), 1)
