"""A quadratic function of three bits, small enough for closed forms."""

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
_LOGITS = (0.5, -1.2, 0.0)
_QUADRATIC = ((0.7, -1.3, 0.4), (0.0, -0.5, 0.9), (0.0, 0.0, 0.3))
_LINEAR = (0.2, -0.6, 0.1)


@task(
    "qubo",
    "f = b'Qb + c'b over three interacting bits, exact gradient known",
    version=1,
    offers={*SMOOTH, "bernoulli"},
    suites={"quick": ("qubo",), "standard": ("qubo",), "full": ("qubo",)},
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class Qubo:
    """`f(b) = b^T Q b + c . b` over three bits that interact; the same formula holds off the vertices.

    E f is near zero, so a baseline has nothing to subtract: the variance (trace) is 0.49 for reinforce with one
    evaluation and 0.60 for rloo with two. The diagonal of Q makes straight-through biased, but not ReinMax.
    """

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the logits (0.5, -1.2, 0); the truth is float64."""
        return tabulated_problem(self, method, ctx, batch=_BATCH)

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """Three bits."""
        return Distribution(kind="bernoulli", logits=torch.tensor(_LOGITS, dtype=dtype, device=device))

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table of eight states."""
        quadratic, linear = (distribution.logits.new_tensor(value) for value in (_QUADRATIC, _LINEAR))

        def f(b: Tensor) -> Tensor:
            return ((b @ quadratic + linear) * b).sum(-1)

        states = bit_states(len(_LOGITS), distribution.logits)
        return FunctionObjective(
            f, counter=counter, event_dims=distribution.event_dims, table=lambda: whole_table(states, f)
        )
