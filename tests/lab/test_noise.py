"""Streams of numbers: named by their key in full, true to their distributions, and a stack equals its singles."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from scipy import stats

from kexue_bench.lab.noise import Noise, stream_key

KINDS = {
    "uniform": stats.uniform(),
    "normal": stats.norm(),
    "logistic": stats.logistic(),
    "exponential": stats.expon(),
    "gumbel": stats.gumbel_r(),
}


DRAWS = (*KINDS, "rademacher")
HALF = (torch.float16, torch.bfloat16)


def stream(*replicates, axis=None, dtype=torch.float32):
    """The stream of one replicate, or a stack of several along an axis."""
    keys = [stream_key("toy", replicate) for replicate in replicates]
    return Noise(keys, dtype=dtype, device=torch.device("cpu"), axis=axis)


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


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stack_equals_its_singles(draw, axis, dtype):
    """Slice r of a stacked draw is bit for bit what replicate r alone draws, at every draw of the stream."""
    shape = [7, 11, 6]
    shape[axis] = 3
    stacked = stream(3, 4, 5, axis=axis, dtype=dtype)
    stacked = [getattr(s, draw)(*shape) for s in (stacked, stacked, stacked.at(4))]
    shape[axis] = 1
    for r, replicate in enumerate((3, 4, 5)):
        alone = stream(replicate, axis=axis, dtype=dtype)
        for whole, source in zip(stacked, (alone, alone, alone.at(4)), strict=True):
            assert torch.equal(whole.narrow(axis, r, 1), getattr(source, draw)(*shape))


def test_stacked_integers_and_permutations_equal_their_singles():
    """The same holds for integers; permutations of a stack are its rows."""
    stacked = stream(3, 4, 5, axis=-1)
    integers, permutations = stacked.integers(10, 4, 3), stacked.permutation(20)
    for r, replicate in enumerate((3, 4, 5)):
        alone = stream(replicate)
        assert torch.equal(integers[:, r], alone.integers(10, 4, 1)[:, 0])
        assert torch.equal(permutations[r], alone.permutation(20))


@pytest.mark.parametrize("shape", [(4, 7), (), (3,)])
def test_stacked_draw_of_another_shape_is_an_error(shape):
    """A draw that does not give each replicate its place says which axis must have which size."""
    with pytest.raises(ValueError, match="size 3 along axis 1"):
        stream(3, 4, 5, axis=1).normal(*shape)


def test_several_streams_without_an_axis_are_refused():
    """Of several keys without an axis only one could be drawn from."""
    with pytest.raises(ValueError, match="an axis to stack several along, got 2 keys"):
        stream(3, 4)


def test_stack_has_no_generator():
    """A library call cannot draw for several replicates at once."""
    with pytest.raises(ValueError, match="no single generator"):
        stream(3, 4, 5, axis=0).generator


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


def test_drawing_leaves_the_global_generators_alone():
    """No draw of ours moves torch's or numpy's global state."""
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002  # it is what is watched
    noise = Noise.seeded(0)
    for name in DRAWS:
        getattr(noise, name)(100)
    noise.permutation(10)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002  # it is what is watched


@pytest.mark.parametrize("axis", [None, -2])
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", DRAWS)
def test_half_precision_is_drawn_in_float32_and_rounded(name, dtype, axis):
    """The numbers of the float32 stream, to the last bit that the dtype holds."""
    keys = (b"a" * 32,) if axis is None else (b"a" * 32, b"b" * 32)
    low, full = (Noise(keys, dtype=d, device=torch.device("cpu"), axis=axis) for d in (dtype, torch.float32))
    draw, expected = getattr(low, name)(2, 5000), getattr(full, name)(2, 5000)
    assert draw.dtype == dtype
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(draw.float(), expected, rtol=step, atol=float(torch.finfo(dtype).smallest_normal))


@pytest.mark.parametrize("dtype", HALF)
def test_uniform_excludes_its_ends_after_rounding(dtype):
    """Of a million numbers some thousands round to 1 in bfloat16."""
    draw = Noise.seeded(0, dtype=dtype).uniform(1_000_000)
    assert 0 < draw.min() < draw.max() < 1


def test_cast_goes_on_where_the_stream_is():
    """Both draw from one generator, in turn; a stream of the same dtype is itself."""
    noise, twin = Noise.seeded(5), Noise.seeded(5)
    assert noise.cast(torch.float32) is noise
    first, second = noise.cast(torch.float64), noise
    assert first.normal(3).dtype == torch.float64
    twin.cast(torch.float64).normal(3)
    assert torch.equal(second.normal(3), twin.normal(3))
    assert not torch.equal(Noise.seeded(5).normal(3), twin.normal(3))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("started", [False, True])
def test_a_compiled_step_draws_the_same_numbers(started):
    """Streams are forked, started and drawn from inside `torch.compile`; every kind of draw."""

    def step(x, noise, index):
        stream = noise.at(index)
        total = x * stream.integers(5, 3) + stream.permutation(3)
        for name in DRAWS:
            total = total + x * getattr(stream, name)(3)
        return total + x * noise.normal(3)

    torch._dynamo.reset()
    compiled = torch.compile(step, backend="eager")
    for index in range(2):
        noises = Noise.seeded(index), Noise.seeded(index)
        if started:
            _ = [noise.generator for noise in noises]
        assert torch.equal(compiled(torch.ones(3), noises[0], index), step(torch.ones(3), noises[1], index))
