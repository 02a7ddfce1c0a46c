"""Truth and definition of the frozen problems over bits and classes, each against an independent computation."""

from __future__ import annotations

import itertools
import math

import installed
import numpy as np
import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import Distribution, FunctionObjective
from kexue_gradients.tasks.max_cut import petersen_edges
from kexue_gradients.tasks.sampling import aimed_gradient
from kexue_gradients.tasks.states import bit_states, class_states

DOUBLE = torch.float64
Q = np.array([[0.7, -1.3, 0.4], [0.0, -0.5, 0.9], [0.0, 0.0, 0.3]])
C = np.array([0.2, -0.6, 0.1])
THETA = np.array([0.5, -1.2, 0.0])


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def truth(build, context, name, **params):
    return build(name, **params).problem(build("reinforce"), context(dtype="float32")).truth


def differences(f, at, h=1e-5):
    """Central differences, error 1e-9 for the functions here."""
    return [(f(at + h * e) - f(at - h * e)) / (2 * h) for e in np.eye(len(at))]


def test_states_are_all_states():
    """Each setting of the variables occurs once (itertools)."""
    like = torch.empty(0, dtype=DOUBLE)
    assert sorted(map(tuple, bit_states(4, like).tolist())) == sorted(itertools.product([0.0, 1.0], repeat=4))
    found = class_states(2, 3, like).argmax(-1).tolist()
    assert sorted(map(tuple, found)) == sorted(itertools.product(range(3), repeat=2))
    assert torch.equal(class_states(2, 3, like).sum(-1), torch.ones(9, 2, dtype=DOUBLE))


def test_qubo_truth(build, context):
    """`v_d` times the derivative of E f in the mean of bit d, diagonal included: numpy, closed form."""
    p = sigmoid(THETA)
    slope = np.diag(Q) + (Q + Q.T - 2 * np.diag(np.diag(Q))) @ p + C
    assert truth(build, context, "qubo").tolist() == pytest.approx((p * (1 - p) * slope).tolist(), abs=1e-12)


def test_max_cut_truth(build, context):
    """Minus the expected cut is multilinear: the gradient of bit i is `-v_i sum_j (1 - 2 p_j)` over its neighbors."""
    p = sigmoid(2.0 * np.cos(np.arange(10)))
    expected = np.zeros(10)
    for i, j in petersen_edges():
        expected[i] -= p[i] * (1 - p[i]) * (1 - 2 * p[j])
        expected[j] -= p[j] * (1 - p[j]) * (1 - 2 * p[i])
    assert truth(build, context, "max-cut", scale=2.0).tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_the_graph_of_max_cut_is_petersens():
    """Ten vertices of degree 3, no triangle and no square, largest cut 12 (brute force)."""
    edges = petersen_edges()
    neighbours = {v: {a + b - v for a, b in edges if v in (a, b)} for v in range(10)}
    assert len({frozenset(edge) for edge in edges}) == 15
    assert all(len(found) == 3 for found in neighbours.values())
    for a, b in itertools.combinations(range(10), 2):
        assert len(neighbours[a] & neighbours[b]) == (0 if b in neighbours[a] else 1)
    assert max(sum(b[i] != b[j] for i, j in edges) for b in itertools.product([0, 1], repeat=10)) == 12


def test_max_cut_is_a_black_box(build, context):
    """Values count the cut; a gradient is rejected, and nothing is counted for it."""
    task = build("max-cut")
    law = task.distribution(DOUBLE, torch.device("cpu"))
    outer = torch.tensor([[1.0] * 5 + [0.0] * 5], dtype=DOUBLE)
    assert task.objective(law).value(outer).tolist() == [-5.0]
    with pytest.raises(ValueError, match="black box without a gradient"):
        task.objective(law).value_and_gradient(outer)
    with pytest.raises(ValueError, match="black box"):
        task.problem(build("reinmax"), context()).draw(Noise.seeded(0), 2)


