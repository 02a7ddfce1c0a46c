"""Classification problems with known distributions, and the exact metrics of linear classifiers on them.

A problem is a share of positives and a mixture of spherical normals for each class. The score `w x + b` of a linear
classifier is then a mixture of one-dimensional normals in each class, so its F1, average precision and calibration
error are one-dimensional integrals: no test set, no noise. Everything here is float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import special
from torch import Tensor

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

_GRID, _REACH = 2001, 9.0
_GOLDEN = (math.sqrt(5) - 1) / 2
_FLAT = 1e-7


@dataclass(frozen=True, kw_only=True)
class Part:
    """One normal component of a class.

    Args:
        weight: share of the class.
        mean: the mean; missing coordinates are 0.
        scale: standard deviation in every direction.
    """

    weight: float
    mean: tuple[float, ...]
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreLaw:
    """The distribution of the scores of R linear classifiers in each class.

    Args:
        prior: share of positives.
        weights: weights of the components of each class, negatives first: `[K0]` and `[K1]`.
        means: means of the score in each component, `[R, K0]` and `[R, K1]`.
        scales: standard deviations of the score in each component, `[R, K0]` and `[R, K1]`.
    """

    prior: float
    weights: tuple[Tensor, Tensor]
    means: tuple[Tensor, Tensor]
    scales: tuple[Tensor, Tensor]

    def above(self, threshold: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of negatives and of positives with a score at or above thresholds `[R, ...]`, both of that shape."""
        return self._mixed(threshold, torch.special.ndtr)

    def densities(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """Densities of the score in each class at `[R, ...]`."""

        def density(u: Tensor) -> Tensor:
            return torch.exp(-u.square() / 2) / math.sqrt(2 * math.pi)

        return self._mixed(at, density, density=True)

    def _mixed(self, at: Tensor, function: object, *, density: bool = False) -> tuple[Tensor, Tensor]:
        shape = (-1, *(1,) * (at.ndim - 1), 1)
        out = []
        for weights, means, scales in zip(self.weights, self.means, self.scales, strict=True):
            wide = (len(means), *shape[1:-1], means.shape[1])
            scale = scales.reshape(wide)
            u = (means.reshape(wide) - at.unsqueeze(-1)) / scale
            values = function(u)  # pyright: ignore[reportCallIssue]  # one of two functions of this class
            out.append((weights * (values / scale if density else values)).sum(-1))
        return out[0], out[1]

    def f1(self, threshold: Tensor) -> Tensor:
        """F1 if scores at or above thresholds `[R, ...]` are predicted positive."""
        negatives, positives = self.above(threshold)
        hits = self.prior * positives
        return 2 * hits / (self.prior + hits + (1 - self.prior) * negatives)

    @cached_property
    def grid(self) -> Tensor:
        """Equally spaced scores from far below to far above all components, `[R, G]`."""
        low = torch.cat([m - _REACH * s for m, s in zip(self.means, self.scales, strict=True)], dim=1).amin(1)
        high = torch.cat([m + _REACH * s for m, s in zip(self.means, self.scales, strict=True)], dim=1).amax(1)
        steps = torch.linspace(0, 1, _GRID, dtype=low.dtype, device=low.device)
        return low.unsqueeze(1) + (high - low).unsqueeze(1) * steps

    def average_precision(self) -> Tensor:
        """Area under the precision-recall curve, `[R]`, by the trapezoidal rule on the grid."""
        negatives, positives = self.above(self.grid)
        hits = self.prior * positives
        tiny = torch.finfo(hits.dtype).tiny
        precision = hits / (hits + (1 - self.prior) * negatives).clamp_min(tiny)
        return -torch.trapezoid(precision, positives, dim=1)

    def calibration_error(self, probability: Tensor) -> Tensor:
        """Mean over scores of `|P(positive | score) - probability|`, the latter given on the grid `[R, G]`: `[R]`."""
        negatives, positives = self.densities(self.grid)
        joint = self.prior * positives
        error = (joint - probability * (joint + (1 - self.prior) * negatives)).abs()
        return torch.trapezoid(error, self.grid, dim=1)


@dataclass(frozen=True, kw_only=True)
class Population:
    """Two classes of spherical normals in `dimensions` dimensions.

    Args:
        prior: share of positives, in (0, 1).
        dimensions: dimension of x.
        negatives: components of the negatives.
        positives: components of the positives.
    """

    prior: float
    dimensions: int
    negatives: tuple[Part, ...]
    positives: tuple[Part, ...]

    def draw(self, noise: Noise, replicates: int, n: int) -> tuple[Tensor, Tensor]:
        """Items `[R, n, d]` and targets `[R, n]`, from noise stacked along axis 0 (or a single stream for R = 1)."""
        x = noise.normal(replicates, n, self.dimensions)
        y = (noise.uniform(replicates, n) < self.prior).to(x.dtype)
        part = noise.uniform(replicates, n)
        out = torch.zeros_like(x)
        for parts, member in ((self.negatives, 1 - y), (self.positives, y)):
            for low, high, component in _slices(parts):
                inside = (member * (part >= low) * (part < high)).unsqueeze(2)
                out = out + inside * (self._centre(component).to(x) + component.scale * x)
        return out, y

    def law(self, weight: Tensor, bias: Tensor) -> ScoreLaw:
        """Distribution of the scores of classifiers with weights `[R, d]` and biases `[R]`."""
        weight, bias = weight.double(), bias.double()
        norm = weight.norm(dim=1, keepdim=True).clamp_min(1e-300)
        parts = (self.negatives, self.positives)
        return ScoreLaw(
            prior=self.prior,
            weights=_pair(torch.tensor([p.weight for p in group]).to(weight) for group in parts),
            means=_pair(
                torch.stack([weight @ self._centre(p).to(weight) for p in group], dim=1) + bias.unsqueeze(1)
                for group in parts
            ),
            scales=_pair(torch.cat([p.scale * norm for p in group], dim=1) for group in parts),
        )

    def _centre(self, part: Part) -> Tensor:
        mean = torch.zeros(self.dimensions, dtype=torch.float64)
        mean[: len(part.mean)] = torch.tensor(part.mean, dtype=torch.float64)
        return mean

    @cached_property
    def best_linear(self) -> tuple[float, Tensor, Tensor]:
        """The largest F1 of a linear classifier, its unit weight `[1, d]` and bias `[1]` (score >= 0 is positive).

        Every mean lies in the plane of the first two coordinates, and so does the best direction: a search over angles
        and thresholds, refined by Nelder-Mead.
        """
        # Imported here because most cases need no search and the import takes a fifth of a second.
        from scipy import optimize

        angles = torch.linspace(0, 2 * math.pi, 181, dtype=torch.float64)[:-1]

        def law(angle: Tensor) -> ScoreLaw:
            weight = torch.zeros(len(angle), self.dimensions, dtype=torch.float64)
            weight[:, 0] = angle.cos()
            if self.dimensions > 1:
                weight[:, 1] = angle.sin()
            return self.law(weight, torch.zeros(len(angle), dtype=torch.float64))

        first = law(angles)
        scores = first.f1(first.grid)
        row, column = divmod(int(scores.argmax()), scores.shape[1])
        start = [float(angles[row]), float(first.grid[row, column])]

        def loss(point: Sequence[float]) -> float:
            here = torch.tensor([[float(v) for v in point]], dtype=torch.float64)
            return -float(law(here[:, 0]).f1(here[:, 1]))

        found = optimize.minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-15})
        angle, threshold = found.x
        weight = torch.zeros(1, self.dimensions, dtype=torch.float64)
        weight[0, 0] = math.cos(angle)
        if self.dimensions > 1:
            weight[0, 1] = math.sin(angle)
        return -float(found.fun), weight, torch.tensor([-threshold], dtype=torch.float64)


