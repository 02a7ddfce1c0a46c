"""Gradient descent on the Stiefel manifold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kexue_bench import method

from ..contract import Session, Surroundings, Target
from ..parametrized import Descending, Momentum
from ..stiefel import qr_retraction, tangent
from ..targets import polar
from ..words import LEARNING_RATES, ON_MANIFOLD, WITHOUT_WEIGHTS

_RETRACTIONS: dict[str, Callable[[Tensor], Tensor]] = {"qr": qr_retraction, "polar": polar}


@method(
    "riemannian-sgd",
    "gradient descent along the Stiefel manifold, with retraction by QR or the polar factor",
    unless=WITHOUT_WEIGHTS,
    claims=ON_MANIFOLD,
    knobs=(LEARNING_RATES,),
    references=("Absil, Mahony and Sepulchre 2008, doi:10.1515/9781400830244",),
    aliases=("rsgd",),
    order=260,
)
@dataclass(frozen=True, kw_only=True)
class RiemannianSGD(Momentum):
    """`W <- R(W - lr M)`, M the gradient along the manifold, with momentum transported by projection.

    The gradient is G - W (W^T G + G^T W) / 2. R is the QR factor with a positive diagonal or the polar factor; both
    keep the sign of the determinant of a square W. It owns its weights and starts at their polar factors; the loop's
    optimizer updates the rest. Sections 3.6.1 and 4.1.1 of the book.

    Args:
        lr: learning rate, > 0.
        momentum: in [0, 1).
        retraction: `qr` or `polar`.

    Raises:
        ValueError: a field is out of range.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = RiemannianSGD(lr=0.1).attach(targets_of(model))
        >>> optimizers = [*joins.optimizers(), torch.optim.SGD(joins.rest(model.parameters()), lr=0.1)]
        >>> model(torch.ones(2, 8)).square().sum().backward()
        >>> _ = [optimizer.step() for optimizer in optimizers]
        >>> torch.allclose(model.weight @ model.weight.T, torch.eye(4), atol=1e-6)
        True
    """

    retraction: str = "qr"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retraction not in _RETRACTIONS:
            raise ValueError(f"retraction must be one of {', '.join(_RETRACTIONS)}, got {self.retraction!r}")

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        session = Descending(targets, self.step, self.lr)
        for target in session.targets:
            target.polar_()
        return session

    def step(self, matrix: Tensor, gradient: Tensor, state: dict[str, Any], lr: float) -> Tensor:
        """The next matrix, `[*, d, k]`."""
        direction = tangent(matrix, gradient)
        if self.momentum:
            before = state.get("momentum", torch.zeros_like(matrix)).to(matrix.dtype)
            direction = direction + self.momentum * tangent(matrix, before)
            state["momentum"] = direction
        return _RETRACTIONS[self.retraction](matrix - lr * direction)
