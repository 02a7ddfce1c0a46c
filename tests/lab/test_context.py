import json
from dataclasses import replace

import pytest
import torch

from kexue_bench.api import SUSPECT, Case, Instance
from kexue_bench.lab.context import Context
from kexue_bench.lab.estimates import FEW
from kexue_bench.lab.noise import STREAMS
from kexue_bench.lab.problems import ExactMoments, Sampling

CASE = Case(
    family="gradients",
    task=Instance(name="toy", params={"bits": 1, "theta": 0.5}, target="toys:Toy"),
    task_version=1,
    method=Instance(name="rloo", params={"n": 2}, target="methods:Rloo"),
    stage="evaluate",
    replicates=(3, 4, 5),
)


def words(noise):
    return noise.normal(40)


@pytest.mark.parametrize(
    "other",
    [
        replace(CASE, seed=1),
        replace(CASE, family="logdet"),
        replace(CASE, task=replace(CASE.task, name="other")),
        replace(CASE, task=replace(CASE.task, params={"bits": 1, "theta": 0.4})),
        replace(CASE, task_version=2),
        replace(CASE, replicates=(4, 3, 5)),
    ],
    ids=["seed", "family", "task", "params", "version", "replicate"],
)
def test_each_name_in_the_key_changes_the_stream(other):
    """No two of the things that a stream is named by may be confused."""
    assert not torch.equal(words(Context(CASE).noise("noise")), words(Context(other).noise("noise")))


def test_streams_and_forks_differ_from_each_other():
    """Every stream of a case, and the same stream of every fork, is a stream of its own."""
    ctx = Context(CASE)
    drawn = [words(c.noise(s)) for c in (ctx, ctx.fork("tune", 0), ctx.fork("tune", 1)) for s in STREAMS]
    assert len({tuple(d.tolist()) for d in drawn}) == 3 * len(STREAMS)


@pytest.mark.parametrize(
    "other",
    [
        replace(CASE, method=Instance(name="reinforce", target="methods:Reinforce")),
        replace(CASE, stage="time", copy=1, options={"rounds": 20}),
        replace(CASE, replicates=(3,)),
    ],
    ids=["method", "stage", "block"],
)
def test_stream_does_not_know_the_method(other):
    """All methods of a task see the same numbers, whatever the stage and the block of replicates."""
    assert torch.equal(words(Context(CASE).noise("noise")), words(Context(other).noise("noise")))


