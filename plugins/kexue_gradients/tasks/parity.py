"""Parity: every bit matters, and none of them alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_gradients.contract import Distribution
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import tabulated_problem
from kexue_gradients.tasks.states import bit_states, whole_table
from kexue_gradients.words import SMOOTH, TOY_BUDGETS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 1024  # part of the task's version: the stream of a batch depends on it
_MOST = 16


@task(
    "parity",
    "whether the number of ones is odd: no bit matters alone",
    version=2,
    offers={*SMOOTH, "bernoulli", "multilinear"},
    suites={
        "standard": ("parity",),
        "full": ("parity[bits=[3,8]]",),
        "verify": ("parity[bits=3,theta=-0.83]",),
    },
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class Parity:
    """`f(b) = (1 - prod_d (1 - 2 b_d)) / 2`, 1 if the number of ones is odd; the product is its extension.

    The worst case for estimators of low order. The gradient of each logit is `v prod_{others} (1 - 2p)`, which falls
    geometrically with the number of bits while f keeps its size. Logits change sign from bit to bit, and so do the
    entries of the gradient, so that no constant vector points along it. The product is multilinear, so straight-through
    is unbiased.

    Args:
        bits: number of bits, 1 .. 16.
        theta: logit of the first bit and every second one from there; that of the others is -theta.

    Raises:
        ValueError: bits is out of range.
    """

    bits: int = 8
    theta: float = -1.0

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= _MOST:
            raise ValueError(f"bits must be 1 .. {_MOST}, got {self.bits}; the truth sums over 2^bits states")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed logit; the truth is float64."""
        return tabulated_problem(self, method, ctx, batch=_BATCH)

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """Bits with logits `[bits]`."""
        signs = 1 - 2 * (torch.arange(self.bits, device=device) % 2)
        return Distribution(kind="bernoulli", logits=self.theta * signs.to(dtype))

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table."""

        def f(b: Tensor) -> Tensor:
            return (1 - (1 - 2 * b).prod(-1)) / 2

        states = bit_states(self.bits, distribution.logits)
        return FunctionObjective(
            f, counter=counter, event_dims=distribution.event_dims, table=lambda: whole_table(states, f)
        )
