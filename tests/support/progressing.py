"""Moments of estimators whose mean and variance are known, exactly or simulated; and how often intervals hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from kexue_bench.analysis import stats
from kexue_bench.analysis.progress import error, own_scale, progress
from kexue_bench.analysis.stats import Floats
from kexue_bench.api import Moments
from kexue_bench.lab.intervals import BatchMeans

ENDLESS = 10**15
"""Draws so many that nothing is left to debias."""


def known(g: Sequence[float], mean: Sequence[float], variance: float) -> Moments:
    """The moments of endlessly many draws of an estimator with this mean and variance."""
    truth, m = np.asarray(g, dtype=float), np.asarray(mean, dtype=float)
    norm = float(np.linalg.norm(truth))
    along = float(m @ truth) / norm
    across = float(m @ m) - along**2
    return Moments(
        norm=norm, dimension=truth.size, freedom=1.0, draws=ENDLESS, along=(along,) * 2, across=(across,) * 2,
        spread=(variance,) * 2,
    )  # fmt: skip


def measured(means: Floats, squares: Floats, g: Sequence[float], draws: int) -> Moments:
    """The moments of units with these means `[U, D]` and mean squares `[U]`, by the formulas of the definition."""
    truth = np.asarray(g, dtype=float)
    norm = float(np.linalg.norm(truth))
    e, m = truth / norm, means.mean(0)
    units = BatchMeans(squares=squares, means=means, offset=-truth, draws=draws)
    return Moments(
        norm=norm, dimension=truth.size, freedom=float(units.freedom), draws=draws, along=tuple(means @ e),
        across=tuple(means @ (m - (m @ e) * e)), spread=tuple(squares - 2 * means @ m + m @ m),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """An estimator with known moments; `units(rng, U, k)` draws U units of k draws: their means and mean squares."""

    truth: Floats
    mean: Floats
    variance: float
    units: Callable[[np.random.Generator, int, int], tuple[Floats, Floats]]

    def moments(self, rng: np.random.Generator, units: int, draws: int) -> Moments:
        """Simulated moments of one run."""
        return measured(*self.units(rng, units, draws // units), g=tuple(self.truth), draws=draws // units)

    def progress(self, n: float) -> tuple[float, float]:
        """The score and the loss of the mean of n draws."""
        e = self.truth / np.linalg.norm(self.truth)
        a = float(self.mean @ e)
        s = a / math.sqrt(float(self.mean @ self.mean) - a**2 + self.variance / n)
        return s, 1 / (1 + s * s) if s > 0 else 1.0

    def own_scale(self, n: float) -> float:
        """The loss of the mean of n draws, shrunk by its own noise."""
        square, norm = float(self.mean @ self.mean), float(self.truth @ self.truth)
        c = square / (square + self.variance / n)
        return 1 - c * (2 * float(self.mean @ self.truth) - square) / norm

    def error(self, n: float) -> float:
        """The root mean square error of the mean of n draws."""
        gap = self.mean - self.truth
        return math.sqrt(float(gap @ gap) + self.variance / n)


def normal(truth: Sequence[float], mean: Sequence[float], deviations: Sequence[float]) -> Estimator:
    """Normal draws with independent coordinates."""
    g, m, sd = (np.asarray(x, dtype=float) for x in (truth, mean, deviations))

    def units(rng: np.random.Generator, count: int, k: int) -> tuple[Floats, Floats]:
        means = m + sd * rng.standard_normal((count, g.size)) / math.sqrt(k)
        scatter = sd**2 * rng.chisquare(k - 1, (count, g.size)) / k
        return means, (np.square(means) + scatter).sum(1)

    return Estimator(truth=g, mean=m, variance=float(np.square(sd).sum()), units=units)


def discrete(
    truth: Sequence[float] | Floats, values: Sequence[Sequence[float]] | Floats, chances: Sequence[float] | Floats
) -> Estimator:
    """Draws that take finitely many values."""
    points, p = np.asarray(values, dtype=float), np.asarray(chances, dtype=float)
    squares, mean = np.square(points).sum(1), p @ points

    def units(rng: np.random.Generator, count: int, k: int) -> tuple[Floats, Floats]:
        share = rng.multinomial(k, p, count) / k
        return share @ points, share @ squares

    return Estimator(
        truth=np.asarray(truth, dtype=float), mean=mean, variance=float(p @ squares - mean @ mean), units=units
    )  # fmt: skip


def enumerated_reinforce(logits: Sequence[float], f: Callable[[Floats], float]) -> Estimator:
    """REINFORCE over independent bits, by enumeration of the states."""
    p = 1 / (1 + np.exp(-np.asarray(logits, dtype=float)))
    states = np.array(list(product((0.0, 1.0), repeat=p.size)))
    chances = np.prod(np.where(states == 1, p, 1 - p), axis=1)
    draws = np.array([f(b) * (b - p) for b in states])
    return discrete(chances @ draws, draws, chances)


T, P = 0.45, 1 / (1 + math.exp(-0.5))
Q = P * (1 - P)
UP, DOWN = (1 - T) ** 2, T**2
TRUTH = Q * (UP - DOWN)
RLOO = discrete([TRUTH], [[(UP - DOWN) / 2], [0.0]], [2 * Q, 1 - 2 * Q])
REINFORCE = enumerated_reinforce([0.5], lambda b: float((b[0] - T) ** 2))
STRAIGHT_THROUGH = discrete(
    [Q * ((1 - T) ** 3 - T**3)], [[3 * (1 - T) ** 2 * Q], [-3 * T**2 * Q]], [P, 1 - P]
)  # fmt: skip
QUBO = enumerated_reinforce(
    [0.5, -1.2, 0.0],
    lambda b: float(b @ np.array([[0.7, -1.3, 0.4], [0, -0.5, 0.9], [0, 0, 0.3]]) @ b + np.array([0.2, -0.6, 0.1]) @ b),
)
UNIT = np.eye(10)[0]


def eventful(p: float) -> Estimator:
    """Four coordinates: an event of probability p moves the first by 1 / 2p, and three fair signs move all."""
    states = np.array(list(product((0.0, 1.0), repeat=4)))
    chances = np.where(states[:, 0] == 1, p, 1 - p) / 8
    draws = np.column_stack(
        [states[:, 0] / (2 * p) + (states[:, 1] - 0.5) / 2, states[:, 1] - 0.3, states[:, 2] - 0.3, states[:, 3] - 0.6]
    )
    return discrete(chances @ draws, draws, chances)


CASES = {
    "normal": normal([1.0], [1.0], [2.0]),
    "normal, biased": normal([1.0], [0.6], [1.0]),
    "normal, D = 10": normal(UNIT, UNIT, np.ones(10)),
    "normal, D = 10, biased": normal(UNIT, UNIT + 0.5 * np.eye(10)[1], np.full(10, 0.3)),
    "normal, D = 10, unequal": normal(UNIT, 0.7 * UNIT + 0.2 * np.eye(10)[3], 0.5 ** np.arange(10)),
    "noise around 0, D = 10": normal(UNIT, 0 * UNIT, np.ones(10)),
    "normal, D = 256": normal(np.eye(256)[0], np.eye(256)[0], np.full(256, 0.3)),
    "normal, D = 256, short": normal(np.eye(256)[0], 0.1 * np.eye(256)[0], np.full(256, 0.3)),
    "rloo, one bit": RLOO,
    "reinforce, one bit": REINFORCE,
    "straight-through, one bit": STRAIGHT_THROUGH,
    "reinforce, qubo": QUBO,
    "event seen 100 times in 2,048 draws": eventful(100 / 2048),
}


def coverage(estimator, draws, n, *, runs, seed=0):
    """Shares of simulated runs whose intervals hold s, the loss and the own-scale loss."""
    rng = np.random.default_rng([seed, draws, int(n)])
    score, loss = estimator.progress(n)
    own = estimator.own_scale(n)
    held = np.zeros(3)
    for _ in range(runs):
        moments = estimator.moments(rng, 64, draws)
        a, b = progress(moments, n), own_scale(moments, n)
        half = stats.t_quantile(0.975, 63) * a.deviation
        held += [abs(a.score - score) <= half, a.low <= loss <= a.high, b.low <= own <= b.high]
    return held / runs


def coverage_of_reference(estimator, draws, n, *, deviation, runs, carried=True, seed=0):
    """Shares of simulated runs about a new reference each, normal about the truth, whose intervals hold the losses.

    Args:
        deviation: of an entry of the reference.
        carried: False leaves its error out.
    """
    rng = np.random.default_rng([seed, draws, int(n)])
    truth, radius = estimator.truth, 1.959963984540054 * deviation * math.sqrt(estimator.truth.size)
    wanted = estimator.progress(n)[1], estimator.own_scale(n), estimator.error(n)
    held = np.zeros(3)
    for _ in range(runs):
        found = replace(estimator, truth=truth + deviation * rng.standard_normal(truth.size))
        moments = replace(found.moments(rng, 64, draws), error=radius if carried else 0.0)
        made = progress(moments, n), own_scale(moments, n), error(moments, n)
        held += [worth.low <= value <= worth.high for worth, value in zip(made, wanted, strict=True)]
    return held / runs
