"""Energies of directions on the sphere: columns as charges that repel each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import Claimed, method

from ..words import WEIGHTS, WITHOUT_WEIGHTS
from .penalty import NeuronPenalty, cosines

SPACES = ("half", "full")


@method(
    "mhe",
    "columns and their opposites repel each other on the sphere",
    unless=WITHOUT_WEIGHTS,
    claims=(
        "gradient-matches-value",
        "left-invariant",
        "scale-invariant",
        Claimed(name="stationary-on-orthogonal", when="space == 'half'"),
    ),
    knobs=(WEIGHTS,),
    references=("arXiv:1805.09298",),
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class HypersphericalEnergy(NeuronPenalty):
    """MHE, the sum over ordered pairs i != j of |u_i - u_j|^-s, u the normalized columns; of [W, -W] in half space.

    With `space=full` the optimum is not orthogonal: up to d + 1 columns repel each other into a simplex, with cosines
    of -1 / (k - 1). With `space=half` every column comes with its opposite, as in the paper's second variant, and right
    angles are optimal. Blind to lengths, infinite if two columns coincide. s = 0 stands for -log|u_i - u_j|.

    Args:
        weight: factor of the penalty.
        power: s, 0, 1 or 2 in the paper.
        space: `half` or `full`.

    Raises:
        ValueError: power is negative, or space is unknown.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = HypersphericalEnergy(weight=1e-3).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-3
    power: float = 1.0
    space: str = "half"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.power >= 0:
            raise ValueError(f"power must be >= 0, got {self.power}; 0 stands for the logarithm")
        if self.space not in SPACES:
            raise ValueError(f"space must be one of {', '.join(SPACES)}, got {self.space!r}")

    def value(self, matrix: Tensor) -> Tensor:
        """See `Penalty.value`."""
        cosine, k = cosines(matrix), matrix.shape[-1]
        if self.space == "full":
            return self._pairs(cosine)
        # Pairs within W and within -W, pairs between them, and each column with its own opposite at distance 2.
        opposites = 2 * k * self._energy(torch.full_like(cosine[..., 0, 0], 4.0))
        return 2 * (self._pairs(cosine) + self._pairs(-cosine)) + opposites

    def _pairs(self, cosine: Tensor) -> Tensor:
        """The sum over i != j, from the cosines `[*stack, k, k]`."""
        k = cosine.shape[-1]
        others = ~torch.eye(k, dtype=torch.bool, device=cosine.device)
        return self._energy(2 - 2 * cosine[..., others]).sum(-1)

    def _energy(self, squared: Tensor) -> Tensor:
        """Energy of a squared distance; rounding may make it slightly negative."""
        squared = squared.clamp_min(0)
        return -squared.log() / 2 if self.power == 0 else squared ** (-self.power / 2)
