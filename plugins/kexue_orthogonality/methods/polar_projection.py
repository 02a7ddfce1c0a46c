"""Projection to the nearest orthogonal matrix after some of the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kexue_bench import Claimed, Knob, method

from ..contract import Session, Surroundings, Target
from ..words import WITHOUT_WEIGHTS


@method(
    "polar-projection",
    "projection to the nearest orthogonal matrix every few steps",
    unless=WITHOUT_WEIGHTS,
    claims=(
        "converges-to-polar",
        Claimed(name="one-lipschitz", when="every == 1"),
        Claimed(name="stays-on-manifold", when="every == 1"),
    ),
    knobs=(Knob(field="every", grid=(1, 3, 10, 30)),),
    references=("Fan and Hoffman 1955, doi:10.2307/2032662",),
    order=280,
)
@dataclass(frozen=True, kw_only=True)
class PolarProjection:
    """`W <- U V^T`, its polar factor, at the start and after each `every`-th step of the loop's optimizer.

    Between projections the weights drift; the optimizer's state is not adapted. Costs one singular value decomposition
    per period.

    Args:
        every: steps per period, >= 1.

    Raises:
        ValueError: every is below 1.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = PolarProjection(every=10).attach(targets_of(model))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> for step in range(1, 11):
        ...     model(torch.ones(2, 8)).square().sum().backward()
        ...     optimizer.step()
        ...     joins.after_(step)
        >>> torch.allclose(model.weight @ model.weight.T, torch.eye(4), atol=1e-6)
        True
    """

    every: int = 10

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be >= 1, got {self.every}")

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        return _Projecting(targets, self.every)


class _Projecting(Session):
    def __init__(self, targets: Sequence[Target], every: int) -> None:
        super().__init__(targets)
        self.period = every
        self.finish_()

    def after_(self, step: int) -> None:
        if step % self.period == 0:
            self.finish_()

    def finish_(self) -> None:
        for target in self.targets:
            target.polar_()
