"""Soft orthogonality: the squared distance of a Gram matrix from the identity."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kexue_bench import method

from ..words import NORM, WEIGHTS, WITHOUT_WEIGHTS
from .penalty import Penalty, gram_error, squared_norm


@method(
    "soft",
    "squared Frobenius norm of W'W - I",
    unless=WITHOUT_WEIGHTS,
    claims=(*NORM, "right-invariant"),
    knobs=(WEIGHTS,),
    references=("arXiv:1810.09102",),
    aliases=("so",),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class Soft(Penalty):
    """SO, `|W^T W - I|_F^2 = sum_i (s_i^2 - 1)^2`, s the singular values; its gradient is `4 W (W^T W - I)`.

    A step of size r on it alone moves each singular value by s <- s (1 + 4 r - 4 r s^2): it converges for r < 1/4, at r
    = 1/8 it is the cubic Newton-Schulz step, and its limit is the polar factor of the start. W is taken tall: for a
    wide one the gradient would be the same and the value larger by k - d.

    Args:
        weight: factor of the penalty; 1e-2 in the authors' code for CIFAR.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = Soft(weight=1e-2).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return squared_norm(gram_error(matrix))


@method(
    "double-soft",
    "soft orthogonality on both sides: twice soft, plus a constant",
    unless=WITHOUT_WEIGHTS,
    claims=("gradient-matches-value", "stationary-on-orthogonal", "left-invariant", "right-invariant"),
    knobs=(WEIGHTS,),
    references=("arXiv:1810.09102",),
    aliases=("dso",),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class DoubleSoft(Penalty):
    """DSO, `|W^T W - I|_F^2 + |W W^T - I|_F^2`.

    It is 2 SO + d - k, with exactly twice its gradient: differences between the two are differences of weight. Both
    Gram matrices are formed nevertheless, as published, so that its cost can be compared.

    Args:
        weight: factor of the penalty.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = DoubleSoft(weight=5e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        return squared_norm(gram_error(matrix)) + squared_norm(gram_error(matrix.mT))
