"""An objective from a torch function."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

from kexue_bench.lab.precision import seen, working

from .contract import Enumeration

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from kexue_bench.lab.counter import Counter


class FunctionObjective:
    """f as a torch function, counted.

    Args:
        function: f, `[S, *batch, L(, K)] -> [S, *batch]`; rows are independent of each other. Values of another dtype
            than x (counts, booleans, half precision) are taken in that of x.
        counter: counts evaluations and backward passes; None if they need not be counted.
        table: gives the `Enumeration` of f; None if there are too many states.
        black_box: f has values only; asking for its gradient is an error.
        takes: dtype of what f is given, such as that of a decoder in half precision; None: as drawn, float32 or
            float64.
        event_dims: trailing dimensions of one x, `law.event_dims`: 1 for bits and normal or gamma variables, 2 for
            classes. None: seen from what f returns, which cannot tell a batch of single variables from classes.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        *,
        counter: Counter | None = None,
        table: Callable[[], Enumeration] | None = None,
        black_box: bool = False,
        takes: torch.dtype | None = None,
        event_dims: int | None = None,
    ) -> None:
        self._function = function
        self._counter = counter
        self._table = table
        self._black_box = black_box
        self._takes = takes
        self._event_dims = event_dims
        self._classes: set[int] = set()

    def _count(self, *, evaluations: int = 0, backwards: int = 0) -> None:
        if self._counter is not None:
            self._counter.add(evaluations=evaluations, backwards=backwards)

    def value(self, x: Tensor) -> Tensor:
        """The value of f at x; on the graph of its parameters if gradients are enabled.

        Raises:
            ValueError: f gave another shape than one number a row.
        """
        self._count(evaluations=len(x))
        return self._call(x)

    def _call(self, x: Tensor) -> Tensor:
        """Evaluate f at x; its values are checked, and in the dtype of x."""
        value = self._function(x if self._takes is None else x.to(self._takes))
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"f must return a tensor [S, *batch], got {type(value).__name__}")
        if value.shape != x.shape[: self._rows(x, value)]:
            raise ValueError(
                f"f must return [S, *batch], one number for each row of x {list(x.shape)}, got {list(value.shape)}; "
                "sum over the dimensions of one x, and drop those of size 1"
            )
        return value if value.dtype == x.dtype else value.to(working(x.dtype))

    def _rows(self, x: Tensor, value: Tensor) -> int:
        """The number of dimensions that value must share with x: all but those of one x."""
        if self._event_dims is not None:
            return x.dim() - self._event_dims
        # One for bits, two for classes; at least the one of the samples.
        beyond = x.dim() - value.dim()
        if beyond == 2 and value.dim() and x.dim() not in self._classes:
            if x.shape[-1] == 1:
                raise ValueError(
                    f"f of x {list(x.shape)} gave {list(value.shape)}: right for one class, and wrong for a batch of "
                    "one variable each; write FunctionObjective(f, event_dims=law.event_dims)"
                )
            if not _simplex(x):
                raise ValueError(
                    f"f must return [S, *batch], one number for each row of x {list(x.shape)}, got {list(value.shape)} "
                    "without a batch; do not sum over the rows of a batch"
                )
            self._classes.add(x.dim())
        return max(1, x.dim() - (2 if beyond >= 2 else 1))

    def value_and_gradient(self, x: Tensor, *, graph: bool = False) -> tuple[Tensor, Tensor]:
        """Value of f and its gradient with respect to x; with `graph`, both on the graph of x.

        The gradient of the sum of f holds that of every row, because rows are independent.

        Raises:
            ValueError: f is a black box, has no gradient, or gave another shape than one number a row.
        """
        if self._black_box:
            raise ValueError("this objective is a black box without a gradient; use a method that needs values only")
        self._count(evaluations=len(x), backwards=len(x))
        training = torch.is_grad_enabled()
        # In inference mode nothing has a gradient, whatever grad mode says.
        graphs = torch.inference_mode(mode=False) if torch.is_inference_mode_enabled() else nullcontext()
        with graphs, torch.enable_grad():
            x = x.clone() if x.is_inference() else x
            x = x if graph else x.detach().requires_grad_()
            value = self._call(x)
            if not value.requires_grad:
                raise ValueError(
                    "f has no gradient with respect to x; use a method that needs values only, and black_box=True"
                )
            (gradient,) = torch.autograd.grad(value.sum(), x, retain_graph=training or graph, create_graph=graph)
        return (value if training or graph else value.detach()), gradient

    def enumerate(self) -> Enumeration:
        """The table of f."""
        if self._table is None:
            raise ValueError("this objective has no table of its states; use a method that samples")
        table = self._table()
        self._count(evaluations=len(table.states))
        return table


def _simplex(x: Tensor) -> bool:
    """Whether the last dimension is one of classes, whose entries sum to 1; also where no value can be looked at."""
    return seen(((x.detach().sum(-1) - 1).abs() <= 1e-3).all(), otherwise=True)
