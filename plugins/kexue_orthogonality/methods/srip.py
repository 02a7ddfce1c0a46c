"""Spectral restricted isometry: the spectral norm of the Gram error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import Claimed, method
from kexue_bench.lab.precision import raised

from ..contract import Alone, Surroundings, Target
from ..targets import tall
from ..words import WEIGHTS, WITHOUT_WEIGHTS
from .penalty import Penalty, PenaltySession, gram_error

SOLVERS = ("exact", "two-step", "power", "released")


@method(
    "srip",
    "spectral norm of W'W - I, exact (the paper takes two power steps: solver=two-step)",
    unless=WITHOUT_WEIGHTS,
    claims=(
        Claimed(name="gradient-matches-value", when="solver != 'power'"),
        "zero-on-orthogonal",
        Claimed(name="zero-only-on-orthogonal", when="solver == 'exact'"),
        "left-invariant",
        Claimed(name="right-invariant", when="solver == 'exact'"),
    ),
    knobs=(WEIGHTS,),
    references=("arXiv:1810.09102",),
    variants=("srip", "srip[solver=two-step]"),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class Srip(Penalty):
    """SRIP, |W^T W - I|_2 = max |s_i^2 - 1|, s the singular values, of the smaller Gram matrix.

    For the larger Gram matrix it would be at least 1, and flat wherever all s^2 <= 2. With v the eigenvector of the
    eigenvalue of largest modulus, the gradient is 2 sign W v v^T.

    Args:
        weight: factor of the penalty; 1e-2 in the authors' code for CIFAR.
        solver: `exact` takes the eigenvalue itself. `two-step` is the paper's |E v| with v = E b / |E b|, b
            redrawn each time, differentiated through v, and `released` is the published code, which returns its square,
            b uniform on [0, 1]: the norm is a lower bound, about two thirds of the true one on Gaussian matrices.
            `power` takes v after steps of power iteration and gives |v^T E v|, v not differentiated.
        steps: power iterations of `power`, >= 1.

    Raises:
        ValueError: solver is unknown, or steps is below 1.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = Srip(weight=1e-2).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    solver: str = "exact"
    steps: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {self.solver!r}")
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def value(self, matrix: Tensor, start: Tensor | None = None) -> Tensor:
        """See `Penalty.value`.

        Args:
            matrix: W, `[*stack, d, k]`.
            start: vector that iterations start from, `[*stack, min(d, k)]`; ones if omitted.
        """
        error = gram_error(tall(matrix))
        if self.solver == "exact":
            return torch.linalg.eigvalsh(error).abs().amax(-1)
        v = torch.ones_like(error[..., :1]) if start is None else start.unsqueeze(-1)
        if self.solver in {"two-step", "released"}:
            norm = torch.linalg.vector_norm(error @ _unit(error @ v), dim=(-2, -1))
            return norm if self.solver == "two-step" else norm.square()
        with torch.no_grad():
            for _ in range(self.steps):
                v = _unit(error @ v)
        return _quotient(error, v)

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> PenaltySession:
        """See `OrthogonalityMethod.attach`."""
        if self.solver == "exact":
            return PenaltySession(self, targets)
        targets = tuple(targets)
        return _Started(self, targets, ctx or Alone.around(targets))


class _Started(PenaltySession):
    """Draws the starting vectors of each step."""

    def __init__(self, method: Srip, targets: Sequence[Target], ctx: Surroundings) -> None:
        super().__init__(method, targets)
        self._srip, self._noise, self._drawn = method, ctx.noise("method", stack=0), 0

    def value(self, target: Target) -> Tensor:
        stack, size = target.stack or (1,), target.shape[1] * math.prod(target.blocks)
        noise = self._noise.at(self._drawn)
        self._drawn += 1
        start = noise.uniform(*stack, size) if self._srip.solver == "released" else noise.normal(*stack, size)
        return self._srip.value(raised(target.matrix()), start.reshape(*target.stack, *target.blocks, -1))


def _unit(v: Tensor) -> Tensor:
    tiny = torch.finfo(v.dtype).tiny
    return v / torch.linalg.vector_norm(v, dim=-2, keepdim=True).clamp_min(tiny)


def _quotient(error: Tensor, v: Tensor) -> Tensor:
    """|v^T E v|, differentiated in E alone."""
    return (v.mT @ error @ v).abs().squeeze((-2, -1))
