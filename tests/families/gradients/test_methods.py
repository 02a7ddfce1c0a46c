"""Identities between methods, and properties that hold sample by sample."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional

from kexue_bench.lab.noise import Noise
from kexue_gradients import (
    Arm,
    Arms,
    BitFlip,
    Darn,
    DecoupledSt,
    Disarm,
    DisarmStickBreaking,
    DisarmTree,
    Distribution,
    DoubleCv,
    Enumeration,
    Exact,
    ExactBaseline,
    FunctionObjective,
    GappedStraightThrough,
    GumbelRao,
    GumbelSoftmax,
    Imle,
    MuProp,
    Nvil,
    Rebar,
    Reinforce,
    ReinMax,
    Relax,
    Rloo,
    StGumbelSoftmax,
    StraightThrough,
    Stratified,
    TopKSum,
    UnorderedSet,
)

DOUBLE = torch.float64
BLACK_BOX_BITS = (Disarm(), Disarm(pairs=3), Arm(), Arm(pairs=2), Arms(), BitFlip(), BitFlip(coordinates=2))
# Adding a constant to f changes samples of these: nothing is subtracted from f, or not with weight 1.
SHIFTED = (
    Reinforce(),
    Reinforce(baseline="constant", value=0.3),
    Reinforce(baseline="ema"),
    Reinforce(baseline="optimal"),
    TopKSum(k=2, baseline="none"),
    Stratified(),
    Stratified(n=3, baseline=0.7, systematic=True),
    Nvil(),
    UnorderedSet(k=3, estimator="sum-and-sample"),
    UnorderedSet(baseline="none"),
    Rebar(eta=0.5),
    Relax(eta=0.0),
)
CLASSES = (DisarmTree(), DisarmStickBreaking(), DisarmStickBreaking(order="none"), DisarmStickBreaking(weighted=True))
ALL = (
    *BLACK_BOX_BITS,
    *SHIFTED,
    Exact(),
    ExactBaseline(n=2),
    Rloo(n=3),
    TopKSum(),
    TopKSum(k=3),
    UnorderedSet(),
    UnorderedSet(k=3),
    MuProp(),
    Darn(),
    Rebar(),
    Rebar(coupled=False, rate=0),
    Relax(),
    Relax(coupled=False, hidden=3),
    DoubleCv(n=3, alpha=-0.5),
    GumbelRao(),
    GappedStraightThrough(),
    GappedStraightThrough(rule="probability"),
    DecoupledSt(),
    Imle(strength=3.0),
    GumbelSoftmax(),
    StGumbelSoftmax(),
    StraightThrough(),
    ReinMax(),
)


def seeded(seed=0):
    return Noise.seeded(seed, dtype=DOUBLE)


def bits(*shape, seed=1):
    return Distribution(kind="bernoulli", logits=seeded(seed).normal(*shape))


def classes(*shape, seed=1):
    return Distribution(kind="categorical", logits=seeded(seed).normal(*shape))


def objective(distribution, shift=0.0):
    """A smooth f without symmetry, not a sum over variables: `sin(w . x) + (w . x)^2 + shift`, with its table."""
    events = distribution.event_dims
    w = torch.linspace(-0.7, 1.1, distribution.logits[(0,) * len(distribution.batch)].numel(), dtype=DOUBLE)

    def f(x):
        s = x.flatten(-events) @ w
        return s.sin() + s**2 + shift

    def table():
        size, *k = distribution.logits.shape[len(distribution.batch) :]
        vertices = torch.tensor([[0.0], [1.0]], dtype=DOUBLE) if not k else torch.eye(k[0], dtype=DOUBLE)
        states = torch.stack([torch.stack(c) for c in itertools.product(vertices, repeat=size)])
        states = states.squeeze(-1) if not k else states
        values = f(states).reshape(-1, *(1,) * (len(distribution.batch) + 1))
        return Enumeration(states=states, values=values.expand(-1, *distribution.batch, 1))

    return FunctionObjective(f, table=table)


def estimate(method, distribution, f, *, repeats=5, seed=3, state=None):
    return method.estimate(distribution, f, seeded(seed), repeats, state)


@pytest.mark.parametrize("make", [lambda: bits(4, 3), lambda: classes(4, 2, 3)])
def test_exact_is_the_derivative_of_the_enumerated_expectation(make):
    """Differentiating `sum_m p(m) f(m)` by torch's autograd gives what `exact` sums in closed form."""
    distribution = make()
    table = objective(distribution).enumerate()
    with torch.enable_grad():
        logits = distribution.logits.clone().requires_grad_()
        if distribution.kind == "bernoulli":
            p = torch.sigmoid(logits)
            weights = torch.stack([torch.where(s > 0, p, 1 - p).prod(-1) for s in table.states])
        else:
            p = torch.softmax(logits, -1)
            weights = torch.stack([(p * s).sum(-1).prod(-1) for s in table.states])
        expectation = (weights * table.values.squeeze(-1)).sum(0)
        (gradient,) = torch.autograd.grad(expectation.sum(), logits)
    sample = estimate(Exact(), distribution, objective(distribution), repeats=2)
    torch.testing.assert_close(sample.gradient[1], gradient, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(sample.value[1], expectation.detach(), rtol=1e-12, atol=1e-13)


def test_exact_over_blocks_is_exact_over_all_states():
    """A separable f gives the same gradient from blocks of one bit as from the table of all joint states."""
    distribution = bits(3)
    weights = torch.tensor([0.2, -1.0, 0.5], dtype=DOUBLE)
    joint = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=DOUBLE)] * 3)
    single = torch.tensor([[0.0], [1.0]], dtype=DOUBLE)
    whole = FunctionObjective(
        lambda x: (weights * x).sum(-1),
        table=lambda: Enumeration(states=joint, values=(joint * weights).sum(-1, keepdim=True)),
    )
    blocks = FunctionObjective(
        lambda x: (weights * x).sum(-1), table=lambda: Enumeration(states=single, values=single * weights)
    )
    a, b = (estimate(Exact(), distribution, f) for f in (whole, blocks))
    torch.testing.assert_close(a.gradient, b.gradient, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(a.value, b.value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make", [lambda: bits(2, 3), lambda: classes(2, 3, 4)])
def test_reinmax_is_the_mean_of_straight_through_and_darn(make):
    """At temperature 1 ReinMax is `(ST + DARN) / 2`, DARN being `(x - p) (g_x - p . g)` (identity of ZGR)."""
    distribution = make()
    f = objective(distribution)
    reinmax = estimate(ReinMax(), distribution, f).gradient
    straight = estimate(StraightThrough(), distribution, f).gradient
    x, p = distribution.sample(seeded(3), 5), distribution.mean
    _, g = f.value_and_gradient(x)
    if distribution.kind == "bernoulli":
        darn = (x - p) * (x - p) * g
    else:
        darn = (x - p) * ((x * g).sum(-1, keepdim=True) - (p * g).sum(-1, keepdim=True))
    torch.testing.assert_close(reinmax, (straight + darn) / 2, rtol=1e-10, atol=1e-12)


def test_disarm_is_arm_with_its_uniform_integrated_out():
    """Averaging ARM, `(f(b) - f(b')) (u - 1/2)`, over u given the pair gives every sample of DisARM (midpoint rule)."""
    distribution = bits(1, seed=5)
    theta = distribution.logits
    p = float(torch.sigmoid(theta))
    f = FunctionObjective(lambda x: (x**3 - 0.2 * x).sum(-1))
    u = (torch.arange(20_000, dtype=DOUBLE) + 0.5) / 20_000
    b, other = (u < p).to(DOUBLE), (1 - u < p).to(DOUBLE)
    # With b = 1[u < p] the uniform of ARM's formula is 1 - u.
    arm = (f.value(b[:, None]) - f.value(other[:, None])) * (0.5 - u)
    sample = Disarm().estimate(distribution, f, seeded(), 200)
    drawn = seeded().uniform(200, 1).squeeze(-1)
    for g, v in zip(sample.gradient.squeeze(-1).tolist(), drawn.tolist(), strict=True):
        same = (b == float(v < p)) & (other == float(1 - v < p))
        assert g == pytest.approx(float(arm[same].mean()), abs=2e-4)


@pytest.mark.parametrize("cls", [GumbelSoftmax, StGumbelSoftmax, StraightThrough, ReinMax])
def test_two_classes_are_a_bit(cls):
    """Two classes with logits (l, 0) and f of the first give the bit's backward pass at the same forward sample."""
    method = cls()
    one = bits(6)
    two = Distribution(kind="categorical", logits=torch.stack([one.logits, torch.zeros_like(one.logits)], -1))
    logistic = seeded().logistic(4, 6)
    # Gumbel noises (a, 0) and logistic noise a perturb the difference of the two logits alike.
    gumbel = torch.stack([logistic, torch.zeros_like(logistic)], -1)
    x = one.harden(logistic)

    class Fixed:
        def logistic(self, *shape):
            return logistic.expand(shape)

        def gumbel(self, *shape):
            return gumbel.expand(shape)

        def uniform(self, *shape):
            # Below the probability exactly where the perturbed logit is positive.
            return torch.where(x > 0, one.mean * 0.5, 1.0).expand(shape)

    f_bit = FunctionObjective(lambda x: (x**3).sum(-1))
    f_class = FunctionObjective(lambda x: (x[..., 0] ** 3).sum(-1))
    a = method.estimate(one, f_bit, Fixed(), 4).gradient
    b = method.estimate(two, f_class, Fixed(), 4).gradient
    torch.testing.assert_close(a, b[..., 0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", [*CLASSES, *(m for m in ALL if m not in BLACK_BOX_BITS)], ids=repr)
def test_a_gradient_over_classes_sums_to_zero(method):
    """Adding a constant to all logits of a variable changes nothing, so every sample sums to zero over its classes."""
    distribution = classes(3, 2, 4)
    gradient = estimate(method, distribution, objective(distribution)).gradient
    torch.testing.assert_close(gradient.sum(-1), torch.zeros(5, 3, 2, dtype=DOUBLE), rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", [m for m in ALL if m not in SHIFTED], ids=repr)
def test_a_constant_added_to_f_changes_no_sample(method):
    """Methods that difference or differentiate f do not see a constant; plain REINFORCE does, in its variance."""
    distribution = bits(2, 3)
    plain = estimate(method, distribution, objective(distribution)).gradient
    shifted = estimate(method, distribution, objective(distribution, shift=7.0)).gradient
    torch.testing.assert_close(plain, shifted, rtol=0, atol=1e-11)


@pytest.mark.parametrize("method", SHIFTED, ids=repr)
def test_a_constant_added_to_f_is_seen_without_a_baseline_for_it(method):
    """Plain score functions see it in their variance, and so do control variates of another weight than 1."""
    distribution = bits(2, 3)
    a, b = (estimate(method, distribution, objective(distribution, shift=s)).gradient for s in (0.0, 7.0))
    assert not torch.allclose(a, b)


@pytest.mark.parametrize("method", CLASSES, ids=repr)
def test_a_constant_added_to_f_changes_no_coupled_sample(method):
    """Coupled pairs of classes take differences of f."""
    distribution = classes(2, 3)
    a, b = (estimate(method, distribution, objective(distribution, shift=s)).gradient for s in (0.0, 7.0))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("method", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_shapes_dtype_and_inputs(method, dtype):
    """`[R, *logits.shape]` and `[R, *batch]` in the dtype of the logits, which are unchanged."""
    logits = Noise.seeded(1, dtype=dtype).normal(2, 4, 3)
    before = logits.clone()
    distribution = Distribution(kind="bernoulli", logits=logits)
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=dtype)] * 3)
    values = states.sum(-1).square().reshape(-1, 1, 1, 1).expand(-1, 2, 4, 1)
    f = FunctionObjective(lambda x: x.sum(-1) ** 2, table=lambda: Enumeration(states=states, values=values))
    state = method.init(distribution, Noise.seeded(3, dtype=dtype)) if hasattr(method, "init") else None
    sample = method.estimate(distribution, f, Noise.seeded(2, dtype=dtype), 5, state)
    assert sample.gradient.shape == (5, 2, 4, 3)
    assert sample.value.shape == (5, 2, 4)
    assert sample.gradient.dtype == sample.value.dtype == dtype
    assert torch.equal(logits, before)


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_finite_at_extreme_logits(method):
    """No infinity or nan at logits of +-30 in float32."""
    distribution = Distribution(kind="bernoulli", logits=torch.tensor([-30.0, 30.0]))
    states = torch.cartesian_prod(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
    f = FunctionObjective(
        lambda x: x.sum(-1) ** 2,
        table=lambda: Enumeration(states=states, values=states.sum(-1, keepdim=True) ** 2),
    )
    assert method.estimate(distribution, f, Noise.seeded(0), 1000).gradient.isfinite().all()


@pytest.mark.statistical
@pytest.mark.parametrize("method", [m for m in ALL if not isinstance(m, Exact)], ids=repr)
def test_repeats_are_independent(method):
    """Consecutive repeats of one call are uncorrelated. False alarms: 5 sigma on 32 methods x 3 bits, 6e-5."""
    distribution = bits(3)
    g = estimate(method, distribution, objective(distribution), repeats=20_000).gradient
    g = (g - g.mean(0)) / g.std(0)
    correlation = (g[1:] * g[:-1]).mean(0)
    assert correlation.abs().max() < 5 / 20_000**0.5


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_surrogate_trains_what_is_before_and_inside_f(method):
    """Its value is f; its gradient is the estimate for the logits and that of f for the parameters inside f."""
    scale = torch.tensor(1.5, dtype=DOUBLE, requires_grad=True)
    logits = seeded(1).normal(4, 3).requires_grad_()
    states = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=DOUBLE)] * 3)

    def table():
        values = (scale * states.sum(-1) ** 2).reshape(-1, 1, 1).expand(-1, 4, 1)
        return Enumeration(states=states, values=values)

    f = FunctionObjective(lambda x: scale * x.sum(-1) ** 2, table=table)
    with torch.enable_grad():
        sample = method.estimate(Distribution(kind="bernoulli", logits=logits), f, seeded(3), 2)
        surrogate = sample.surrogate(logits)
        inner, outer = torch.autograd.grad(surrogate.sum(), [scale, logits])
    torch.testing.assert_close(surrogate.detach(), sample.value.detach())
    torch.testing.assert_close(outer, sample.gradient.sum(0))
    # f is linear in its scale.
    torch.testing.assert_close(inner, sample.value.detach().sum() / scale.detach())


def test_st_gumbel_softmax_is_torchs():
    """Equal, sample by sample, to autograd through `torch.nn.functional.gumbel_softmax(hard=True)` on its own noise."""
    distribution = classes(7, 2, 3)
    f = objective(distribution)
    with torch.enable_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        logits = distribution.logits.clone().requires_grad_()
        x = functional.gumbel_softmax(logits, tau=0.8, hard=True)
        s = x.flatten(-2) @ torch.linspace(-0.7, 1.1, 6, dtype=DOUBLE)
        (expected,) = torch.autograd.grad((s.sin() + s**2).sum(), logits)
        torch.manual_seed(0)
        gumbel = -torch.empty_like(logits).exponential_().log().detach()

    class Replay:
        def gumbel(self, *shape):
            return gumbel.reshape(shape)

    sample = StGumbelSoftmax(temperature=0.8).estimate(distribution, f, Replay(), 1)
    torch.testing.assert_close(sample.gradient[0], expected, rtol=1e-9, atol=1e-11)


def test_ema_baseline_is_read_before_it_is_updated():
    """The first draw sees baseline 0, the second the first draw's f, the third their weighted mean: weights d and 1."""
    method = Reinforce(baseline="ema", decay=0.75)
    distribution = bits(3)
    start = state = method.init(distribution, Noise.seeded(0))
    for value in (4.0, 8.0):
        constant_f = FunctionObjective(lambda x, value=value: torch.full(x.shape[:-1], value, dtype=DOUBLE))
        _, state = method.adapt(distribution, constant_f, Noise.seeded(1, dtype=DOUBLE), 1, state)
    constant = Reinforce(baseline="constant", value=(0.75 * 4 + 8) / 1.75)
    f = objective(distribution)
    torch.testing.assert_close(
        estimate(method, distribution, f, state=state).gradient, estimate(constant, distribution, f).gradient
    )
    torch.testing.assert_close(
        estimate(method, distribution, f, state=start).gradient,
        estimate(Reinforce(), distribution, f).gradient,
    )


def test_ema_baseline_keeps_replicates_apart():
    """The average runs over the minibatch, the last batch dimension, and never over stacked replicates."""
    method = Reinforce(baseline="ema")
    distribution = bits(2, 3, 4)
    value = torch.tensor([[[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]], dtype=DOUBLE)
    noise = Noise.seeded(0, dtype=DOUBLE)
    start = method.init(distribution, noise)
    _, state = method.adapt(distribution, FunctionObjective(lambda x: value), noise, 1, start)
    assert (state.total / state.weight).flatten().tolist() == pytest.approx([2.0, 20.0])


@pytest.mark.parametrize("method", BLACK_BOX_BITS, ids=repr)
def test_methods_for_bits_refuse_classes(method):
    """They couple or flip bits only, and say what to use instead."""
    with pytest.raises(ValueError, match=r"got categorical variables; use (rloo|disarm-tree)"):
        estimate(method, classes(2, 3), objective(classes(2, 3)))


@pytest.mark.parametrize("method", CLASSES, ids=repr)
def test_methods_for_classes_refuse_bits(method):
    """They couple classes only, and say what to use instead."""
    with pytest.raises(ValueError, match="got bernoulli variables; use disarm"):
        estimate(method, bits(2, 3), objective(bits(2, 3)))


def test_a_set_and_a_flip_need_enough_states():
    """More draws without replacement than there are states, or flips than bits, are rejected with the number."""
    with pytest.raises(ValueError, match="k must be at most the number of states, 4, got 5"):
        estimate(UnorderedSet(k=5), bits(2), objective(bits(2)))
    with pytest.raises(ValueError, match="coordinates must be <= 2, the number of bits, got 3"):
        estimate(BitFlip(coordinates=3), bits(2), objective(bits(2)))
