"""An objective from a torch function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .contract import Enumeration

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from kexue_bench.lab.counter import Counter


class FunctionObjective:
    """f as a torch function, counted.

    Args:
        function: f, `[S, *batch, L(, K)] -> [S, *batch]`; rows are independent of each other.
        counter: counts evaluations and backward passes; None if they need not be counted.
        table: gives the `Enumeration` of f; None if there are too many states.
        black_box: f has values only; asking for its gradient is an error.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        *,
        counter: Counter | None = None,
        table: Callable[[], Enumeration] | None = None,
        black_box: bool = False,
    ) -> None:
        self._function = function
        self._counter = counter
        self._table = table
        self._black_box = black_box

    def _count(self, *, evaluations: int = 0, backwards: int = 0) -> None:
        if self._counter is not None:
            self._counter.add(evaluations=evaluations, backwards=backwards)

    def value(self, x: Tensor) -> Tensor:
        """The value of f at x; on the graph of its parameters if gradients are enabled."""
        self._count(evaluations=len(x))
        return self._function(x)

    def value_and_gradient(self, x: Tensor, *, graph: bool = False) -> tuple[Tensor, Tensor]:
        """Value of f and its gradient with respect to x; with `graph`, both on the graph of x.

        The gradient of the sum of f holds that of every row, because rows are independent.

        Raises:
            ValueError: f is a black box.
        """
        if self._black_box:
            raise ValueError("this objective is a black box without a gradient; use a method that needs values only")
        self._count(evaluations=len(x), backwards=len(x))
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            x = x if graph else x.detach().requires_grad_()
            value = self._function(x)
            (gradient,) = torch.autograd.grad(value.sum(), x, retain_graph=training or graph, create_graph=graph)
        return (value if training or graph else value.detach()), gradient

    def enumerate(self) -> Enumeration:
        """The table of f."""
        if self._table is None:
            raise ValueError("this objective has no table of its states; use a method that samples")
        table = self._table()
        self._count(evaluations=len(table.states))
        return table
