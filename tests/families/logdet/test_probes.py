from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_logdet import Operator
from kexue_logdet.probes import DISTRIBUTIONS, draw, fold, validate


@pytest.fixture
def op():
    return Operator(kind="spd", n=5, product=lambda v: v)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_probes_are_rows_in_the_dtype_of_the_operator(op, distribution):
    """R x m rows of length n; the dtype is the operator's even where the stream's differs."""
    v = draw(op, Noise.seeded(0), distribution, repeats=3, probes=2)
    assert (v.shape, v.dtype) == ((6, 5), torch.float64)


def test_a_batch_of_operators_has_probes_of_its_own():
    """Leading axes of a batch come first, and all members have different probes."""
    op = Operator(kind="spd", n=50, product=lambda v: v, batch_shape=(2,))
    v = draw(op, Noise.seeded(0, dtype=torch.float64), "rademacher", repeats=3, probes=4)
    assert v.shape == (2, 12, 50)
    assert not torch.equal(v[0], v[1])


def test_sphere_probes_have_length_sqrt_n(op):
    """|v|^2 = n, to the rounding of five squares."""
    v = draw(op, Noise.seeded(0, dtype=torch.float64), "sphere", repeats=4, probes=4)
    torch.testing.assert_close(v.square().sum(-1), torch.full((16,), 5.0, dtype=torch.float64), rtol=1e-15, atol=0)


def test_rademacher_probes_are_signs(op):
    """Every entry is -1 or 1."""
    assert draw(op, Noise.seeded(0), "rademacher", repeats=4, probes=4).abs().eq(1).all()


@pytest.mark.statistical
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_probes_are_isotropic(op, distribution):
    """E v v^T = I: over 20,000 probes each of 15 entries within 5 standard errors (false alarm below 1e-5).

    The variance of an entry is 2 at most (the square of a normal), so a standard error is at most sqrt(2 / 20,000).
    """
    v = draw(op, Noise.seeded(1, dtype=torch.float64), distribution, repeats=100, probes=200)
    error = v.T @ v / len(v) - torch.eye(5, dtype=torch.float64)
    assert error.abs().max() < 5 * math.sqrt(2 / len(v))


def test_fold_averages_the_probes_of_each_repeat():
    """Columns are grouped by repeat, not by probe, and the standard error is that of their mean."""
    sample = fold(torch.tensor([1.0, 3.0, 10.0, 10.0], dtype=torch.float64), 2)
    assert sample.value.tolist() == [2.0, 10.0]
    assert sample.stderr is not None
    assert sample.stderr.tolist() == [1.0, 0.0]


def test_fold_puts_repeats_before_a_batch():
    """[*batch, R x m] becomes [R, *batch]."""
    sample = fold(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 2)
    assert sample.value.tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_one_probe_has_no_standard_error():
    """A standard error needs two values."""
    assert fold(torch.ones(3), 3).stderr is None


@pytest.mark.parametrize(
    ("probes", "distribution", "message"),
    [(0, "sphere", "probes must be >= 1, got 0"), (1, "cauchy", "distribution must be one of .* got 'cauchy'")],
)
def test_bad_parameters_say_what_was_got(probes, distribution, message):
    """No probe, or an unknown distribution, is refused."""
    with pytest.raises(ValueError, match=message):
        validate(probes, distribution)
