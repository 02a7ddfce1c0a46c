"""How far the error of a reference may have moved what is computed from the moments of draws.

The truth g is a reference; with 95 % confidence, the exact one lies within r of it. Each function gives the largest
change over all points within r. With m the mean of the draws, V the variance of one, and n draws averaged:
"""

from __future__ import annotations

import math


def score_shift(along: float, across: float, noise: float, *, norm: float, error: float, least: float) -> float:
    """Of |m| cos a / sqrt(|m|^2 sin^2 a + V / n), a being the angle between m and the truth.

    The angle of two directions within r of each other is at most asin(r / |g|).

    Args:
        along: m.e, e = g / |g|.
        across: |m|^2 - (m.e)^2.
        noise: V / n.
        norm: |g|, > 0.
        error: r.
        least: lower end of what stands under the root.
    """
    beside = math.sqrt(max(across, 0.0))
    size, angle = math.hypot(along, beside), math.atan2(beside, along)
    turn = math.asin(error / norm) if error < norm else math.pi

    def score(at: float) -> float:
        square = max((size * math.sin(at)) ** 2 + noise, least)
        return size * math.cos(at) / math.sqrt(square) if square > 0 else 0.0

    ends = (score(max(angle - turn, 0.0)), score(min(angle + turn, math.pi)))
    return max(abs(end - score(angle)) for end in ends)


def own_shift(along: float, square: float, noise: float, *, norm: float, error: float) -> float:
    """Of 1 - C + C |m - g|^2 / |g|^2 with C = |m|^2 / (|m|^2 + V / n).

    The root of the ratio is |m| times the distance of m / |m|^2 from g / |g|^2, which lies in a ball.

    Args:
        along: m.e.
        square: |m|^2.
        noise: V / n.
        norm: |g|, > 0.
        error: r.
    """
    total = square + noise
    shrunk = square / total if total > 0 else 0.0
    centre, radius = _inverted(norm, error)
    middle = math.sqrt(max(1 - 2 * along * centre + square * centre**2, 0.0))
    reach = math.sqrt(square) * radius
    now = max(1 - 2 * along / norm + square / norm**2, 0.0)
    return shrunk * max((middle + reach) ** 2 - now, now - max(middle - reach, 0.0) ** 2)


def square_shift(gap: float, *, error: float) -> float:
    """Of |m - g|^2.

    Args:
        gap: |m - g|.
        error: r.
    """
    return error * (2 * gap + error)


def length_shift(along: float, size: float, *, norm: float, error: float) -> float:
    """Of m.g / |g|^2.

    Args:
        along: m.e.
        size: |m|.
        norm: |g|, > 0.
        error: r.
    """
    centre, radius = _inverted(norm, error)
    return abs(along * centre - along / norm) + size * radius


def _inverted(norm: float, error: float) -> tuple[float, float]:
    """Where g / |g|^2 lies for all truths: the distance of the centre of that ball from 0, and its radius.

    A truth that may be zero counts as at least a thousandth of its reference.
    """
    least, most = max(norm - error, norm / 1000), norm + error
    return (1 / least + 1 / most) / 2, (1 / least - 1 / most) / 2