def _pair(values: object) -> tuple[Tensor, Tensor]:
    first, second = values  # pyright: ignore[reportGeneralTypeIssues]  # a generator of the two classes
    return first, second


def _slices(parts: tuple[Part, ...]) -> list[tuple[float, float, Part]]:
    """Intervals of a uniform variate, one for each component; the last one extends beyond 1."""
    ends = np.cumsum([0.0, *(part.weight for part in parts)])
    ends[-1] = 2.0
    return [(float(low), float(high), part) for low, high, part in zip(ends[:-1], ends[1:], parts, strict=True)]


# -- two unit normals a distance apart --------------------------------------------------------------------------------


def posterior_logit(d: float, prior: float, x: Tensor) -> Tensor:
    """Log-odds of the posterior at x, for normals of unit variance with means 0 and d."""
    return d * x + math.log(prior / (1 - prior)) - d * d / 2


def gaussian_f1(d: float, prior: float, threshold: float) -> float:
    """F1 if x >= threshold is predicted positive."""
    hits = prior * special.ndtr(d - threshold)
    return float(2 * hits / (prior + hits + (1 - prior) * special.ndtr(-threshold)))


def best_gaussian_f1(d: float, prior: float) -> tuple[float, float]:
    """The threshold on x with the largest F1, and that F1: the fixed point `posterior(threshold) = F1 / 2`.

    For d = 0, x is uninformative: everything is predicted positive, and the threshold is -inf.
    """
    if d == 0:
        return -math.inf, 2 * prior / (1 + prior)

    def gap(t: float) -> float:
        return float(special.expit(special.logit(prior) + d * t - d * d / 2)) - gaussian_f1(d, prior, t) / 2

    t = _root(gap, -60.0 / d, d + 60.0 / d)
    return t, gaussian_f1(d, prior, t)


