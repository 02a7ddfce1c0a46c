"""Fixed points and asymptotic variances of criteria on Gaussian data, in closed form or by one root.

Data are N(0, s), s the variance, and the energy is E = theta x^2 / 2 with truth 1 / s. A step of size h takes x to
(1 - h theta) x + sd xi. An estimate solves `mean g(theta) = 0`, so n times its variance tends to Var g / (E g')^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import integrate, optimize

from kexue_bench.errors import NotOffered

_LEAST = 1e-8
"""Smallest precision searched, as a share of 1 / h."""
_GRID = 4000


class ChainLaw(NamedTuple):
    """Moments of the chain that a criterion sets against the data, at one theta.

    Args:
        second: E y^2.
        fourth: E y^4.
        common: Cov(x^2, y^2), x the datum beside the chain; 0 if the two are independent.
    """

    second: float
    fourth: float
    common: float = 0.0


def stationary(theta: float, h: float, sd: float) -> float:
    """Stationary variance sd^2 / (1 - a^2), a = 1 - h theta, of a step of size h with this noise."""
    return sd**2 / (1 - (1 - h * theta) ** 2)


def after(start: float, theta: float, h: float, sd: float, k: int) -> float:
    """Variance of a chain that started with variance `start`, after k steps: a^2k v_0 + (1 - a^2k) v."""
    kept = (1 - h * theta) ** (2 * k)
    return kept * start + (1 - kept) * stationary(theta, h, sd)


def normal_chain(second: float, covariance: float = 0.0) -> ChainLaw:
    """A normal chain with this variance and this covariance with its datum: Cov(x^2, y^2) = 2 Cov(x, y)^2."""
    return ChainLaw(second, 3 * second**2, 2 * covariance**2)


def contrast(
    law: Callable[[float], ChainLaw], variance: float, *, h: float, penalty: float = 0.0
) -> tuple[float, float]:
    """The fixed point of g = (x^2 - y^2) / 2 + penalty theta (x^4 + y^4) / 2, and n Var of its estimate.

    Args:
        law: theta -> moments of the chain.
        variance: of the data that enter the loss.
        h: step; theta is searched in (0, 1 / h), since theta and 2 / h - theta give the same chain.
        penalty: weight of mean(E(x)^2 + E(y)^2).

    Raises:
        NotOffered: no theta makes the chain as wide as the data.
    """

    def mean(theta: float) -> float:
        found = law(theta)
        return (variance - found.second) / 2 + penalty * theta * (3 * variance**2 + found.fourth) / 2

    theta = root(mean, 1 / h)
    found = law(theta)
    # For the penalty, moments of order 6 and 8 of a normal datum and of a chain taken as normal.
    own = _square_variance(variance, 3 * variance**2, penalty * theta)
    other = _square_variance(found.second, found.fourth, -penalty * theta)
    spread = own + other - found.common / 2
    delta = 1e-6 * theta
    slope = (mean(theta + delta) - mean(theta - delta)) / (2 * delta)
    return theta, spread / slope**2


def root(mean: Callable[[float], float], largest: float) -> float:
    """The smallest theta in (0, largest) at which an expected gradient turns from negative to positive.

    Raises:
        NotOffered: there is none.
    """
    grid = largest * np.geomspace(_LEAST, 1 - 1e-9, _GRID)
    values = np.array([mean(theta) for theta in grid])
    rising = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    if not len(rising):
        raise NotOffered("no fixed point: at no theta is the chain of this criterion as wide as the data")
    place = int(rising[0])
    return float(optimize.root_scalar(mean, bracket=(grid[place], grid[place + 1]), xtol=1e-15).root)


def _square_variance(second: float, fourth: float, weight: float) -> float:
    """Var(x^2 / 2 + weight x^4 / 2) from its second and fourth moments; the higher ones are those of a normal."""
    sixth, eighth = 15 * second**3, 105 * second**4
    return ((fourth - second**2) + 2 * weight * (sixth - second * fourth) + weight**2 * (eighth - fourth**2)) / 4


def replayed(start: float, theta: float, h: float, sd: float, k: int, fresh: float) -> ChainLaw:
    """A buffer of which each chain starts anew, with variance `start`, with probability `fresh` before its k steps.

    A chain of variance u goes to a^2k u + (1 - a^2k) v, so that the mean of u and of u^2 over the buffer solve two
    linear equations.
    """
    kept = (1 - h * theta) ** (2 * k)
    gained = (1 - kept) * stationary(theta, h, sd)
    second = (kept * fresh * start + gained) / (1 - kept * (1 - fresh))
    entered = fresh * start + (1 - fresh) * second
    square = (kept**2 * fresh * start**2 + 2 * kept * gained * entered + gained**2) / (1 - kept**2 * (1 - fresh))
    return ChainLaw(second, 3 * square)


def noise_contrastive(variance: float, noise: float, ratio: float) -> tuple[float, float]:
    """Noise-contrastive estimation with log Z free, noise N(0, `noise`) and `ratio` noise points a datum.

    With P = p nu q / (p + nu q), f = (1, x^2 / 2), I = int f f' P and m = int f P, n Var of (log Z, theta) is
    I^-1 - (1 + 1 / nu) I^-1 m m' I^-1 (Gutmann and Hyvarinen, JMLR 13, 2012, theorem 3).
    """
    width = 12 * math.sqrt(max(variance, noise))

    def weight(x: float) -> float:
        p = math.exp(-(x**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
        q = ratio * math.exp(-(x**2) / (2 * noise)) / math.sqrt(2 * math.pi * noise)
        return p * q / (p + q) if p + q else 0.0

    def moment(power: int) -> float:
        return 2 * integrate.quad(lambda x: (x**2 / 2) ** power * weight(x), 0, width, epsabs=1e-13, limit=200)[0]

    m = np.array([moment(0), moment(1)])
    inverse = np.linalg.inv(np.array([[m[0], m[1]], [m[1], moment(2)]]))
    covariance = inverse - (1 + 1 / ratio) * inverse @ np.outer(m, m) @ inverse
    return 1 / variance, float(covariance[1, 1])
