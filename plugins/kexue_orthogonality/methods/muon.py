"""Muon: updates, not weights, are made orthogonal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any

import torch
from torch import Tensor

from kexue_bench import Unless, method

from ..contract import Session, Surroundings, Target
from ..parametrized import Descending, Momentum
from ..polynomials import JORDAN, Polynomial, apply, scaled
from ..words import NO_METHOD, UPDATE_RATES


@method(
    "muon",
    "an optimizer that makes its updates orthogonal, not its weights",
    unless=(
        NO_METHOD,
        Unless(when="task.loss == 'none'", because="makes updates orthogonal, and without a loss there are none"),
    ),
    knobs=(UPDATE_RATES,),
    references=("repository KellerJordan/Muon",),
    order=290,
)
@dataclass(frozen=True, kw_only=True)
class Muon(Momentum):
    """`W <- W - lr c Q`, Q five steps of the quintic 3.4445, -4.7750, 2.0315 from the momentum divided by its norm.

    An optimizer included for comparison: its *updates* have singular values near 1 (0.68 to 1.20 from inputs above
    1e-2, never 1, however many steps), its weights are not constrained. c = sqrt(max(1, out / in)). Momentum is
    Nesterov's. Half precision is computed in float32, momentum included.

    Args:
        lr: learning rate, > 0.
        momentum: in [0, 1).
        steps: quintics per step, >= 1.

    Raises:
        ValueError: a field is out of range.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Linear(8, 4)
        >>> joins = Muon(lr=0.02).attach(targets_of(model))
        >>> optimizers = [*joins.optimizers(), torch.optim.Adam(joins.rest(model.parameters()))]
        >>> model(torch.ones(2, 8)).square().sum().backward()
        >>> _ = [optimizer.step() for optimizer in optimizers]
    """

    lr: float = 0.02
    momentum: float = 0.95
    steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def polynomials(self) -> Iterator[Polynomial]:
        """The infinite sequence that is applied to singular values."""
        return repeat(JORDAN)

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`."""
        sessions = Descending(targets, self._step, self.lr)
        for optimizer in sessions.optimizers():
            for target in sessions.attached:
                inputs, outputs = target.columns().shape[-2:]
                optimizer.state[target.parameter]["factor"] = max(1.0, outputs / inputs) ** 0.5
        return sessions

    def _step(self, matrix: Tensor, gradient: Tensor, state: dict[str, Any], lr: float) -> Tensor:
        before = state.get("momentum", torch.zeros_like(matrix)).to(matrix.dtype)
        state["momentum"] = before.lerp(gradient, 1 - self.momentum)
        update = scaled(gradient.lerp(state["momentum"], self.momentum), "frobenius")
        for polynomial in islice(self.polynomials(), self.steps):
            update = apply(polynomial, update)
        return matrix - lr * state["factor"] * update
