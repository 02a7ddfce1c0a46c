"""Sessions of methods that replace a plain parameter by a map, or its optimizer by their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim import Optimizer

from kexue_bench.lab.precision import precise, raised

from .contract import Session, Surroundings, Target
from .polynomials import Polynomial, apply, scaled

Rule = Callable[[Tensor, Tensor, dict[str, Any], float], Tensor]
"""`rule(matrix, gradient, state, lr)` gives the next matrix `[*, d, k]`; what it remembers is in `state`."""


class Parametrized(Session):
    """Each weight is a map of a free matrix, computed once per step however often it is used."""

    def forward(self) -> AbstractContextManager[object]:
        """See `Joins.forward`."""
        return parametrize.cached()


class Descending(Session):
    """Each weight is updated by a rule for matrices.

    Args:
        targets: what it is attached to.
        rule: one step.
        lr: learning rate.
    """

    def __init__(self, targets: Sequence[Target], rule: Rule, lr: float) -> None:
        super().__init__(targets)
        self._optimizers = (MatrixOptimizer(self.attached, rule, lr),) if self.attached else ()

    def optimizers(self) -> Sequence[Optimizer]:
        """See `Joins.optimizers`."""
        return self._optimizers


@dataclass(frozen=True, kw_only=True)
class Momentum:
    """Fields shared by methods that update weights with a learning rate and momentum.

    Args:
        lr: learning rate, > 0.
        momentum: in [0, 1).

    Raises:
        ValueError: a field is out of range.
    """

    lr: float = 0.1
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")


class MatrixOptimizer(Optimizer):
    """An optimizer of the plain parameters behind targets, whose step is a rule for tall matrices.

    Args:
        targets: whose parameters it owns.
        rule: one step.
        lr: learning rate; schedulers may change it.
    """

    def __init__(self, targets: Sequence[Target], rule: Rule, lr: float) -> None:
        super().__init__([target.parameter for target in targets], {"lr": lr})
        self._targets, self._rule = tuple(targets), precise(rule)

    def __getstate__(self) -> dict[str, Any]:
        """All of it: torch keeps the states and groups of an optimizer alone."""
        return self.__dict__.copy()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]  # torch overloads it
        """Update every matrix that is trained and has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        lr = self.param_groups[0]["lr"]
        for target in self._targets:
            parameter = target.parameter
            if parameter.grad is not None and parameter.requires_grad:
                matrix, gradient = raised(target.matrix()), raised(target.gradient())
                target.assign_(self._rule(matrix, gradient, self.state[parameter], lr))
        return loss


class Iterated:
    """Base of the methods that apply odd polynomials in each forward pass: W = p_n(... p_1(X / |X|)).

    A subclass has the fields `steps` and `scale` and says which `polynomials`.
    """

    SCALES: ClassVar[tuple[str, ...]] = ("spectral", "frobenius", "none")
    steps: int
    scale: str

    def polynomials(self) -> Iterator[Polynomial]:
        """The infinite sequence."""
        raise NotImplementedError

    def check(self) -> None:
        """Reject invalid numbers of steps and scales.

        Raises:
            ValueError: one of them is invalid.
        """
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if self.scale not in self.SCALES:
            raise ValueError(f"scale must be one of {', '.join(self.SCALES)}, got {self.scale!r}")

    def iterates(self, matrix: Tensor) -> Iterator[Tensor]:
        """The scaled matrix, then the result of each polynomial, without end; `[*, d, k]`, d >= k."""
        matrix = scaled(matrix, self.scale)
        yield matrix
        for polynomial in self.polynomials():
            matrix = apply(polynomial, matrix)
            yield matrix

    @precise
    def orthogonalized(self, matrix: Tensor) -> Tensor:
        """The result of `steps` polynomials of a matrix, on the graph, `[*, d, k]`, d >= k."""
        return next(islice(self.iterates(matrix), self.steps, None))

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> Session:
        """See `OrthogonalityMethod.attach`; the free matrix starts at the weight."""
        session = Parametrized(targets)
        for target in session.targets:
            target.parametrize_(_Map(self.orthogonalized))
        return session


class _Map(nn.Module):
    """A function of the free matrix, whose start is the weight itself."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._function = function

    def forward(self, free: Tensor) -> Tensor:
        return self._function(free)

    def right_inverse(self, matrix: Tensor) -> Tensor:
        return matrix
