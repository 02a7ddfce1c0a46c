"""Learned control variates, and every method on stacked replicates."""

from __future__ import annotations

import hashlib

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_gradients import (
    Arm,
    Arms,
    BitFlip,
    Darn,
    DecoupledSt,
    DisarmStickBreaking,
    DisarmTree,
    Distribution,
    DoubleCv,
    FunctionObjective,
    GappedStraightThrough,
    GumbelRao,
    Imle,
    MuProp,
    Nvil,
    Rebar,
    Reinforce,
    Relax,
    Rloo,
    Rodeo,
    Stratified,
    TopKSum,
    UnorderedSet,
)

DOUBLE = torch.float64
LEARNED = (
    Rebar(),
    Rebar(coupled=False),
    Relax(),
    Relax(eta=0.0, coupled=False),
    DoubleCv(n=3),
    Nvil(),
    Nvil(normalise=False),
    Reinforce(baseline="ema"),
    Reinforce(baseline="optimal"),
)
EITHER = (
    MuProp(),
    Darn(),
    GumbelRao(draws=3),
    GappedStraightThrough(),
    DecoupledSt(),
    Imle(),
    Stratified(),
    TopKSum(k=3),
    UnorderedSet(k=3),
    UnorderedSet(k=3, estimator="sum-and-sample"),
)
ONLY = {
    "bernoulli": (Arm(), Arm(pairs=2), Arms(), BitFlip(), Rodeo(n=3)),
    "categorical": (DisarmTree(), DisarmStickBreaking(), DisarmStickBreaking(weighted=True)),
}
SHAPES = {"bernoulli": (2, 5, 3), "categorical": (2, 5, 2, 3)}
LEARNED_CASES = [*((kind, method) for kind in SHAPES for method in LEARNED), ("bernoulli", Rodeo(n=3))]
CASES = [(kind, method) for kind in SHAPES for method in (*LEARNED, *EITHER, *ONLY[kind])]


def seeded(seed=0):
    return Noise.seeded(seed, dtype=DOUBLE)


def streams(count, axis, seed=0):
    """A stack of streams along an axis, and each of them alone."""
    keys = [hashlib.sha256(bytes([seed, i])).digest() for i in range(count)]
    device = torch.device("cpu")
    return Noise(keys, dtype=DOUBLE, device=device, axis=axis), [
        Noise([key], dtype=DOUBLE, device=device, axis=axis) for key in keys
    ]


def law_of(kind, logits, *, context=True):
    events = 1 if kind == "bernoulli" else 2
    inputs = logits.flatten(-events).sin() if context else None
    return Distribution(kind=kind, logits=logits, context=inputs)


def objective(kind, size=6):
    events = 1 if kind == "bernoulli" else 2
    w = torch.linspace(-0.7, 1.1, 3 if kind == "bernoulli" else size, dtype=DOUBLE)

    def f(x):
        s = x.flatten(-events) @ w
        return s.sin() + 3 * s**2

    return FunctionObjective(f)


def run(method, law, f, noise, start, steps=3):
    """A few steps of learning and one frozen estimate."""
    state = method.init(law, start) if hasattr(method, "init") else None
    for step in range(steps if state is not None else 0):
        _, state = method.adapt(law, f, noise.at(step), 2, state)
    return method.estimate(law, f, noise.at(99), 4, state).gradient


@pytest.mark.parametrize(("kind", "method"), CASES, ids=repr)
def test_a_stack_of_replicates_is_its_singles(kind, method):
    """Replicates with separate streams and learned state equal each alone, after learning too."""
    logits = seeded(1).normal(*SHAPES[kind])
    axis = -len(SHAPES[kind])
    noise, alone = streams(2, axis)
    start, starts = streams(2, 0, seed=7)
    f = objective(kind)
    stacked = run(method, law_of(kind, logits), f, noise, start)
    for replicate in range(2):
        single = run(method, law_of(kind, logits[replicate : replicate + 1]), f, alone[replicate], starts[replicate])
        torch.testing.assert_close(stacked[:, replicate], single[:, 0], rtol=1e-9, atol=1e-11)


