import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from kexue_bench.api import Case, Instance
from kexue_bench.lab.context import Context
from kexue_bench.lab.noise import STREAMS, Noise

KINDS = {
    "uniform": stats.uniform(),
    "normal": stats.norm(),
    "logistic": stats.logistic(),
    "exponential": stats.expon(),
    "gumbel": stats.gumbel_r(),
}
DRAWS = (*KINDS, "rademacher")

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


def test_streams_of_seeds_that_share_32_bits_differ():
    """Torch's own seeding uses 32 bits on the CPU, so that 5 and 5 + 2^32 give one stream; ours does not."""
    trapped = [torch.rand(3, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5 + 2**32)]
    assert torch.equal(*trapped)
    assert not torch.equal(Noise.seeded(5).uniform(3), Noise.seeded(5 + 2**32).uniform(3))


def test_whole_state_of_the_twister_comes_from_the_key():
    """An MT19937 of numpy's, given the 624 words that SHAKE-256 makes of the key, puts out the same 24-bit floats."""
    noise = Noise.seeded(7)
    key = np.frombuffer(hashlib.shake_256(noise._keys[0]).digest(4 * 624), dtype="<u4")
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 624}}
    actual = torch.rand(2000, generator=noise.generator)
    assert np.array_equal(actual.numpy() * 2.0**24, twister.random_raw(2000) % 2**24)


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


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stack_equals_its_singles(draw, axis, dtype):
    """Slice r of a stacked draw is bit for bit what replicate r alone draws, at every draw of the stream."""
    shape = [7, 11, 6]
    shape[axis] = 3
    case = replace(CASE, dtype=dtype)
    stacked = Context(case).noise("noise", stack=axis)
    stacked = [getattr(s, draw)(*shape) for s in (stacked, stacked, stacked.at(4))]
    shape[axis] = 1
    for r, replicate in enumerate(case.replicates):
        alone = Context(replace(case, replicates=(replicate,))).noise("noise", stack=axis)
        for whole, source in zip(stacked, (alone, alone, alone.at(4)), strict=True):
            assert torch.equal(whole.narrow(axis, r, 1), getattr(source, draw)(*shape))


def test_stacked_integers_and_permutations_equal_their_singles():
    """The same holds for integers; permutations of a stack are its rows."""
    stacked = Context(CASE).noise("order", stack=-1)
    integers, permutations = stacked.integers(10, 4, 3), stacked.permutation(20)
    for r, replicate in enumerate(CASE.replicates):
        alone = Context(replace(CASE, replicates=(replicate,))).noise("order")
        assert torch.equal(integers[:, r], alone.integers(10, 4, 1)[:, 0])
        assert torch.equal(permutations[r], alone.permutation(20))


def test_unstacked_stream_is_that_of_the_first_replicate():
    """Without an axis, a case with several replicates draws for its first."""
    single = Context(replace(CASE, replicates=(3,))).noise("init", stack=0).normal(1, 5)
    assert torch.equal(Context(CASE).noise("init").normal(1, 5), single)


@pytest.mark.parametrize("shape", [(4, 7), (), (3,)])
def test_stacked_draw_of_another_shape_is_an_error(shape):
    """A draw that does not give each replicate its place says which axis must have which size."""
    with pytest.raises(ValueError, match="size 3 along axis 1"):
        Context(CASE).noise("noise", stack=1).normal(*shape)


def test_stack_has_no_generator():
    """A library call cannot draw for several replicates at once."""
    with pytest.raises(ValueError, match="no single generator"):
        Context(CASE).noise("noise", stack=0).generator


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_uniform_excludes_its_ends(dtype):
    """Of a million float16 draws torch puts some 500 on 0; ours have finite logarithms on both sides in every dtype."""
    draw = Noise.seeded(0, dtype=dtype).uniform(1_000_000).to(torch.float64)
    assert 0 < draw.min() < draw.max() < 1
    assert (1 - draw).log().isfinite().all()


@pytest.mark.statistical
@pytest.mark.parametrize("name", KINDS)
def test_draws_follow_their_law(name):
    """Kolmogorov-Smirnov against scipy's distribution; false alarms 1e-4 each, seed fixed."""
    draw = getattr(Noise.seeded(11, dtype=torch.float64), name)(20_000)
    assert stats.kstest(draw.numpy(), KINDS[name].cdf).pvalue > 1e-4


def test_signs_and_integers_are_even():
    """Counts of a fair coin and a die lie within 4.5 standard deviations of their means."""
    noise = Noise.seeded(12)
    signs = noise.rademacher(10_000)
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(float(signs.sum())) < 4.5 * 100
    counts = torch.bincount(noise.integers(6, 60_000), minlength=6)
    assert counts.sub(10_000).abs().max() < 4.5 * (60_000 * 5 / 36) ** 0.5


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


def test_drawing_leaves_the_global_generators_alone():
    """No draw of ours moves torch's or numpy's global state."""
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  # it is what is watched
    noise = Context(CASE).noise("noise")
    for name in DRAWS:
        getattr(noise, name)(100)
    noise.permutation(10)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002  # it is what is watched


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