@pytest.mark.parametrize(("bits", "theta"), [(1, 0.3), (3, -1.0), (8, -2.0)])
def test_parity_truth(build, context, bits, theta):
    """Each bit's gradient is `v (1 - 2p)^(bits - 1)`, with a sign that changes from bit to bit."""
    p = sigmoid(theta)
    sign = (-1) ** (bits // 2)
    expected = [sign * (-1) ** d * p * (1 - p) * (1 - 2 * p) ** (bits - 1) for d in range(bits)]
    assert truth(build, context, "parity", bits=bits, theta=theta).tolist() == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("phi", [0.0, -4.0, 1.3])
def test_shared_bits_truth(build, context, phi):
    """The derivative of `sum_i p (1 - t_i)^2 + (1 - p) t_i^2` in the common logit, `v sum_i (1 - 2 t_i)`."""
    p = sigmoid(phi)
    expected = p * (1 - p) * sum(1 - 2 * t for t in (0.6, 0.51, 0.48))
    assert truth(build, context, "shared-bits", phi=phi).tolist() == pytest.approx([expected], abs=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["reinforce", "rloo"])
def test_shared_bits_as_one_choice_or_as_bits(build, context, name):
    """One choice of eight with contracted logits and three bits with summed logits are one estimator in distribution.

    Variances of 2^16 draws of each agree within 5 standard errors of their difference, from the fourth moments.
    """
    n = 2**16
    joint = build("shared-bits", phi=-0.5).problem(build(name), context(dtype="float64"))
    law = Distribution(kind="bernoulli", logits=torch.full((3,), -0.5, dtype=DOUBLE))
    t = torch.tensor([0.6, 0.51, 0.48], dtype=DOUBLE)
    f = FunctionObjective(lambda b: (b - t).square().sum(-1))
    one = joint.draw(Noise.seeded(1, dtype=DOUBLE), n).flatten()
    other = build(name).estimate(law, f, Noise.seeded(2, dtype=DOUBLE), n).gradient.sum(-1)
    spread = sum(((g - g.mean()).square().var() / n) for g in (one, other)).sqrt()
    assert abs(one.var() - other.var()) <= 5 * spread


@pytest.mark.parametrize("classes", [2, 10])
def test_more_classes_in_closed_form(build, context, classes):
    """The gradient is `p (f - E f)` over w from -1 to 2, logits (0.5, -0.3, 0.2, -0.3, ...) (numpy)."""
    logits = np.array([0.5, *itertools.islice(itertools.cycle((-0.3, 0.2)), classes - 1)])
    p = np.exp(logits) / np.exp(logits).sum()
    f = (np.linspace(-1, 2, classes) - 0.45) ** 3
    found = truth(build, context, "categorical-toy", power=3, classes=classes)
    assert found.flatten().tolist() == pytest.approx((p * (f - p @ f)).tolist(), abs=1e-12)


def _bound(theta, samples, scale):
    """`E log 1/n sum p/q` by brute force over tuples, without torch."""
    states = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    p = sigmoid(theta)
    log_q = np.log(np.where(states == 1, p, 1 - p)).sum(1)
    log_w = scale * ((states @ Q * states).sum(1) + states @ C) - log_q
    total = 0.0
    for chosen in map(list, itertools.product(range(8), repeat=samples)):
        total += math.exp(log_q[chosen].sum()) * (np.logaddexp.reduce(log_w[chosen]) - math.log(samples))
    return total


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_iwae_truth_by_differences_of_the_bound(build, context, samples):
    """Central differences of the brute-force bound, 1e-8; the weights' own dependence on q is part of it."""
    expected = differences(lambda theta: _bound(theta, samples, 1.5), THETA)
    problem = build("iwae-toy", samples=samples, scale=1.5).problem(build("vimco", baseline="none"), context())
    assert problem.truth.tolist() == pytest.approx(expected, abs=1e-8)


class Dealt:
    """Noise under which repeat r of n samples of three bits is tuple r of all their states."""

    def __init__(self, samples):
        states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=DOUBLE)
        self.tuples = states[torch.tensor(list(itertools.product(range(8), repeat=samples)))]

    def uniform(self, *shape):
        # A bit is one where the uniform is below its probability.
        return torch.where(self.tuples == 1, 1e-9, 1 - 1e-9).reshape(shape)


