"""Divergences of the Gram matrix from the identity, which need full rank or favor it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method

from ..words import NORM, WEIGHTS, WITHOUT_WEIGHTS
from .penalty import Penalty, gram


@method(
    "logdet-divergence",
    "tr G - log det G - k, infinite at a loss of rank",
    unless=WITHOUT_WEIGHTS,
    claims=(*NORM, "right-invariant"),
    knobs=(WEIGHTS,),
    references=("Kulis, Sustik and Dhillon, Journal of Machine Learning Research 10, 2009",),
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class LogDetDivergence(Penalty):
    """`tr G - log det G - k`, `G = W^T W`: infinite at the loss of rank, which it therefore prevents.

    Its gradient is 2 W (I - G^-1).

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = LogDetDivergence(weight=1e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-3

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        # The determinant is that of the living columns, so that they keep a gradient; a dead one has none.
        dead = (matrix == 0).all(-2)
        logdet = torch.linalg.slogdet(gram(matrix) + torch.diag_embed(dead.to(matrix.dtype))).logabsdet
        value = matrix.square().sum((-2, -1)) - logdet - matrix.shape[-1]
        return value + torch.where(dead.any(-1), torch.inf, 0.0)


@method(
    "von-neumann",
    "tr(G log G - G + I)",
    unless=WITHOUT_WEIGHTS,
    claims=(*NORM, "right-invariant"),
    knobs=(WEIGHTS,),
    references=("Kulis, Sustik and Dhillon, Journal of Machine Learning Research 10, 2009",),
    order=190,
)
@dataclass(frozen=True, kw_only=True)
class VonNeumannDivergence(Penalty):
    """`tr(G log G - G + I)`, `G = W^T W`: finite everywhere, with an infinite slope at the loss of rank.

    Its gradient is 2 W log G.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = VonNeumannDivergence(weight=1e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-3

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        values = torch.linalg.svdvals(matrix).square()
        # The slope of the logarithm at 0 is infinite, that of the whole is 0.
        logs = values.clamp_min(torch.finfo(values.dtype).tiny)
        return (torch.xlogy(values, logs) - values + 1).sum(-1)
