"""Penalties of the singular values themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method

from ..words import NORM, WEIGHTS, WITHOUT_WEIGHTS
from .penalty import Penalty


@method(
    "polar-distance",
    "squared distance to the polar factor",
    unless=WITHOUT_WEIGHTS,
    claims=(*NORM, "right-invariant"),
    knobs=(WEIGHTS,),
    references=("Fan and Hoffman 1955, doi:10.2307/2032662",),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class PolarDistance(Penalty):
    """`|W - U V^T|_F^2 = sum_i (s_i - 1)^2`: the squared distance to the nearest matrix with orthonormal columns.

    Its gradient is 2 (W - U V^T); a step of size 1/2 on it alone lands on the polar factor.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = PolarDistance(weight=1e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return (torch.linalg.svdvals(matrix) - 1).square().sum(-1)


@method(
    "spectral-penalty",
    "half the square of the largest singular value",
    unless=WITHOUT_WEIGHTS,
    claims=("gradient-matches-value", "left-invariant", "right-invariant"),
    knobs=(WEIGHTS,),
    references=("arXiv:1705.10941",),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class SpectralPenalty(Penalty):
    """`s_1^2 / 2`, s_1 the largest singular value.

    It keeps a layer from amplifying and ignores angles: a control for what orthogonality adds.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = SpectralPenalty(weight=1e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return torch.linalg.svdvals(matrix)[..., 0].square() / 2
