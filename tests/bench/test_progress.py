"""The coverage of the losses at a budget, over estimators with known moments (the table of docs/statistics.md)."""

from __future__ import annotations

import math

import pytest
from progressing import CASES, coverage


@pytest.mark.statistical
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("draws", "n"), [(2048, 1), (2048, 8), (2048, 32), (16384, 1), (16384, 16), (16384, 256)])
def test_coverage_study(name, draws, n):
    """The study of docs/statistics.md: 93 % in every cell, less 2 binomial standard errors of 2,000 runs."""
    held = coverage(CASES[name], draws, n, runs=2000, seed=1)
    print(name, draws, n, *(f"{100 * share:.1f}" for share in held), sep=" | ")  # noqa: T201  # a row of the table
    assert min(held) >= 0.93 - 2 * math.sqrt(0.93 * 0.07 / 2000)
