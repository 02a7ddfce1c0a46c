"""Odd polynomials of singular values: W -> a W + b W (W^T W) + ..., and the sequences that lead to the polar factor.

With W = U S V^T an odd polynomial p gives U p(S) V^T by matrix products alone: it acts on each singular value
separately, and the limit of suitable sequences is the polar factor U V^T.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

Polynomial = tuple[float, ...]
"""Coefficients of s, s^3, s^5, ..."""

NEWTON_SCHULZ: dict[int, Polynomial] = {3: (3 / 2, -1 / 2), 5: (15 / 8, -10 / 8, 3 / 8)}
"""By degree: flat at s = 1 to the highest order, so that the limit is 1 from any 0 < s < sqrt 3 (degree 3)."""
JORDAN: Polynomial = (3.4445, -4.7750, 2.0315)
"""Steep at 0 and without a limit: Muon applies it five times (repository KellerJordan/Muon)."""
CUSHION = 0.02407327424182761
"""Smallest ratio of the ends of the interval that a quintic of Polar Express is fitted to (arXiv:2505.16932)."""


def apply(polynomial: Polynomial, matrix: Tensor) -> Tensor:
    """The matrix with its singular values s replaced by p(s).

    Costs 4 d k^2 for degree 3 and 2 k^3 more for every two further degrees.

    Args:
        polynomial: coefficients of s, s^3, ...; at least two.
        matrix: W, `[*, d, k]`, d >= k.
    """
    gram = matrix.mT @ matrix
    *rest, second, last = polynomial
    inner = last * gram
    inner.diagonal(dim1=-2, dim2=-1).add_(second)
    for coefficient in reversed(rest):
        inner = gram @ inner
        inner.diagonal(dim1=-2, dim2=-1).add_(coefficient)
    return matrix @ inner


def evaluate(polynomial: Polynomial, values: Tensor) -> Tensor:
    """p(s) for singular values of any shape."""
    square, result = values.square(), torch.zeros_like(values)
    for coefficient in reversed(polynomial):
        result = result * square + coefficient
    return result * values


def spectral_norm(matrix: Tensor) -> Tensor:
    """The largest singular value, from the eigenvalues of W^T W, `[*, 1, 1]`; off the graph.

    Exact up to rounding, while power iterations give a lower bound that converges slowly at small gaps.
    """
    gram = (matrix.mT @ matrix).detach()
    return torch.linalg.eigvalsh(gram)[..., -1].clamp_min(0).sqrt()[..., None, None]


def scaled(matrix: Tensor, scale: str) -> Tensor:
    """W divided by a norm, so that its singular values are at most 1; a zero matrix stays zero.

    The norm is held fixed for the gradient: the polar factor does not depend on it.

    Args:
        matrix: W, `[*, d, k]`.
        scale: `spectral` (the largest singular value), `frobenius` (cheaper and larger), or `none`.
    """
    if scale == "none":
        return matrix
    norm = spectral_norm(matrix) if scale == "spectral" else torch.linalg.matrix_norm(matrix.detach(), keepdim=True)
    return matrix / norm.where(norm > 0, 1.0)


def bjorck(beta: float) -> Polynomial:
    """(1 + beta) s - beta s^3; beta = 1/2 is Newton-Schulz of degree 3."""
    return 1 + beta, -beta


def polar_express(lower: float, *, cushion: float = CUSHION, safety: float = 1.0) -> Iterator[Polynomial]:
    """The infinite sequence of quintics of Polar Express, each optimal on the range that the one before leaves.

    Args:
        lower: smallest singular value that is expected, in (0, 1]; the largest is 1.
        cushion: smallest ratio of the ends that a quintic is fitted to, in [0, 1).
        safety: divides the input of each quintic, as a guard against rounding; the limit (15, -10, 3) / 8 is unchanged.
    """
    low, high = lower, 1.0
    while (found := _quintic(max(low, cushion * high), high)) is not None:
        ends = _value(found, low), _value(found, high)
        # With a cushion the quintic is centered on another interval: center it on this one.
        found = _times(found, 2 / sum(ends))
        low = _value(found, low)
        high = 2 - low
        yield tuple(c / safety ** (2 * i + 1) for i, c in enumerate(found))
    while True:
        yield NEWTON_SCHULZ[5]


@lru_cache(maxsize=256)
def _quintic(low: float, high: float) -> Polynomial | None:
    """The odd quintic of smallest maximal error from 1 on [low, high], by Remez exchange of its four extrema.

    None if the interval is so short that it is the limit (15 s - 10 s^3 + 3 s^5) / 8 up to rounding.
    """
    if low >= (1 - 5e-6) * high:
        return None
    inner = np.array([(3 * low + high) / 4, (low + 3 * high) / 4])
    error, signs = math.inf, np.array([1.0, -1.0, 1.0, -1.0])
    coefficients = np.zeros(3)
    for _ in range(100):
        nodes = np.array([low, *inner, high])
        *found, new = np.linalg.solve(np.column_stack([nodes, nodes**3, nodes**5, signs]), np.ones(4))
        coefficients = np.array(found)
        if abs(new - error) <= 1e-15:
            break
        error = new
        # The inner extrema: a + 3 b s^2 + 5 c s^4 = 0.
        a, b, c = found
        root = math.sqrt(9 * b * b - 20 * a * c)
        inner = np.sqrt((-3 * b + np.array([-1.0, 1.0]) * root) / (10 * c))
    return tuple(float(c) for c in coefficients)


def _value(polynomial: Polynomial, s: float) -> float:
    return sum(c * s ** (2 * i + 1) for i, c in enumerate(polynomial))


def _times(polynomial: Polynomial, factor: float) -> Polynomial:
    return tuple(factor * c for c in polynomial)
