"""Base of the penalties: a value of a matrix, its weight, and the sum over targets that is added to the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from kexue_bench.lab.precision import precise, raised

from ..contract import Session, Surroundings, Target, over_blocks


@dataclass(frozen=True, kw_only=True)
class Penalty:
    """A penalty of weights alone; a subclass is a frozen dataclass that defines `value`.

    Args:
        weight: factor of the sum over targets.

    Raises:
        ValueError: weight is negative.
    """

    side: ClassVar[Literal["tall", "columns"]] = "tall"
    """The matrix it is applied to: `tall`, or `columns` if it concerns neurons, as in `Target`."""
    weight: float = 1e-2

    def __init_subclass__(cls) -> None:
        """Every penalty is computed as `kexue_bench.lab.precision` says."""
        super().__init_subclass__()
        if "value" in cls.__dict__:
            cls.value = precise(cls.value)

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"weight must be >= 0, got {self.weight}")

    def value(self, matrix: Tensor) -> Tensor:
        """The penalty of W, without its weight; differentiable.

        Args:
            matrix: W, `[*stack, d, k]`, any d and k.

        Returns:
            `[*stack]`.
        """
        raise NotImplementedError

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> PenaltySession:
        """See `OrthogonalityMethod.attach`."""
        return PenaltySession(self, targets)


@dataclass(frozen=True, kw_only=True)
class NeuronPenalty(Penalty):
    """A penalty of neurons: each is a column of W, which may be wide.

    Args:
        weight: factor of the sum over targets.
    """

    side: ClassVar[Literal["tall", "columns"]] = "columns"


class PenaltySession(Session):
    """A penalty attached to its targets."""

    def __init__(self, method: Penalty, targets: Sequence[Target]) -> None:
        super().__init__(targets)
        self._method = method

    def penalty(self, taps: Mapping[str, Tensor] | None = None) -> Tensor:
        """The weighted sum over the targets, `[*stack]`; see `Session.penalty`."""
        return self.total([over_blocks(self.value(target), target) for target in self.targets], self._method.weight)

    def value(self, target: Target) -> Tensor:
        """The penalty of one target, without its weight, `[*stack, *blocks]`."""
        return self._method.value(raised(target.matrix() if self._method.side == "tall" else target.columns()))


def gram(matrix: Tensor) -> Tensor:
    """G = W^T W, `[*stack, k, k]`."""
    return matrix.mT @ matrix


def gram_error(matrix: Tensor) -> Tensor:
    """E = W^T W - I, `[*stack, k, k]`."""
    return gram(matrix) - torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)


def off_diagonal(square: Tensor) -> Tensor:
    """The matrix with its diagonal set to 0, `[*stack, k, k]`."""
    return square - torch.diag_embed(square.diagonal(dim1=-2, dim2=-1))


def cosines(matrix: Tensor) -> Tensor:
    """C, the cosines between the columns of W, `[*stack, k, k]`; 0 with a zero column."""
    return gram(unit(matrix))


def unit(matrix: Tensor) -> Tensor:
    """The columns of W divided by their lengths, `[*stack, d, k]`; a zero column stays zero, without a gradient."""
    length = torch.linalg.vector_norm(matrix, dim=-2, keepdim=True)
    # Added, not filled in, so that nothing more is kept for the backward pass.
    return matrix / (length + torch.where(length == 0, torch.inf, 0.0))


def squared_norm(matrix: Tensor) -> Tensor:
    """Squared Frobenius norm, `[*stack]`."""
    return matrix.square().sum((-2, -1))
