"""Time and memory of a soft permutation matrix, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.problems import Workload

from ..contract import fitting

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context


@task(
    "sort-speed",
    "time and memory of one forward and backward pass of 20 soft permutations of n scores",
    version=1,
    kind="record",
    offers={"sort"},
    suites={"full": ("sort-speed[n=[500,2000]]",)},
    methods={
        "quick": ("softsort", "neuralsort"),
        "standard": ("softsort", "neuralsort"),
        "full": ("softsort", "neuralsort"),
    },
    primary="time",
    headline=("time", "memory"),
    order=260,
)
@dataclass(frozen=True, kw_only=True)
class SortSpeed:
    """A step of the speed test in the SoftSort repository (arXiv:2006.16038): learn scores that are in order.

    `batch` rows of n scores; the loss is minus the mean logarithm of the diagonal of the soft permutation, computed
    with its gradient. Only time and memory are measured; the softness affects neither.

    Args:
        n: scores per row.
        batch: number of rows.
        softness: softness of every method.
    """

    n: int = 2000
    batch: int = 20
    softness: float = 0.1

    def __post_init__(self) -> None:
        if self.n < 2 or self.batch < 1:
            raise ValueError(f"n must be >= 2 and batch >= 1, got {self.n} and {self.batch}")

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record the peak bytes of one step."""
        ctx.record("memory", ctx.cost(self._step(method, ctx))["memory"], unit="B", flags=("exact",))

    def workload(self, method: object, ctx: Context) -> Workload:
        """One step."""
        return Workload(call=self._step(method, ctx), unit="step")

    def _step(self, method: object, ctx: Context) -> Callable[[], Tensor]:
        """One step, which returns the gradient with respect to the scores."""
        operator = fitting(method, "sort")
        matrix = getattr(operator, "matrix", None)
        if matrix is None:
            raise ValueError(f"{type(method).__name__} has no soft permutation matrix; use e.g. softsort")
        x = ctx.noise("data").normal(self.batch, self.n).requires_grad_()

        def step() -> Tensor:
            with torch.enable_grad():
                diagonal = matrix(x, softness=self.softness).diagonal(dim1=-2, dim2=-1)
                (slope,) = torch.autograd.grad(-diagonal.clamp(min=1e-20).log().mean(), x)
            return slope

        return step
