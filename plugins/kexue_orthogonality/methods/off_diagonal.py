"""Off-diagonal entries of the Gram matrix: the penalty of BigGAN."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kexue_bench import Claimed, method

from ..words import WEIGHTS, WITHOUT_WEIGHTS
from .penalty import NeuronPenalty, gram, off_diagonal, squared_norm

GRADIENTS = ("full", "released")


@method(
    "off-diagonal",
    "squared off-diagonal entries of the Gram matrix (BigGAN)",
    unless=WITHOUT_WEIGHTS,
    claims=(
        Claimed(name="gradient-matches-value", when="gradient == 'full'"),
        "zero-on-orthogonal",
        "left-invariant",
    ),
    knobs=(WEIGHTS,),
    references=("arXiv:1809.11096",),
    aliases=("biggan",),
    variants=("off-diagonal", "off-diagonal[gradient=released]"),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class OffDiagonal(NeuronPenalty):
    """|W^T W - diag(W^T W)|_F^2 over neurons (columns): asks for right angles and leaves the lengths alone.

    Proportional to the fourth power of the scale of W, so that on its own it shrinks W to zero. The gradient is 4 W
    (W^T W - diag). The published PyTorch code adds 2 W (W^T W - diag) instead: a weight of b there is b / 2 here, and
    `gradient=released` reproduces it. See section 3.1 of the paper.

    Args:
        weight: factor of the penalty; 1e-4 in the paper.
        gradient: `full`, or `released` for half of it, with the same value.

    Raises:
        ValueError: gradient is unknown.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = OffDiagonal(weight=1e-4).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-4
    gradient: str = "full"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gradient not in GRADIENTS:
            raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, got {self.gradient!r}")

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        value = squared_norm(off_diagonal(gram(matrix)))
        return value if self.gradient == "full" else (value + value.detach()) / 2
