from __future__ import annotations

import pytest
import torch

from kexue_bench.lab.noise import Noise
from kexue_logdet import Exact, Operator

KINDS = {"minij6": "spd", "lap1d6": "spd", "kms6": "spd", "lehmer6": "spd", "hilbert6": "spd"}
NAMES = [*KINDS, "mod7_6", "mod11_6", "bidiag6", "negdiag6", "cyc6_c0.5", "cyc6_c0.7", "cyc6_c0.9", "cyc6_c0.98"]


def estimate(op, repeats=1):
    return Exact().estimate(op, op.n, Noise.seeded(0), repeats)


@pytest.mark.parametrize("name", NAMES)
def test_closed_determinants(name, matrix, reference):
    """Determinants known in closed form or as exact fractions, also below 1, where a lost sign would be visible.

    The error of log det is at most n eps times the condition number: 1e-9 covers hilbert6 (1.5e7), the worst.
    """
    op = Operator.of(matrix[name], KINDS.get(name, "residual"))
    assert float(estimate(op).value) == pytest.approx(reference["matrices"][name], rel=0, abs=1e-9)


def test_a_determinant_of_one_gives_zero(matrix):
    """Det minij = 1: the value is 0 to rounding and nothing divides by it."""
    assert abs(float(estimate(Operator.of(matrix["minij6"], "spd")).value)) < 1e-13


def test_every_repeat_pays_for_itself(matrix):
    """R repeats are R equal values at n products each, so that the cost of a repeat does not depend on R."""
    op = Operator.of(matrix["lap1d6"], "spd").within(budget=6, repeats=3)
    value = estimate(op, 3).value
    assert (value.shape, op.spent) == ((3,), 18)
    assert value[0] == value[1] == value[2]


def test_a_batch_has_one_value_a_member(matrix):
    """[R, *batch], each equal to its value alone."""
    names = ["kms6", "lap1d6"]
    op = Operator.of(torch.stack([matrix[name] for name in names]), "spd")
    alone = [float(estimate(Operator.of(matrix[name], "spd")).value) for name in names]
    assert estimate(op, 2).value.tolist() == [pytest.approx(alone, abs=1e-14)] * 2
