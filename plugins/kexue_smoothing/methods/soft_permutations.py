"""Soft orders from rows of softmax weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from kexue_bench import method

from ..contract import Bound
from ..kinds import MatrixSortOperator
from ..words import BOUNDED


@method(
    "softsort",
    "softmax over distances to each order statistic",
    needs="sort",
    claims=(*BOUNDED, "symmetric", "row-stochastic"),
    references=("Prillo and Eisenschlos 2020, arXiv:2006.16038",),
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class SoftSort(MatrixSortOperator):
    """Row i of the soft permutation: softmax over j of `-|x_(i) - x_j| / s`, x_(i) the i-th smallest (equation 4).

    Rows sum to 1, and their largest weight is in the right place for any s; columns do not sum to 1. Every soft entry
    is within s W((n - 1) / e) of its order statistic, W the Lambert function; this is attained at an end if all other
    entries are tied. Time and memory O(n^2).

    Examples:
        >>> import torch
        >>> x = torch.tensor([0.3, 1.2, -0.5, 0.9])
        >>> SoftSort().apply(x, softness=0.1)
        tensor([-0.4997,  0.3013,  0.9128,  1.1857])
    """

    def permutation(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `MatrixSortOperator.permutation`."""
        ordered = x.sort(-1).values
        return torch.softmax(-(ordered.unsqueeze(-1) - x.unsqueeze(-2)).abs() / softness, -1)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return softmax_row_bound(n, softness)


@method(
    "neuralsort",
    "softmax rows that relax the permutation matrix of a sort",
    needs="sort",
    claims=(*BOUNDED, "symmetric", "row-stochastic"),
    references=("Grover et al. 2019, arXiv:1903.08850",),
    order=170,
)
@dataclass(frozen=True, kw_only=True)
class NeuralSort(MatrixSortOperator):
    """Row i, in descending order: softmax over j of `((n + 1 - 2 i) x_j - sum_l |x_j - x_l|) / s` (equation 5).

    Rows sum to 1, and their largest weight is in the right place for any s; columns do not sum to 1. The score of x_j
    in the row of x_(i) is at least |x_(i) - x_j| below the largest, so the error has the bound of `SoftSort`. Time and
    memory O(n^2).

    Examples:
        >>> import torch
        >>> x = torch.tensor([0.3, 1.2, -0.5, 0.9])
        >>> NeuralSort().apply(x, softness=0.1, descending=True)
        tensor([ 1.1858,  0.9128,  0.3012, -0.4997])
    """

    def permutation(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `MatrixSortOperator.permutation`; centering x leaves every row unchanged and keeps the products small."""
        n = x.shape[-1]
        x = x - x.detach().mean(-1, keepdim=True)
        distances = (x.unsqueeze(-1) - x.unsqueeze(-2)).abs().sum(-1)
        places = torch.arange(1 - n, n, 2, dtype=x.dtype, device=x.device)
        scores = places.unsqueeze(-1) * x.unsqueeze(-2) - distances.unsqueeze(-2)
        return torch.softmax((scores - scores.detach().amax(-1, keepdim=True)) / softness, -1)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return softmax_row_bound(n, softness)


def softmax_row_bound(n: int, softness: float) -> Bound:
    """Bound on the mean distance under weights that decay at least as fast as exp(-distance / s)."""
    return Bound(0.0, softness * float(special.lambertw((n - 1) / math.e).real))
