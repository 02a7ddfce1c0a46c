"""Estimators that sum the most likely states, know E f or learn the best baseline; and averaged pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import (
    Arm,
    Disarm,
    Distribution,
    Enumeration,
    ExactBaseline,
    FunctionObjective,
    Gaussian,
    Reinforce,
    TopKSum,
)
from kexue_gradients.methods.top_k_sum import _as_classes, _likeliest, _outside

DOUBLE = torch.float64


def seeded(seed=0):
    return Noise.seeded(seed, dtype=DOUBLE)


def bits(*logits):
    return Distribution(kind="bernoulli", logits=torch.tensor(logits, dtype=DOUBLE))


def choices(*logits):
    return Distribution(kind="categorical", logits=torch.tensor(logits, dtype=DOUBLE))


LAWS = (bits(0.4, -1.1, 0.2), choices((0.5, -0.3, 0.2), (1.0, 0.0, -2.0)))


def states_of(law):
    """Every state `[M, L(, K)]` with its probability `[M]`, in numpy."""
    p = law.mean.numpy()
    if law.kind == "bernoulli":
        x = np.array(list(itertools.product([0.0, 1.0], repeat=len(p))))
        return x, np.where(x > 0, p, 1 - p).prod(1)
    x = np.stack([np.eye(p.shape[1])[list(c)] for c in itertools.product(range(p.shape[1]), repeat=len(p))])
    return x, (x * p).sum(-1).prod(-1)


def f(x):
    s = x.flatten(1) @ torch.linspace(-0.7, 1.1, x[0].numel(), dtype=DOUBLE)
    return s.sin() + s**2 + 0.5


def objective(law):
    x, _ = states_of(law)
    states = torch.tensor(x)
    return FunctionObjective(f, table=lambda: Enumeration(states=states, values=f(states).unsqueeze(-1)))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("k", [0, 1, 3, 5])
def test_the_likeliest_states_are_found_variable_by_variable(law, k):
    """Against numpy's sort of the probabilities of all states."""
    _, p = states_of(law)
    chosen, log_p = _likeliest(_as_classes(law), k)
    np.testing.assert_allclose(log_p.exp().numpy(), np.sort(p)[::-1][:k], rtol=1e-12)
    assert len(torch.unique(chosen.flatten(1), dim=0)) == k


@pytest.mark.parametrize("law", LAWS)
def test_other_states_are_drawn_by_inverse_distribution(law):
    """A fine grid of uniforms gives every state but the chosen ones its probability, within the grid's step."""
    x, p = states_of(law)
    log_p = _as_classes(law)
    chosen, own = _likeliest(log_p, 3)
    n = 40
    grid = (torch.arange(n, dtype=DOUBLE) + 0.5) / n
    u = torch.cartesian_prod(*[grid] * log_p.shape[0])
    drawn = _outside(log_p, chosen, own.exp(), u)
    drawn = (drawn[..., 1] if law.kind == "bernoulli" else drawn).flatten(1).numpy()
    left = p.copy()
    for state in (chosen[..., 1] if law.kind == "bernoulli" else chosen).flatten(1).numpy():
        left[(x.reshape(len(x), -1) == state).all(1)] = 0
    found = [(drawn == state).all(1).mean() for state in x.reshape(len(x), -1)]
    np.testing.assert_allclose(found, left / left.sum(), atol=2 * len(x) / n)
    assert all(found[i] == 0 for i in np.flatnonzero(left == 0))


def exact_moments(law, k):
    """Mean and trace of covariance of the top-k sum with sampled baselines, by sums over states (numpy)."""
    x, p = states_of(law)
    values = f(torch.tensor(x)).numpy()
    score = (x - law.mean.numpy()).reshape(len(x), -1)
    order = np.argsort(-p, kind="stable")
    top, rest = order[:k], order[k:]
    spread = (p * values**2).sum() - (p * values).sum() ** 2
    centred = values - (p * values).sum()
    mean = (p[:, None] * centred[:, None] * score).sum(0)
    variance = (p[top] ** 2 * (score[top] ** 2).sum(1)).sum() * spread
    if len(rest):
        left = p[rest].sum()
        q = p[rest] / left
        second = (q * (centred[rest] ** 2 + spread) * (score[rest] ** 2).sum(1)).sum()
        first = (q[:, None] * centred[rest, None] * score[rest]).sum(0)
        variance += left**2 * (second - (first**2).sum())
    return mean, variance


@pytest.mark.statistical
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("k", [0, 2, 8])
def test_moments_of_the_top_k_sum(law, k):
    """Mean and variance against sums over all states; 2^16 draws, 5 sigma: 6e-7 on each of 30 scores."""
    n = 2**16
    gradient = TopKSum(k=k).estimate(law, objective(law), seeded(k), n).gradient.flatten(1)
    mean, variance = exact_moments(law, k)
    error = gradient.std(0) / n**0.5
    assert ((gradient.mean(0) - torch.tensor(mean)).abs() <= 5 * error + 1e-12).all()
    squares = (gradient - torch.tensor(mean)).square().sum(1)
    assert abs(float(squares.mean()) - variance) <= 5 * float(squares.std()) / n**0.5