def test_stream_does_not_depend_on_the_order_of_draws():
    """What was drawn before, from this stream or another or torch's own, changes nothing at a step."""
    quiet = Context(CASE).noise("noise").at(7).normal(5)
    ctx = Context(CASE)
    ctx.noise("order").permutation(100)
    noise = ctx.noise("noise")
    noise.at(6).gumbel(1000)
    noise.uniform(33)
    torch.rand(5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(noise.at(7).normal(5), quiet)
    assert torch.equal(noise.at(7).normal(5), quiet)
    assert not torch.equal(noise.at(8).normal(5), quiet)


def test_unstacked_stream_is_that_of_the_first_replicate():
    """Without an axis, a case with several replicates draws for its first."""
    single = Context(replace(CASE, replicates=(3,))).noise("init", stack=0).normal(1, 5)
    assert torch.equal(Context(CASE).noise("init").normal(1, 5), single)


def test_taking_a_stream_twice_is_an_error():
    """The same numbers under two meanings would correlate what must be independent; forks keep one register."""
    ctx = Context(CASE)
    ctx.noise("noise")
    with pytest.raises(ValueError, match="taken already"):
        ctx.noise("noise")
    ctx.fork("tune", 0).noise("noise")
    with pytest.raises(ValueError, match="taken already"):
        ctx.fork("tune", 0).noise("noise")


def test_unknown_stream_is_an_error():
    """The vocabulary of streams is fixed."""
    with pytest.raises(ValueError, match="one of data, split, init"):
        Context(CASE).noise("dropout")


def test_global_rng_is_lent_under_a_stream_and_given_back():
    """Library code on the global generator gives the same bits whatever its state was, and leaves that as it was."""
    drawn = []
    saved = torch.get_rng_state()
    try:
        for poison in (0, 1):
            torch.set_rng_state(torch.Generator().manual_seed(poison).get_state())
            before = torch.get_rng_state()
            with Context(CASE).global_rng("init"):
                drawn.append(torch.rand(5))
            assert torch.equal(torch.get_rng_state(), before)
    finally:
        torch.set_rng_state(saved)
    assert torch.equal(*drawn)


def test_replicate_values_become_one_row_each():
    """A vector gives a row a replicate, a number one row for the case; NaN is no value."""
    ctx = Context(CASE)
    ctx.record("nll", torch.tensor([1.0, float("nan"), 3.0]), point=10, reading="half")
    ctx.record("elbo", 2.5, interval=(2.0, 3.0), unit="nats", flags=["exact"])
    rows = ctx.measurements
    assert [(m.replicate, m.value, m.point) for m in rows[:3]] == [(3, 1.0, 10), (4, None, 10), (5, 3.0, 10)]
    assert rows[0].labels == {"reading": "half"}
    last = rows[3]
    assert (last.replicate, last.value, last.low, last.high, last.unit) == (None, 2.5, 2.0, 3.0, "nats")


def test_vector_of_another_length_is_an_error():
    """A value for each replicate, or one for all: nothing else can be told apart."""
    with pytest.raises(ValueError, match="each of 3 replicates"):
        Context(CASE).record("nll", torch.zeros(2))


def test_fork_counts_and_records_for_itself():
    """What a child run counts and records is not the parent's."""
    ctx = Context(CASE)
    child = ctx.fork("tune", 0)
    child.counter.add(evaluations=3)
    child.counter.add(evaluations=2, products=1)
    child.record("nll", 1.0)
    assert child.counter.units == {"evaluations": 5, "products": 1}
    assert (ctx.counter.units, ctx.measurements) == ({}, ())


def test_the_context_builds_each_reading():
    """Once, without arguments; none where the case names none."""
    ctx = Context(replace(CASE, options={"readings": json.dumps({"plain": "fractions:Fraction"})}))
    assert ctx.readings == {"plain": 0}
    assert ctx.readings is ctx.readings
    assert Context(CASE).readings == {}


@pytest.mark.parametrize("target", ["no_such_module:Rule", "fractions:NoSuchRule", "decimal:Context.nothing"])
def test_a_reading_that_cannot_be_built_is_named(target):
    """The message says which reading and which target."""
    ctx = Context(replace(CASE, options={"readings": json.dumps({"odd": target})}))
    with pytest.raises(ImportError, match=f"the reading 'odd' cannot be built from '{target}'"):
        _ = ctx.readings


def test_again_is_the_same_context_before_anything_was_drawn():
    """The same streams once more, of the same fork; nothing counted or recorded; other replicates where asked for."""
    ctx = Context(CASE).fork("look", 1)
    ctx.task = object()
    first = words(ctx.noise("noise"))
    ctx.record("error", 1.0)
    ctx.counter.add(evaluations=1)
    twin = ctx.again()
    assert torch.equal(words(twin.noise("noise")), first)
    assert (twin.measurements, twin.counter.units, twin.task) == ((), {}, ctx.task)
    assert twin.replicates == (3, 4, 5)
    other = ctx.again(replicates=(4,))
    assert other.replicates == (4,)
    assert torch.equal(words(other.noise("noise")), words(ctx.again(replicates=(4, 5)).noise("noise")))
    assert not torch.equal(words(ctx.again(replicates=(4,)).noise("noise")), first)


@pytest.mark.parametrize(("rarest", "stop"), [(1e-5, "enumerated"), (0.1, "budget")])
def test_exact_moments_stand_in_where_draws_would_miss_rare_values(rarest, stop):
    """A bit of probability 1e-5 is seen 0.04 times in 4,096 draws: variance and bias are those of the formula."""
    p = 1e-5
    moments = ExactMoments(mean=torch.tensor(p, dtype=torch.float64), variance=p * (1 - p), how="by hand")
    problem = Sampling(
        draw=lambda noise, n: (noise.uniform(n) < 0.3).double(),
        truth=torch.tensor(p, dtype=torch.float64),
        batch=64,
        exact_moments=lambda: moments,
        rarest=rarest,
    )
    found = Context(replace(CASE, replicates=(0,), options={"budget": 4096})).estimate(problem)
    assert found.stop == stop
    if stop == "enumerated":
        bias, variance, mse = found.measurements(problem.metrics)
        assert (bias.value, variance.value, mse.value) == (0, pytest.approx(p * (1 - p)), pytest.approx(p * (1 - p)))
        assert mse.flags == {"exact", "enumerated"}


@pytest.mark.parametrize(
    ("rarest", "budget", "flags"),
    [(1e-3, 4096, {FEW}), (0.1, 4096, frozenset()), (0.1, 64, {FEW}), (1.0, 64, frozenset())],
)
def test_numbers_that_rest_on_few_rare_values_are_flagged(rarest, budget, flags):
    """Where the moments are not known: 4 occurrences are expected in 4,096 draws, or 410; no states, no rare one."""
    problem = Sampling(
        draw=lambda noise, n: (noise.uniform(n) < 0.3).double(),
        truth=torch.tensor(0.3, dtype=torch.float64),
        batch=8,
        dtype=torch.float64,
        rarest=rarest,
    )
    found = Context(replace(CASE, replicates=(0,), options={"budget": budget})).estimate(problem)
    assert all(row.flags - {"bound", "heavy-tail"} == flags for row in found.measurements(problem.metrics))


def test_exact_moments_stand_in_for_equal_draws():
    """Draws that do not vary say nothing of rarer events; the moments do."""
    moments = ExactMoments(mean=torch.tensor(1.0, dtype=torch.float64), variance=1e-6, how="by hand")
    problem = Sampling(
        draw=lambda noise, n: torch.ones(n, dtype=torch.float64),
        truth=torch.tensor(1.0, dtype=torch.float64),
        batch=64,
        exact_moments=lambda: moments,
    )
    found = Context(replace(CASE, replicates=(0,), options={"budget": 2**16})).estimate(problem)
    assert (found.stop, found.measurements(("variance",))[0].value) == ("enumerated", 1e-6)
    assert SUSPECT not in found.flags
