"""The landing algorithm: descent that is attracted to the manifold instead of being put on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kexue_bench import method

from ..contract import Session, Surroundings, Target
from ..parametrized import Descending
from ..stiefel import defect, landing_field, safe_step
from ..words import LEARNING_RATES, WITHOUT_WEIGHTS


@method(
    "landing",
    "descent attracted to the manifold, with the safe step and without factorization",
    unless=WITHOUT_WEIGHTS,
    claims=("keeps-determinant", "stays-within-radius", "converges-to-polar"),
    knobs=(LEARNING_RATES,),
    references=("Ablin and Peyre 2022, arXiv:2102.07432", "arXiv:2303.16510"),
    order=270,
)
@dataclass(frozen=True, kw_only=True)
class Landing:
    """`W <- W - eta (psi W + lambda W (W^T W - I))`, `psi = (G W^T - W G^T) / 2`, without any factorization.

    eta is the learning rate, or less if the step could leave |W^T W - I|_F <= radius (the paper's safe step), so that a
    start inside stays inside at any rate and keeps the sign of a square W's determinant. Outside, only the second term
    acts until W is inside: it alone is the gradient of lambda/4 |W^T W - I|^2. W may be tall; rates are computed on its
    device, one for each replicate. It owns its weights and starts from their given values.

    Args:
        lr: learning rate, > 0.
        strength: lambda > 0.
        radius: of the safe region, in (0, 1).

    Raises:
        ValueError: a field is out of range.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = Landing(lr=0.1).attach(targets_of(model))
        >>> optimizers = [*joins.optimizers(), torch.optim.SGD(joins.rest(model.parameters()), lr=0.1)]
        >>> model(torch.ones(2, 8)).square().sum().backward()
        >>> _ = [optimizer.step() for optimizer in optimizers]
    """

    lr: float = 0.1
    strength: float = 1.0
    radius: float = 0.5

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if not self.strength > 0:
            raise ValueError(f"strength must be > 0, got {self.strength}")
        if not 0 < self.radius < 1:
            raise ValueError(f"radius must be in (0, 1), got {self.radius}")

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        return Descending(targets, self.step, self.lr)

    def step(self, matrix: Tensor, gradient: Tensor, state: dict[str, Any], lr: float) -> Tensor:
        """The next matrix, `[*, d, k]`."""
        defects = defect(matrix)
        distance = torch.linalg.matrix_norm(defects)
        outside = distance > self.radius
        field = landing_field(matrix, gradient.where(~outside[..., None, None], 0.0), self.strength)
        speed = torch.linalg.matrix_norm(field)
        rate = safe_step(distance.clamp_max(self.radius), speed, strength=self.strength, radius=self.radius)
        if bool(outside.any()):
            # s - eta lambda s (s^2 - 1) stays positive: no singular value may jump over 0.
            largest = torch.linalg.eigvalsh(defects)[..., -1].clamp_min(1)
            rate = rate.where(~outside, 1 / (2 * self.strength * largest))
        return matrix - rate.clamp_max(lr)[..., None, None] * field
