"""Soft maxima by the logarithm of a sum of exponentials."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method

from ..contract import Bound
from ..kinds import MaxOperator
from ..rows import Rows
from ..words import BOUNDED


@method(
    "logsumexp",
    "s log sum exp(x / s), an upper bound whose gradient is softmax",
    needs="max",
    claims=(*BOUNDED, "upper-bound", "monotone", "symmetric"),
    references=("Boyd and Vandenberghe, Convex Optimization, 2004, section 3.1.5",),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class LogSumExp(MaxOperator):
    """`s log sum_i exp(x_i / s)`, convex in x; its gradient sums to 1.

    Its error lies between 0 and s log(1 + (n - 1) exp(-gap / s)), at most s log n, attained at ties; s is in the unit
    of x.

    Examples:
        >>> import torch
        >>> x = torch.tensor([1.0, 2.0, 0.5])
        >>> round(LogSumExp().apply(x, softness=0.2).item(), 4)
        2.0015
    """

    def above(self, row: Rows, softness: float | Tensor) -> Tensor:
        """See `MaxOperator.above`."""
        return softness * torch.logsumexp(row.below / softness, -1)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, softness * math.log1p((n - 1) * math.exp(-gap / softness)))


@method(
    "mellowmax",
    "s log mean exp(x / s), a non-expansive lower bound",
    needs="max",
    claims=(*BOUNDED, "lower-bound", "monotone", "symmetric"),
    references=("Asadi and Littman 2017, arXiv:1612.05628",),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class Mellowmax(MaxOperator):
    """`s log mean_i exp(x_i / s)`, which is `LogSumExp` minus s log n.

    It is a non-expansion: |M(x) - M(y)| is at most the largest |x_i - y_i|. Its error lies between -s log n, if all
    other entries are far below, and 0, at ties; n does not include masked entries.

    Examples:
        >>> import torch
        >>> x = torch.tensor([1.0, 2.0, 0.5])
        >>> round(Mellowmax().apply(x, softness=0.2).item(), 4)
        1.7817
    """

    def above(self, row: Rows, softness: float | Tensor) -> Tensor:
        """See `MaxOperator.above`."""
        n = row.count().clamp(min=1)
        return softness * (torch.logsumexp(row.below / softness, -1) - n.log())

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        high = softness * (math.log1p((n - 1) * math.exp(-gap / softness)) - math.log(n))
        return Bound(-softness * math.log(n), min(high, 0.0))
