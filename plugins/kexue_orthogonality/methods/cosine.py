"""Cosines between neurons, squared or signed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench import method

from ..words import WEIGHTS, WITHOUT_WEIGHTS
from .penalty import NeuronPenalty, cosines, off_diagonal, squared_norm


@method(
    "cosine",
    "squared cosines between columns",
    unless=WITHOUT_WEIGHTS,
    claims=("gradient-matches-value", "zero-on-orthogonal", "left-invariant", "scale-invariant"),
    knobs=(WEIGHTS,),
    references=("Benedetto and Fickus, Advances in Computational Mathematics 18, 2003",),
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class Cosine(NeuronPenalty):
    """The sum over i != j of `(w_i^T w_j)^2 / (|w_i| |w_j|)^2`: decorrelation, blind to lengths.

    For k <= d it is 0 exactly if all angles are right; for k > d it is at least k^2 / d - k, reached by the tight
    frames of unit vectors.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = Cosine(weight=1e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-3

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return squared_norm(off_diagonal(cosines(matrix)))


@method(
    "orthoreg",
    "penalty on positive cosines, reward for negative ones",
    unless=WITHOUT_WEIGHTS,
    claims=("gradient-matches-value", "left-invariant", "scale-invariant"),
    knobs=(WEIGHTS,),
    references=("arXiv:1611.01967",),
    order=170,
)
@dataclass(frozen=True, kw_only=True)
class OrthoReg(NeuronPenalty):
    """The sum over i != j of `log(1 + exp(sharpness (C_ij - 1)))`, C_ij the cosine of columns i and j.

    Positive cosines near 1 are penalized, negative ones rewarded, so that its optimum is a simplex and not orthogonal.

    Args:
        weight: factor of the penalty.
        sharpness: how steep it is, > 0.

    Raises:
        ValueError: weight is negative, or sharpness is not positive.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = OrthoReg(weight=1e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-3
    sharpness: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sharpness > 0:
            raise ValueError(f"sharpness must be > 0, got {self.sharpness}")

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        cosine, k = cosines(matrix), matrix.shape[-1]
        others = ~torch.eye(k, dtype=torch.bool, device=matrix.device)
        return functional.softplus(self.sharpness * (cosine[..., others] - 1)).sum(-1)
