"""The Gram error by its absolute entries."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kexue_bench import method

from ..words import NORM, WEIGHTS, WITHOUT_WEIGHTS
from .penalty import Penalty, gram_error


@method(
    "l1-gram",
    "sum of |W'W - I|",
    unless=WITHOUT_WEIGHTS,
    claims=NORM,
    knobs=(WEIGHTS,),
    references=("arXiv:1609.07093",),
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class L1Gram(Penalty):
    """The sum over i, j of `|(W^T W - I)_ij|`: it favors sparse errors over small ones.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = L1Gram(weight=1e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-3

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return gram_error(matrix).abs().sum((-2, -1))
