"""Properties of the further methods for bits and classes: no bias by enumeration of the noise, and identities."""

from __future__ import annotations

import itertools

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import (
    Arm,
    Arms,
    BitFlip,
    Darn,
    Disarm,
    DisarmStickBreaking,
    DisarmTree,
    Distribution,
    DoubleCv,
    Enumeration,
    Exact,
    FunctionObjective,
    MuProp,
    Nvil,
    Rebar,
    Relax,
    Stratified,
    UnorderedSet,
)
from kexue_gradients.methods import unordered_set
from kexue_gradients.methods.conditional import perturbed_given, slope_given
from kexue_gradients.methods.without_replacement import draw_without_replacement, set_ratios

DOUBLE = torch.float64


def seeded(seed=0, dtype=DOUBLE):
    return Noise.seeded(seed, dtype=dtype)


def bits(*shape, seed=1, dtype=DOUBLE):
    return Distribution(kind="bernoulli", logits=seeded(seed, dtype).normal(*shape))


def classes(*shape, seed=1, dtype=DOUBLE):
    return Distribution(kind="categorical", logits=seeded(seed, dtype).normal(*shape))


def vertices(law):
    """Every state of one batch element, `[M, L(, K)]`."""
    size, *k = law.logits.shape[len(law.batch) :]
    single = torch.tensor([[0.0], [1.0]], dtype=law.logits.dtype) if not k else torch.eye(k[0], dtype=law.logits.dtype)
    states = torch.stack([torch.stack(c) for c in itertools.product(single, repeat=size)])
    return states if k else states.squeeze(-1)


def objective(law, shift=0.0):
    """A smooth f without symmetry: `sin(w . x) + (w . x)^2 + shift`, with its table."""
    states = vertices(law)
    w = torch.linspace(-0.7, 1.1, states[0].numel(), dtype=law.logits.dtype)

    def f(x):
        s = x.flatten(-law.event_dims) @ w
        return s.sin() + s**2 + shift

    def table():
        values = f(states).reshape(-1, *(1,) * (len(law.batch) + 1))
        return Enumeration(states=states, values=values.expand(-1, *law.batch, 1))

    return FunctionObjective(f, table=table)


def truth(law, f):
    return Exact().estimate(law, f, seeded(), 1).gradient[0]


def probabilities(law, states):
    """P(state), `[M]`, for a distribution without a batch."""
    if law.kind == "bernoulli":
        return torch.where(states > 0, law.mean, 1 - law.mean).prod(-1)
    return (law.mean * states).sum(-1).prod(-1)


def dealt(law, draws):
    """The distribution with `sample` dealing every tuple of states, one per repeat, and their probabilities."""
    states = vertices(law)
    index = torch.cartesian_prod(*[torch.arange(len(states))] * draws).reshape(-1, draws)
    x, weights = states[index], probabilities(law, states)[index].prod(1)
    law = Distribution(kind=law.kind, logits=law.logits)
    object.__setattr__(law, "sample", lambda noise, *leading: x.reshape(*leading, *law.logits.shape))
    return law, weights


class Cells:
    """Uniform noise that takes the midpoint of every cell between given edges, one combination per repeat."""

    def __init__(self, edges):
        ends = [sorted({0.0, 1.0, *e}) for e in edges]
        cells = [[((a + b) / 2, b - a) for a, b in itertools.pairwise(e)] for e in ends]
        table = torch.tensor(list(itertools.product(*cells)), dtype=DOUBLE)
        self.u, self.weights = table[..., 0], table[..., 1].prod(-1)

    def uniform(self, *shape):
        return self.u.reshape(shape)


def learned(method, law, f, *, steps):
    """State after some steps of learning; None for a method that learns nothing."""
    state = method.init(law, seeded(8)) if hasattr(method, "init") else None
    for step in range(steps if state is not None else 0):
        _, state = method.adapt(law, f, seeded(step), 8, state)
    return state


def mean(gradient, weights):
    return torch.tensordot(weights, gradient, dims=1)