@pytest.mark.parametrize("baseline", ["geometric", "arithmetic", "none"])
@pytest.mark.parametrize("samples", [2, 3])
def test_vimco_is_unbiased_and_a_baseline_helps(build, context, baseline, samples):
    """The mean over every tuple of states, weighted by its probability, is the gradient of the bound to 1e-12.

    Planted: a baseline that includes the sample's own weight is off by 0.1. Either baseline at least halves the trace
    of the covariance here.
    """
    task = build("iwae-toy", samples=samples)
    noise = Dealt(samples)
    p = torch.tensor(sigmoid(THETA))
    weights = torch.where(noise.tuples == 1, p, 1 - p).flatten(1).prod(1)

    def moments(name):
        problem = task.problem(build("vimco", baseline=name), context(dtype="float64"))
        gradient = problem.draw(noise, len(weights))
        mean = weights @ gradient
        return problem.truth, mean, weights @ (gradient - mean).square().sum(1)

    truth, mean, variance = moments(baseline)
    torch.testing.assert_close(mean, truth, rtol=0, atol=1e-12)
    if baseline != "none":
        assert variance < moments("none")[2] / 2


def test_vimco_needs_other_samples(build, context):
    """One sample has no others to compare with: rejected, except without a baseline."""
    problem = build("iwae-toy", samples=1).problem(build("vimco"), context())
    with pytest.raises(ValueError, match="samples = 1; set baseline=none"):
        problem.draw(Noise.seeded(0), 4)


def test_a_tempered_method_is_held_to_its_own_law(build):
    """For samples from softmax(l / T) the truth is the gradient, in l, of E f under that distribution (numpy)."""

    class Tempered:
        target_temperature = 2.0

    logits = np.array([0.4, -1.0, 0.3])
    f = np.array([1.0, 3.0, -2.0])

    def mean(l):
        q = np.exp(l / 2.0) / np.exp(l / 2.0).sum()
        return q @ f

    def gradient(law):
        q = law.mean
        values = torch.tensor(f)
        return q * (values - (q * values).sum(-1, keepdim=True))

    law = Distribution(kind="categorical", logits=torch.tensor(logits).unsqueeze(0))
    found = aimed_gradient(Tempered(), law, gradient)
    assert found.flatten().tolist() == pytest.approx(differences(mean, logits), abs=1e-9)
    assert aimed_gradient(build("rloo"), law, gradient).flatten().tolist() != found.flatten().tolist()


@pytest.mark.parametrize(
    ("name", "fields", "says"),
    [
        ("categorical-toy", {"classes": 1}, "classes must be >= 2, got 1"),
        ("max-cut", {"scale": float("inf")}, "scale must be finite, got inf"),
        ("parity", {"bits": 17}, "bits must be 1 .. 16, got 17"),
        ("iwae-toy", {"samples": 6}, "samples must be 1 .. 5, got 6"),
        ("vimco", {"baseline": "mean"}, "baseline must be one of geometric, arithmetic, none, got 'mean'"),
        ("digits-path", {"step": 7}, "step must be one of 20, 100, 500, 2000, got 7"),
    ],
)
def test_parameters_are_validated(build, name, fields, says):
    """A value out of range is rejected with what was got."""
    with pytest.raises(ValueError, match=says):
        build(name, **fields)


FROZEN = [spec for spec in installed.tasks("gradients") if spec.kind == "sampling"]


@pytest.mark.parametrize("spec", FROZEN, ids=lambda spec: spec.name)
def test_every_frozen_problem_has_a_budget_in_every_suite(spec):
    """Any of them can be named on the command line without being listed in the suite."""
    assert set(spec.budgets) == {"quick", "standard", "full"}