def searched_gaussian_f1(d: float, prior: float) -> tuple[float, float]:
    """The posterior at the threshold with the largest F1, and that F1, by a search without the fixed point."""
    if d == 0:
        return prior, 2 * prior / (1 + prior)
    grid = np.linspace(-10.0, d + 10.0, 4001)
    place = int(np.argmax([gaussian_f1(d, prior, t) for t in grid]))
    near = (grid[max(0, place - 1)], grid[min(len(grid) - 1, place + 1)])

    def slope(t: float) -> float:
        """A negative multiple of the derivative of F1; it crosses 0 from below at the maximum."""
        hits, false = prior * special.ndtr(d - t), (1 - prior) * special.ndtr(-t)
        dhits, dfalse = -prior * math.exp(-((t - d) ** 2) / 2), -(1 - prior) * math.exp(-(t**2) / 2)
        return -float(dhits * (prior + hits + false) - hits * (dhits + dfalse))

    t = _root(slope, *near)
    return float(special.expit(special.logit(prior) + d * t - d * d / 2)), gaussian_f1(d, prior, t)


def minibatch_f1(d: float, prior: float, batch: int, threshold: float) -> float:
    """Expected F1 of a batch if x >= threshold is predicted positive; 0 / 0 counts as 0.

    F1 is 2 j / (K + j) with K the number of items that are not true negatives and j the number of true positives among
    them: K is binomial given the batch size, and j is binomial given K.
    """
    hits = prior * special.ndtr(d - threshold)
    involved = hits + prior * special.ndtr(threshold - d) + (1 - prior) * special.ndtr(-threshold)
    sizes = np.arange(1, batch + 1)
    weights = _binomial(sizes, batch, involved)
    kept = weights > 1e-18
    sizes, weights = sizes[kept], weights[kept]
    j = np.arange(batch + 1)
    inner = _binomial(np.minimum(j, sizes[:, None]), sizes[:, None], hits / involved) * 2 * j / (sizes[:, None] + j)
    inner[j > sizes[:, None]] = 0
    return float((weights * inner.sum(1)).sum())


def best_minibatch_f1(d: float, prior: float, batch: int) -> tuple[float, float]:
    """The threshold with the largest expected F1 of a batch, and that expectation; -inf predicts all positive."""
    grid = np.linspace(-8.0, d + 8.0, 65)
    values = [minibatch_f1(d, prior, batch, t) for t in grid]
    place = int(np.argmax(values))
    if place in {0, len(grid) - 1}:
        return -math.inf, minibatch_f1(d, prior, batch, -math.inf)
    low, high = float(grid[place - 1]), float(grid[place + 1])
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = (minibatch_f1(d, prior, batch, t) for t in (left, right))
    while high - low > _FLAT:
        if at_left < at_right:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = minibatch_f1(d, prior, batch, right)
        else:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = minibatch_f1(d, prior, batch, left)
    return (low + high) / 2, max(at_left, at_right)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """The root of a function that is below 0 at the low end and above 0 at the high end, to the last bit."""
    while low < (middle := (low + high) / 2) < high:
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return high


def _binomial(k: np.ndarray, n: np.ndarray | int, p: float) -> np.ndarray:
    """P(k of n) at probability p, for 0 <= k <= n."""
    logs = special.gammaln(np.asarray(n) + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.exp(logs + special.xlogy(k, p) + special.xlog1py(n - k, -p))