@pytest.mark.parametrize("make", [lambda: bits(3), lambda: classes(2, 3)])
@pytest.mark.parametrize("method", [MuProp(), DoubleCv(n=2, alpha=-0.7), Nvil(normalise=False)], ids=repr)
def test_no_bias_over_every_sample(method, make):
    """Summed over all samples (pairs for n = 2) with their probabilities, and with a state that has learned."""
    law = make()
    f = objective(law)
    state = learned(method, law, f, steps=3)
    exact_law, weights = dealt(law, getattr(method, "n", 1))
    gradient = method.estimate(exact_law, f, seeded(), len(weights), state).gradient
    torch.testing.assert_close(mean(gradient, weights), truth(law, f), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("make", [lambda: bits(3), lambda: classes(2, 3)])
def test_darn_and_straight_through_are_exact_on_multilinear_functions(make):
    """For f linear in each variable, with a product of two, DARN is unbiased; on a square it is not."""
    law = make()
    exact_law, weights = dealt(law, 1)

    def product(x):
        x = x if law.kind == "bernoulli" else x[..., 0] - 2 * x[..., 1]
        return x[..., 0] * x[..., 1] + 0.3 * x[..., 0]

    states = vertices(law)
    f = FunctionObjective(product, table=lambda: Enumeration(states=states, values=product(states).unsqueeze(-1)))
    gradient = Darn().estimate(exact_law, f, seeded(), len(weights)).gradient
    torch.testing.assert_close(mean(gradient, weights), truth(law, f), rtol=1e-10, atol=1e-12)
    curved = objective(law)
    gradient = Darn().estimate(exact_law, curved, seeded(), len(weights)).gradient
    assert not torch.allclose(mean(gradient, weights), truth(law, curved), rtol=1e-3)


@pytest.mark.parametrize("length", [1, 2])
def test_arm_has_no_bias(length):
    """Exact integral over the uniforms: the integrand is linear between the edges p and 1 - p of each bit."""
    law = bits(length, seed=5)
    f = objective(law)
    noise = Cells([(p, 1 - p) for p in law.mean.tolist()])
    gradient = Arm().estimate(law, f, noise, len(noise.u)).gradient
    torch.testing.assert_close(mean(gradient, noise.weights), truth(law, f), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("k", [2, 3, 4, 5])
@pytest.mark.parametrize("method", [DisarmTree(), DisarmStickBreaking(), DisarmStickBreaking(weighted=True)], ids=repr)
def test_coupled_classes_have_no_bias(method, k):
    """Exact integral over the uniforms of all nodes: the estimate is constant between their edges p and 1 - p.

    Node probabilities are taken from the leaves' by an independent recursion: the mass to the right over the mass.
    """
    law = classes(1, k, seed=k)
    f = objective(law)
    p = law.mean[0].tolist()
    if isinstance(method, DisarmTree):

        def nodes(low, high):
            if high - low < 2:
                return []
            middle = (low + high) // 2
            here = sum(p[middle:high]) / sum(p[low:high])
            return [here, *nodes(low, middle), *nodes(middle, high)]

        edges = nodes(0, k)
    else:
        rising = sorted(p)
        edges = [rising[i] / sum(rising[i:]) for i in range(k - 1)]
    noise = Cells([(0.5,), *[(q, 1 - q) for q in edges]])
    gradient = method.estimate(law, f, noise, len(noise.u)).gradient
    torch.testing.assert_close(mean(gradient, noise.weights), truth(law, f), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [3, 5])
def test_weights_of_equal_classes_are_finite(k):
    """With equal logits the last node has p = 1/2, where two leaves that part never have it in common."""
    law = Distribution(kind="categorical", logits=torch.zeros(1, k, dtype=DOUBLE))
    edges = [1 / (k - i) for i in range(k - 1)]
    noise = Cells([(0.5,), *[(q, 1 - q) for q in edges]])
    f = objective(law)
    gradient = DisarmStickBreaking(weighted=True).estimate(law, f, noise, len(noise.u)).gradient
    assert gradient.isfinite().all()
    torch.testing.assert_close(mean(gradient, noise.weights), truth(law, f), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cls", [DisarmTree, DisarmStickBreaking])
def test_two_coupled_classes_are_disarm(cls):
    """With logits (0, l) and the bit's uniform, or its mirror image if the order reverses the classes."""
    one = bits(6)
    two = Distribution(kind="categorical", logits=torch.stack([torch.zeros_like(one.logits), one.logits], -1))
    u = seeded().uniform(9, 6)

    class Replay:
        def uniform(self, *shape):
            turned = (one.logits < 0) if cls is DisarmStickBreaking else torch.zeros(6, dtype=torch.bool)
            shared = u if shape[-1] == 6 else torch.where(~turned, 1 - u, u) if cls is DisarmStickBreaking else u
            return shared if shape[-1] == 6 else torch.stack([shared, shared], -1)

    f_bit = FunctionObjective(lambda x: (x**3).sum(-1))
    f_class = FunctionObjective(lambda x: (x[..., 1] ** 3).sum(-1))
    expected = Disarm().estimate(one, f_bit, Replay(), 9).gradient.abs()
    actual = cls().estimate(two, f_class, Replay(), 9).gradient[..., 1].abs()
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def _ordered(law, k):
    """Every ordered draw of k different states without replacement, with its probability."""
    states = vertices(law)
    p = probabilities(law, states)
    index = torch.tensor(list(itertools.permutations(range(len(states)), k)))
    weights = torch.ones(len(index), dtype=DOUBLE)
    gone = torch.zeros(len(index), dtype=DOUBLE)
    for place in index.T:
        weights, gone = weights * p[place] / (1 - gone), gone + p[place]
    return states[index], p[index].log(), weights, index


@pytest.mark.parametrize("make", [lambda: bits(3), lambda: classes(1, 5)])
@pytest.mark.parametrize(
    "method",
    [
        UnorderedSet(k=1),
        UnorderedSet(k=2),
        UnorderedSet(k=3),
        UnorderedSet(k=4),
        UnorderedSet(k=3, baseline="none"),
        UnorderedSet(k=2, estimator="sum-and-sample"),
        UnorderedSet(k=3, estimator="sum-and-sample"),
    ],
    ids=repr,
)
def test_unordered_sets_have_no_bias(method, make, monkeypatch):
    """Summed over every ordered draw without replacement with its probability; `value` is then E f."""
    law = make()
    f = objective(law)
    x, log_p, weights, _ = _ordered(law, method.k)
    monkeypatch.setattr(unordered_set, "draw_without_replacement", lambda *arguments: (x, log_p))
    sample = method.estimate(law, f, seeded(), len(x))
    torch.testing.assert_close(mean(sample.gradient, weights), truth(law, f), rtol=1e-9, atol=1e-12)
    expectation = Exact().estimate(law, f, seeded(), 1).value[0]
    torch.testing.assert_close(mean(sample.value, weights), expectation, rtol=1e-9, atol=1e-12)


def test_the_built_in_baseline_keeps_its_own_state(monkeypatch):
    """Left out of the sum, the state itself would make the estimate biased: it belongs there with ratio 1."""
    law = bits(3)
    f = objective(law)
    x, log_p, weights, _ = _ordered(law, 3)
    monkeypatch.setattr(unordered_set, "draw_without_replacement", lambda *arguments: (x, log_p))

    def without(p):
        first, second = set_ratios(p)
        return first, second * (1 - torch.eye(3, dtype=DOUBLE)).reshape(1, 3, 3)

    monkeypatch.setattr(unordered_set, "set_ratios", without)
    biased = mean(UnorderedSet(k=3).estimate(law, f, seeded(), len(x)).gradient, weights)
    assert (biased - truth(law, f)).abs().max() > 1e-3


@pytest.mark.parametrize("make", [lambda: bits(2), lambda: classes(1, 4)])
def test_all_states_at_once_are_exact(make):
    """With k the number of states nothing is random, whatever the order drawn."""
    law = make()
    f = objective(law)
    for estimator in ("unordered-set", "sum-and-sample"):
        gradient = UnorderedSet(k=4, estimator=estimator).estimate(law, f, seeded(), 20).gradient
        torch.testing.assert_close(gradient, truth(law, f).expand_as(gradient), rtol=1e-9, atol=1e-12)


@pytest.mark.statistical
@pytest.mark.parametrize("make", [lambda: bits(3), lambda: classes(2, 2), lambda: classes(1, 6)])
def test_draws_without_replacement_have_their_law(make):
    """Frequencies of ordered triples against enumerated probabilities. False alarms: 5.5 sigma, 500 cells, 2e-5."""
    law = make()
    n = 50_000
    x, log_p = draw_without_replacement(law, seeded(2), n, 3)
    assert len(torch.unique(x[:200].flatten(2), dim=1)) == 200
    _, _, weights, index = _ordered(law, 3)
    everything = vertices(law).flatten(1)
    place = (x.flatten(2).unsqueeze(2) == everything).all(-1).to(DOUBLE).argmax(-1)
    base = torch.tensor([len(everything) ** 2, len(everything), 1])
    counts = torch.bincount((place * base).sum(-1), minlength=len(everything) ** 3)[(index * base).sum(-1)]
    sd = (weights * (1 - weights) / n).sqrt()
    assert ((counts / n - weights).abs() / sd).max() < 5.5
    torch.testing.assert_close(log_p.exp(), probabilities(law, vertices(law))[place])


@pytest.mark.statistical
@pytest.mark.parametrize("method", [Arms(n=2), Arms(n=3), Arms(n=5), BitFlip(), BitFlip(coordinates=2)], ids=repr)
def test_no_bias_on_bits(method):
    """Means of 2^17 draws at probabilities from 0.02 to 0.95. False alarms: 5 sigma on 5 x 4 scores, 1e-5."""
    law = Distribution(kind="bernoulli", logits=torch.tensor([-4.0, -0.4, 0.5, 3.0], dtype=DOUBLE))
    _assert_mean(method, law)


@pytest.mark.statistical
@pytest.mark.parametrize("make", [lambda: bits(3, seed=2), lambda: classes(2, 3, seed=2)])
@pytest.mark.parametrize(
    "method",
    [
        Stratified(n=3),
        Stratified(n=4, systematic=True, baseline=0.5),
        Rebar(coupled=False, rate=0, temperature=0.3, eta=1.7),
        Rebar(coupled=True, rate=0, temperature=0.8, eta=0.6),
        Relax(coupled=False),
        Relax(eta=0.0),
    ],
    ids=repr,
)
def test_no_bias_with_continuous_noise(method, make):
    """Means of 2^17 draws, after some steps of learning. False alarms: 5 sigma on 12 x 3..6 scores, 3e-5."""
    _assert_mean(method, make())


def _assert_mean(method, law, n=2**17):
    f = objective(law)
    gradient = method.estimate(law, f, seeded(3), n, learned(method, law, f, steps=20)).gradient
    error = gradient.std(0) / n**0.5
    assert ((gradient.mean(0) - truth(law, f)).abs() / (error + 1e-12)).max() < 5


def test_a_learned_network_is_not_zero():
    """RELAX has learned something in the test of bias: its network changes the estimate."""
    law = bits(3)
    f, relax = objective(law), Relax()
    state = relax.init(law, seeded(8))
    start = relax.estimate(law, f, seeded(3), 4, state).gradient
    torch.testing.assert_close(start, Rebar(rate=0).estimate(law, f, seeded(3), 4).gradient)
    state = learned(relax, law, f, steps=5)
    assert (relax.estimate(law, f, seeded(3), 4, state).gradient - start).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["bernoulli", "categorical"])
def test_conditional_noise_moves_with_the_logits_as_stated(kind):
    """The closed derivative of z given x is autograd's through the formula of z, and the values agree.

    Written out independently: bits by `v = v' p + 1 - p` or `v' (1 - p)` and `logit v`, classes by their truncated
    Gumbels from exponentials.
    """
    law = bits(5) if kind == "bernoulli" else classes(4, 3)
    x = law.sample(seeded(6), 1)
    with torch.enable_grad():
        leaf = law.logits.clone().requires_grad_()
        if kind == "bernoulli":
            u = torch.sigmoid(seeded(7).logistic(1, 5))
            u = torch.where(x > 0, u, 1 - u)
            p = torch.sigmoid(leaf)
            v = torch.where(x > 0, u * p + 1 - p, u * (1 - p))
            z = leaf + torch.logit(v)
            (slope,) = torch.autograd.grad(z.sum(), leaf)
        else:
            e = seeded(7).exponential(1, 4, 3)
            largest = (e * x).sum(-1, keepdim=True)
            z = -torch.where(x > 0, largest, e / leaf.exp() + largest).log()
            (slope,) = torch.autograd.grad(z.sum(), leaf)
    mine = Distribution(kind=kind, logits=leaf.log_softmax(-1) if kind == "categorical" else leaf)
    if kind == "categorical":
        # On normalized logits the formula of the largest is a standard Gumbel's.
        leaf2 = mine.logits.clone().requires_grad_()
        with torch.enable_grad():
            z = -torch.where(x > 0, largest, e / leaf2.exp() + largest).log()
            (slope,) = torch.autograd.grad(z.sum(), leaf2)
    drawn = perturbed_given(mine, x, seeded(7))
    torch.testing.assert_close(drawn, z.detach(), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(slope_given(mine, x, drawn)[0], slope, rtol=1e-8, atol=1e-10)
    assert torch.equal(mine.vertex(drawn), x)
