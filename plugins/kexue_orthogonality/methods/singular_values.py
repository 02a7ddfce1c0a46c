"""Penalties of the singular values themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .penalty import Penalty


@dataclass(frozen=True, kw_only=True)
class PolarDistance(Penalty):
    """|W - U V^T|_F^2 = the sum of (s_i - 1)^2: the squared distance to the nearest matrix with orthonormal columns.

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

    weight: float = 1e-2

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return (torch.linalg.svdvals(matrix) - 1).square().sum(-1)


@dataclass(frozen=True, kw_only=True)
class SpectralPenalty(Penalty):
    """Half the square of the largest singular value.

    It keeps a layer from amplifying and asks for no angles: a control of what orthogonality adds.

    Source: arXiv:1705.10941.

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

    weight: float = 1e-2

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return torch.linalg.svdvals(matrix)[..., 0].square() / 2