def tensors(state):
    """Every tensor in a state, in order."""
    if isinstance(state, torch.Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state
    return [tensor for part in parts for tensor in tensors(part)]


@pytest.mark.parametrize(("kind", "method"), LEARNED_CASES, ids=repr)
def test_learning_gives_the_estimate_and_writes_to_no_state(method, kind):
    """`adapt` returns what `estimate` gives with the same state and noise; the old state is unchanged."""
    law, f = law_of(kind, seeded(1).normal(*SHAPES[kind])), objective(kind)
    state = method.init(law, seeded(2))
    for step in range(3):
        before = [tensor.clone() for tensor in tensors(state)]
        expected = method.estimate(law, f, seeded(step), 2, state)
        sample, after = method.adapt(law, f, seeded(step), 2, state)
        torch.testing.assert_close(sample.gradient, expected.gradient, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(sample.value, expected.value)
        assert all(torch.equal(a, b) for a, b in zip(before, tensors(state), strict=True))
        assert not any(tensor.requires_grad for tensor in tensors(after))
        assert any(not torch.equal(a, b) for a, b in zip(before, tensors(after), strict=True))
        state = after


@pytest.mark.parametrize("method", [*LEARNED, Rodeo()], ids=repr)
def test_learning_leaves_the_model_alone(method):
    """No gradient reaches the parameters inside f by learning; they keep their path through `value`."""
    scale = torch.tensor(1.5, dtype=DOUBLE, requires_grad=True)
    law = law_of("bernoulli", seeded(1).normal(5, 3))
    f = FunctionObjective(lambda x: scale * x.sum(-1) ** 2)
    with torch.enable_grad():
        sample, _ = method.adapt(law, f, seeded(3), 2, method.init(law, seeded(2)))
        assert scale.grad is None
        assert not sample.gradient.requires_grad
        (inner,) = torch.autograd.grad(sample.value.sum(), scale)
    torch.testing.assert_close(inner, sample.value.detach().sum() / scale.detach())


def test_double_cv_learns_the_weight_of_a_linear_function():
    """For linear f the weight -1 removes all variance: it is found, up to the step size."""
    law = Distribution(kind="bernoulli", logits=torch.tensor([0.3, -1.0, 0.8], dtype=DOUBLE))
    w = torch.tensor([0.5, -2.0, 1.0], dtype=DOUBLE)
    f = FunctionObjective(lambda x: x @ w)
    method = DoubleCv(n=4, rate=0.05)
    state = method.init(law, seeded())
    for step in range(300):
        _, state = method.adapt(law, f, seeded(step), 8, state)
    assert float(state.values["alpha"]) == pytest.approx(-1.0, abs=0.15)
    spread, plain = (
        m.estimate(law, f, seeded(1), 2000, s).gradient.var(0).sum() for m, s in ((method, state), (Rloo(n=4), None))
    )
    assert spread < 0.03 * plain


@pytest.mark.parametrize("method", [Rebar(temperature=0.3), Relax(temperature=0.3)], ids=repr)
def test_learning_lowers_the_variance_of_a_bad_start(method):
    """From too low a temperature and weight 1, by more than a tenth, over 2^14 draws each."""
    law, f = law_of("bernoulli", seeded(1).normal(3)), objective("bernoulli")
    state = start = method.init(law, seeded(2))
    for step in range(100):
        _, state = method.adapt(law, f, seeded(step), 16, state)
    before, after = (method.estimate(law, f, seeded(5), 2**14, s).gradient.var(0).sum() for s in (start, state))
    assert after < 0.9 * before


def test_a_baseline_of_the_context_explains_what_depends_on_it():
    """What depends only on the input is learned and subtracted: nvil's mean square falls below a constant's."""
    inputs = torch.tensor([[-1.0], [0.0], [1.0]], dtype=DOUBLE)
    law = Distribution(kind="bernoulli", logits=torch.zeros(3, 2, dtype=DOUBLE), context=inputs)
    f = FunctionObjective(lambda x: 5 * inputs.squeeze(-1).expand(x.shape[:-1]) + 0.01 * x.sum(-1))
    method = Nvil(normalise=False)
    state = method.init(law, seeded(2))
    first = method.estimate(law, f, seeded(5), 2000, state).gradient.square().mean()
    for step in range(400):
        _, state = method.adapt(law, f, seeded(step), 4, state)
    assert method.estimate(law, f, seeded(5), 2000, state).gradient.square().mean() < 0.05 * first


@pytest.mark.parametrize(
    "method", [Rebar(), Relax(), DoubleCv(), Rodeo(), Nvil(), UnorderedSet(), TopKSum(), Arms()], ids=repr
)
def test_digits_are_trained_by_every_kind_of_method(method, build, context):
    """A few steps of stacked training with learned state, on real images: finite, and different for each replicate."""
    task = build("digits-vae", steps=3)
    ctx = context("digits-vae", {"steps": 3}, replicates=(0, 1))
    training = task.build(method, ctx)
    with torch.enable_grad():
        for _ in range(3):
            training.step()
    elbo = task.measure(training, ctx)()["elbo"]
    assert elbo.isfinite().all()
    assert elbo[0] != elbo[1]