@pytest.mark.parametrize("law", LAWS)
def test_all_states_summed_are_the_gradient(law):
    """Without baselines nothing is random when k is the number of states; one more is rejected."""
    x, p = states_of(law)
    method = TopKSum(k=len(x), baseline="none")
    gradient = method.estimate(law, objective(law), seeded(), 3).gradient
    values = f(torch.tensor(x)).numpy()
    truth = np.einsum("m,m...->...", p * values, x - law.mean.numpy())
    np.testing.assert_allclose(gradient.numpy(), np.broadcast_to(truth, gradient.shape), atol=1e-12)
    with pytest.raises(ValueError, match=f"k must be at most the number of states, {len(x)}, got {len(x) + 1}"):
        TopKSum(k=len(x) + 1).estimate(law, objective(law), seeded(), 3)


def test_batches_of_top_k_sums_are_independent_problems():
    """Two problems in a batch, with different most likely states, give what each gives alone with its noise."""
    logits = torch.tensor([[0.4, -1.1, 0.2], [-2.0, 0.3, 1.5]], dtype=DOUBLE)

    class Replay:
        def __init__(self, keep):
            self.keep, self.source = keep, seeded(9)

        def uniform(self, *shape):
            *leading, batch, size = (*shape[:-1], shape[-1]) if self.keep is None else (*shape[:-1], 2, shape[-1])
            u = self.source.uniform(*leading, batch, size)
            return u if self.keep is None else u[..., self.keep, :]

    def run(law, keep):
        wave = FunctionObjective(lambda x: (x.sum(-1) + 0.3).sin())
        return TopKSum(k=2).estimate(law, wave, Replay(keep), 6).gradient

    both = run(Distribution(kind="bernoulli", logits=logits), None)
    for i in range(2):
        alone = run(Distribution(kind="bernoulli", logits=logits[i]), i)
        torch.testing.assert_close(both[:, i], alone, rtol=1e-12, atol=1e-14)


def test_the_variance_around_the_exact_mean_is_known():
    """One bit, f = (b - t)^2: `v ((1 - 2 p) D)^2 / n`, over every pair of draws."""
    p, t = 0.3, 0.45
    law = bits(float(np.log(p / (1 - p))))
    both = torch.tensor([[0.0], [1.0]], dtype=DOUBLE)
    toy = FunctionObjective(
        lambda x: (x - t).square().sum(-1),
        table=lambda: Enumeration(states=both, values=(both - t).square().reshape(2, 1)),
    )
    pairs = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)), dtype=DOUBLE).unsqueeze(-1)
    object.__setattr__(law, "sample", lambda noise, *leading: pairs)
    gradient = ExactBaseline(n=2).estimate(law, toy, seeded(), 4).gradient.flatten().numpy()
    weights = np.array([(1 - p) ** 2, p * (1 - p), p * (1 - p), p**2])
    v, step = p * (1 - p), (1 - t) ** 2 - t**2
    assert weights @ gradient == pytest.approx(v * step, abs=1e-15)
    variance = weights @ (gradient - v * step) ** 2
    assert variance == pytest.approx(v * ((1 - 2 * p) * step) ** 2 / 2, rel=1e-12)


@pytest.mark.statistical
def test_the_optimal_baseline_is_learned_for_each_parameter():
    """It tends to `E[f s^2] / E[s^2]`: 19 for mu and 21 for sigma of f = (x + 3)^2 at mu = sigma = 1.

    Closed forms d^2 + 3 and d^2 + 5 with d = 4. Averages over 40,000 draws; ten seeds showed a spread below 0.5.
    """
    law = Gaussian(mu=torch.ones(1, dtype=DOUBLE), sigma=torch.ones(1, dtype=DOUBLE))
    method = Reinforce(baseline="optimal", decay=0.999999)
    toy = FunctionObjective(lambda x: (x + 3).square().sum(-1))
    state = method.init(law, seeded())
    for step in range(40):
        _, state = method.adapt(law, toy, seeded().at(step), 1000, state)
    ratio = (state.total / state.weight).flatten().tolist()
    assert ratio == pytest.approx([19.0, 21.0], abs=2.0)
    before = method.estimate(law, toy, seeded(3), 4, state).gradient
    assert torch.equal(before, method.estimate(law, toy, seeded(3), 4, state).gradient)


@pytest.mark.parametrize("cls", [Arm, Disarm])
def test_pairs_are_averaged(cls):
    """An estimate of three pairs is the mean of three estimates of one, and counts three times as much."""
    law, toy = bits(0.4, -1.1, 0.2), FunctionObjective(f)
    averaged = cls(pairs=3).estimate(law, toy, seeded(4), 10)
    single = cls().estimate(law, toy, seeded(4), 30)
    torch.testing.assert_close(averaged.gradient, single.gradient.unflatten(0, (10, 3)).mean(1))
    torch.testing.assert_close(averaged.value, single.value.unflatten(0, (10, 3)).mean(1))


@pytest.mark.parametrize(
    ("cls", "fields", "says"),
    [
        (Arm, {"pairs": 0}, "pairs must be >= 1, got 0"),
        (Disarm, {"pairs": -1}, "pairs must be >= 1, got -1"),
        (ExactBaseline, {"n": 0}, "n must be >= 1, got 0"),
        (TopKSum, {"k": -1}, "k must be >= 0, got -1"),
        (TopKSum, {"baseline": "ema"}, "baseline must be one of none, sampled, got 'ema'"),
    ],
)
def test_hyper_parameters_are_validated(cls, fields, says):
    """A value out of range is rejected with what is wrong, what was got and what to do."""
    with pytest.raises(ValueError, match=says):
        cls(**fields)
