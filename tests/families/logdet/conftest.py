"""Matrices with closed log-determinants, and streams that return every case of a finite design in turn."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch


def _formulas():
    i = np.arange(1, 7, dtype=float)
    row, column = i[:, None], i[None, :]
    shift = np.eye(6, k=1)
    cycle = shift.copy()
    cycle[5, 0] = 1
    dct = np.cos(np.pi / 6 * (row - 1) * (column - 0.5)) * np.sqrt(2 / 6)
    dct[0] /= np.sqrt(2)
    slope = 1 - np.tanh(dct @ np.sin(i)) ** 2
    mlp = dct[::-1, ::-1].T @ np.diag(slope) @ dct
    spd = {
        "minij6": np.minimum(row, column),
        "lap1d6": 2 * np.eye(6) - shift - shift.T,
        "kms6": 0.5 ** np.abs(row - column),
        "lehmer6": np.minimum(row, column) / np.maximum(row, column),
        "hilbert6": 1 / (row + column - 1),
    }
    residual = {
        "mod7_6": (np.mod(row * column, 7) - 3) / 20,
        "mod11_6": (np.mod(row**2 + 3 * column + row * column**2, 11) - 5) / 40,
        "bidiag6": 0.5 * np.eye(6) + 0.4 * shift,
        "negdiag6": -0.9 * np.eye(6),
        **{f"cyc6_c{c}": c * cycle for c in (0.5, 0.7, 0.9, 0.98)},
        **{f"mlp6_c{c}": c * mlp for c in (0.5, 0.7, 0.9, 0.98)},
    }
    return spd, residual


SPD, RESIDUAL = _formulas()


class Dealt:
    """A stream whose draws are the rows of a design, one per repeat: the interface of `Noise` without randomness."""

    def __init__(self, rows):
        self.rows = rows

    def deal(self, *shape):
        repeats, probes, n = shape
        assert (repeats, probes, n) == (len(self.rows), 1, self.rows.shape[1])
        return self.rows.unsqueeze(1)

    rademacher = normal = deal


@pytest.fixture(scope="session")
def reference():
    """Exact figures; each table's derivation is named in the file."""
    return json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def matrix():
    """Name -> the float64 matrix: A of an SPD example, J of a residual one."""
    return {name: torch.tensor(value) for name, value in {**SPD, **RESIDUAL}.items()}


@pytest.fixture(scope="session")
def dealt():
    """Rows of a design -> a stream that returns them."""
    return Dealt


@pytest.fixture(scope="session")
def signs():
    """All 64 sign vectors of length 6, equally likely: means over them are expectations of a Rademacher probe."""
    return torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6)), dtype=torch.float64)


@pytest.fixture(scope="session")
def hermite():
    """Nodes [728, 6] and weights of a rule that integrates polynomials of degree 5 over a standard normal vector.

    The three-point Gauss-Hermite rule in each coordinate; the node at the origin is left out, so the weights sum to 1
    minus its own, which only a function that vanishes there may ignore.
    """
    nodes = torch.tensor(list(itertools.product((-(3**0.5), 0.0, 3**0.5), repeat=6)), dtype=torch.float64)
    weights = torch.tensor(list(itertools.product((1 / 6, 2 / 3, 1 / 6), repeat=6)), dtype=torch.float64).prod(dim=1)
    kept = nodes.abs().sum(dim=1) > 0
    return nodes[kept], weights[kept]
