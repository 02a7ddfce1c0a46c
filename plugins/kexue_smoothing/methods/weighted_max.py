"""Soft maxima as a weighted mean of the entries, or as the optimum of a regularized choice of weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp

import torch
from scipy import special
from torch import Tensor

from kexue_bench import Claimed, method

from .. import simplex
from ..contract import Bound
from ..kinds import MaxOperator
from ..rows import Rows
from ..simplex import EntmaxWeights
from ..words import BOUNDED

_THIRDS = 60


@method(
    "weighted-max",
    "mean of the entries under sparsemax or entmax weights",
    needs="max",
    claims=(*BOUNDED, "lower-bound", "symmetric", Claimed(name="vertex-exact", when="alpha > 1")),
    references=("Martins and Astudillo 2016, arXiv:1602.02068",),
    variants=("weighted-max[alpha=[2.0,1.5]]",),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class WeightedMax(EntmaxWeights, MaxOperator):
    """sum_i p_i x_i with weights p = entmax_alpha(x / s), within the range of the entries.

    alpha 1 is the softmax-weighted (Boltzmann) mean. Its error is at least -s W((n - 1) / e), W the Lambert function,
    attained if all other entries lie s (1 + W) below: smaller than the s log n of `LogSumExp`. Sparsemax (alpha 2)
    attains -s (1 - 1/n) / 4 and is exact once the gap is s / (alpha - 1). Not monotone: at alpha 1 the gradient p_i (1
    + (x_i - value) / s) can be negative. Regularized choices (`EntmaxMax`) are monotone. For alpha other than 1 and 2
    the bound is the worst case of equal gaps, found numerically.

    Examples:
        >>> import torch
        >>> x = torch.tensor([1.0, 2.0, 0.5])
        >>> round(WeightedMax(alpha=1).apply(x, softness=0.5).item(), 4)
        1.8228
    """

    alpha: float = 2.0

    def above(self, row: Rows, softness: float | Tensor) -> Tensor:
        """See `MaxOperator.above`."""
        p = self.weights(row.below / softness)
        return (p * row.indicator(row.below)).sum(-1)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`; in the worst case all other entries lie at one distance, not below the given gap."""
        if n == 1:
            return Bound(0.0, 0.0)
        least = gap / softness
        if self.alpha == 1:
            worst = 1 + float(special.lambertw((n - 1) / exp(1)).real)
        elif self.alpha == 2:
            worst = 0.5
        else:
            worst = _worst_distance(n, self.alpha)
        return Bound(-softness * _loss(n, max(worst, least), self.alpha), 0.0)


@method(
    "entmax-max",
    "max over p of <p, x> + s H(p), whose gradient is sparsemax or entmax",
    needs="max",
    claims=(*BOUNDED, "upper-bound", "monotone", "symmetric", Claimed(name="vertex-exact", when="alpha > 1")),
    references=("Niculae and Blondel 2017, arXiv:1705.07704",),
    variants=("entmax-max[alpha=[2.0,1.5]]",),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class EntmaxMax(EntmaxWeights, MaxOperator):
    """`max_p <p, x> + s H(p)` over weights p, H the Tsallis entropy of order alpha; convex in x.

    Its gradient is the maximizer p = entmax_alpha(x / s), which is sparse for alpha > 1, so the value is exactly the
    maximum once the gap is s / (alpha - 1). At alpha 2 (sparsemax) it is max_p <p, x> - s (|p|^2 - 1) / 2. The error is
    at most s H(uniform) = s (1 - n^(1 - alpha)) / (alpha (alpha - 1)), attained at ties; at alpha 2 it is below s / 2
    for every n. At alpha 1 it is `LogSumExp`.

    Examples:
        >>> import torch
        >>> EntmaxMax().apply(torch.tensor([1.0, 2.0, 1.9]), softness=0.2).item()
        2.012500047683716
    """

    alpha: float = 2.0

    def above(self, row: Rows, softness: float | Tensor) -> Tensor:
        """See `MaxOperator.above`; by the envelope theorem the gradient is p, and H(p) for the softness.

        Both are themselves differentiable.
        """
        p = self.weights(row.below / softness)
        below = row.indicator(row.below)
        value = (p * below).sum(-1) + softness * simplex.entropy(p.detach(), self.alpha)
        step = below - below.detach()
        # Halved because the second derivative of the product counts both factors.
        result = value.detach() + (p.detach() * step + (p - p.detach()) * step / 2).sum(-1)
        if not (isinstance(softness, Tensor) and softness.requires_grad):
            return result
        # The entropy of weights of 0 is 0, with a slope that is infinite at alpha 1.
        h = simplex.entropy(torch.where(p > 0, p, 1.0), 1) if self.alpha == 1 else simplex.entropy(p, self.alpha)
        return result + (softness - softness.detach()) * (h + h.detach()) / 2

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        rest = simplex.rival_weight(n, gap / softness, self.alpha)
        p = torch.tensor([1 - rest, *[rest / (n - 1)] * (n - 1)] if n > 1 else [1.0], dtype=torch.float64)
        return Bound(0.0, softness * float(simplex.entropy(p, self.alpha)) - gap * rest if rest else 0.0)


def _loss(n: int, u: float, alpha: float) -> float:
    """The loss if n - 1 entries all lie u softnesses below the largest."""
    return u * simplex.rival_weight(n, u, alpha)


@cache
def _worst_distance(n: int, alpha: float) -> float:
    """The distance with the largest loss, by ternary search: the loss is unimodal."""
    low, high = 0.0, 1 / (alpha - 1)
    for _ in range(_THIRDS):
        first, second = (2 * low + high) / 3, (low + 2 * high) / 3
        low, high = (first, high) if _loss(n, first, alpha) < _loss(n, second, alpha) else (low, second)
    return (low + high) / 2
