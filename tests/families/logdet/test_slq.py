from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_logdet import SLQ, Operator

TABLED = ["lap1d6", "kms6", "lehmer6", "minij6"]


def values(a, steps, noise, repeats, distribution="rademacher"):
    method = SLQ(steps=steps, probes=1, distribution=distribution)
    return method.estimate(Operator.of(a, "spd"), 1000, noise, repeats).value


@pytest.mark.parametrize("name", TABLED)
def test_mean_and_variance_by_enumeration(name, matrix, reference, signs, dealt):
    """Over all 64 sign vectors mean and variance are the tabled ones for k = 1..6."""
    for steps in range(1, 7):
        expected, variance = reference["slq"][name][str(steps)]
        got = values(matrix[name], steps, dealt(signs), 64)
        assert float(got.mean()) == pytest.approx(expected, abs=1e-10)
        assert float(got.var(correction=0)) == pytest.approx(variance, abs=1e-10)


@pytest.mark.parametrize("name", TABLED)
def test_quadrature_never_underestimates(name, matrix, signs, dealt):
    """Vector by vector the k-point rule falls with k towards v^T log(A) v: the even derivatives of log are negative."""
    rules = torch.stack([values(matrix[name], steps, dealt(signs), 64) for steps in range(1, 7)])
    assert (rules.diff(dim=0) <= 1e-12).all()


@pytest.mark.parametrize("name", [*TABLED, "hilbert6"])
def test_all_steps_are_exact_on_average(name, matrix, reference, signs, dealt):
    """At k = n the mean over all sign vectors is log det A, of either sign; 1e-8 covers the condition of hilbert6."""
    assert float(values(matrix[name], 6, dealt(signs), 64).mean()) == pytest.approx(
        reference["matrices"][name], rel=0, abs=1e-8
    )


def test_a_diagonal_operator_has_no_rademacher_variance():
    """With as many steps as distinct eigenvalues every sign vector gives log det A: here log(2 3 5 7)^2."""
    a = torch.diag(torch.tensor([2.0, 3.0, 5.0, 7.0] * 2, dtype=torch.float64))
    got = values(a, 4, Noise.seeded(0, dtype=torch.float64), 50)
    assert got.tolist() == pytest.approx([2 * math.log(210)] * 50, abs=1e-12)


def test_a_determinant_below_one_has_a_negative_logarithm():
    """A = I / 2: the value is -n log 2 with its sign, for every probe distribution on the sphere of radius sqrt(n)."""
    for distribution in ("rademacher", "sphere"):
        a = 0.5 * torch.eye(8, dtype=torch.float64)
        got = values(a, 3, Noise.seeded(0, dtype=torch.float64), 4, distribution)
        assert got.tolist() == pytest.approx([-8 * math.log(2)] * 4, abs=1e-13)


def test_gaussian_probes_keep_their_length():
    """The rule is scaled by |v|^2, not n, so that A = e I gives exactly |v|^2: unbiased, with variance 2 n."""
    v = Noise.seeded(5, dtype=torch.float64).normal(6, 1, 8)
    got = values(math.e * torch.eye(8, dtype=torch.float64), 2, Noise.seeded(5, dtype=torch.float64), 6, "gaussian")
    torch.testing.assert_close(got, v.square().sum(dim=(1, 2)), rtol=1e-14, atol=0)


def test_cost_is_min_of_steps_and_n_for_each_probe(matrix):
    """A repeat costs min(k, n) m products: an exhausted dimension is not paid for."""
    op = Operator.of(matrix["kms6"], "spd").within(budget=18, repeats=4)
    SLQ(steps=20, probes=3).estimate(op, 18, Noise.seeded(0, dtype=torch.float64), 4)
    assert op.spent == 72


def test_standard_error_is_that_of_the_probes(matrix):
    """The error bar is the standard deviation of the repeat's own probes over sqrt(m)."""
    noise = Noise.seeded(7, dtype=torch.float64)
    sample = SLQ(steps=6, probes=4).estimate(Operator.of(matrix["kms6"], "spd"), 24, noise, 3)
    singles = values(matrix["kms6"], 6, _replay(7, 12), 12).reshape(3, 4)
    assert sample.stderr is not None
    torch.testing.assert_close(sample.value, singles.mean(dim=1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sample.stderr, singles.std(dim=1) / 2, rtol=1e-12, atol=1e-12)


def _replay(seed, rows):
    class Replay:
        def rademacher(self, *shape):
            assert math.prod(shape) == rows * 6
            return Noise.seeded(seed, dtype=torch.float64).rademacher(3, 4, 6).reshape(shape)

    return Replay()


def test_a_batch_of_operators_equals_its_members(matrix):
    """[R, *batch]: each member with its own probes equals its value alone."""
    a = torch.stack([matrix["kms6"], matrix["lap1d6"]])
    got = SLQ(steps=3, probes=1).estimate(Operator.of(a, "spd"), 3, Noise.seeded(2, dtype=torch.float64), 5).value
    rows = Noise.seeded(2, dtype=torch.float64).rademacher(5, 1, 2, 6)

    class Member:
        def __init__(self, index):
            self.index = index

        def rademacher(self, *shape):
            return rows[:, :, self.index].reshape(shape)

    alone = torch.stack([values(a[b], 3, Member(b), 5) for b in range(2)], dim=1)
    torch.testing.assert_close(got, alone, rtol=1e-12, atol=1e-12)


def test_a_residual_operator_is_refused(matrix):
    """Its Jacobian is not symmetric; the message names a method that fits."""
    with pytest.raises(ValueError, match="needs an SPD operator, got a residual one; use power-series"):
        SLQ().estimate(Operator.of(matrix["bidiag6"], "residual"), 100, Noise.seeded(0), 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"steps": 0}, "steps must be >= 1, got 0"), ({"distribution": "haar"}, "distribution must be one of")],
)
def test_bad_parameters_say_what_was_got(arguments, message):
    """Refused when the method is built, before any case runs."""
    with pytest.raises(ValueError, match=message):
        SLQ(**arguments)
