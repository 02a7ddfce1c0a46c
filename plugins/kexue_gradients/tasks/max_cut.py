"""Max-cut as a black box: f is a count and has no gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_gradients.contract import Distribution
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import tabulated_problem
from kexue_gradients.tasks.states import bit_states, whole_table
from kexue_gradients.words import TOY_BUDGETS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 1024  # part of the task's version: the stream of a batch depends on it
_NODES = 10


@task(
    "max-cut",
    "minus the cut of the Petersen graph, ten bits, a black box",
    version=1,
    offers={"expectation", "discrete", "enumerable", "bernoulli"},
    suites={"standard": ("max-cut",), "full": ("max-cut[scale=[0.5,1.0,2.0]]",)},
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class MaxCut:
    """`f(b) = -(edges between b = 0 and b = 1)` on the Petersen graph: 10 bits, 15 edges, a largest cut of 12.

    A black box: the cut is counted at the vertices, and asking for a gradient is an error. The logit of bit d is
    `scale * cos(d)`.

    Args:
        scale: size of the logits, finite; 0 is the uniform distribution, where the gradient vanishes by symmetry.

    Raises:
        ValueError: scale is not finite.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not abs(self.scale) < float("inf"):
            raise ValueError(f"scale must be finite, got {self.scale}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed logits; the truth is float64, over 1,024 states."""
        return tabulated_problem(self, method, ctx, batch=_BATCH)

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """Ten bits."""
        places = torch.arange(_NODES, dtype=dtype, device=device)
        return Distribution(kind="bernoulli", logits=self.scale * places.cos())

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table."""
        heads, tails = torch.tensor(petersen_edges(), device=distribution.logits.device).T

        def f(b: Tensor) -> Tensor:
            return -(b[..., heads] != b[..., tails]).sum(-1).to(b.dtype)

        states = bit_states(_NODES, distribution.logits)
        return FunctionObjective(
            f, counter=counter, event_dims=distribution.event_dims, table=lambda: whole_table(states, f), black_box=True
        )


def petersen_edges() -> list[tuple[int, int]]:
    """The outer pentagon, the inner pentagram and the five spokes between them."""
    outer = [(i, (i + 1) % 5) for i in range(5)]
    inner = [(5 + i, 5 + (i + 2) % 5) for i in range(5)]
    return [*outer, *inner, *((i, i + 5) for i in range(5))]
