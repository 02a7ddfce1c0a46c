"""Three bits that share one logit, as bits or as one choice of eight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_gradients.contract import Distribution
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import tabulated_problem
from kexue_gradients.tasks.states import bit_states, class_states, whole_table
from kexue_gradients.words import SMOOTH, TOY_BUDGETS

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 1024  # part of the task's version: the stream of a batch depends on it
_TARGETS = (0.6, 0.51, 0.48)
_POINTS = ("shared-bits[phi=[0.0,-4.0]]",)
_METHODS = ("fitting", "unordered-set[k=[2,3,4,5,6,7,8]]", "top-k-sum[k=[0,1,2,3,4,5,6,7,8]]")


@task(
    "shared-bits",
    "three bits with a common logit as one choice of eight, exact gradient known",
    version=1,
    offers={*SMOOTH, "categorical"},
    suites={"standard": _POINTS, "full": _POINTS},
    methods={"standard": _METHODS, "full": _METHODS},
    timed={"full"},
    budgets=TOY_BUDGETS,
    primary="progress-loss",
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class SharedBits:
    """`f(b) = sum_i (b_i - t_i)^2`, t = (0.6, 0.51, 0.48), for three bits with one common logit, as one choice of 8.

    The toy of Liu et al. (arXiv:1810.04777) and of Kool et al. (arXiv:2002.06043); the gradient is with respect to the
    common logit phi. The eight logits are `phi * ones(state)`, so their gradient is contracted with the number of ones.
    Between the eight vertices f is evaluated at the mean of the bits, `sum_k x_k state_k`.

    Args:
        phi: the common logit; at 0 all states are equally likely, at -4 one of them has probability 95 %.
    """

    phi: float = 0.0

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the fixed logit, `[1]`; the truth is float64."""

        def contract(gradient: Tensor) -> Tensor:
            return gradient.flatten(1) @ self._states(gradient).sum(-1, keepdim=True)

        return tabulated_problem(self, method, ctx, batch=_BATCH, contract=contract)

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """One choice of eight, `[1, 8]`."""
        ones = self._states(torch.empty(0, dtype=dtype, device=device)).sum(-1)
        return Distribution(kind="categorical", logits=(self.phi * ones).unsqueeze(0))

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table."""
        bits = self._states(distribution.logits)
        targets = distribution.logits.new_tensor(_TARGETS)

        def f(x: Tensor) -> Tensor:
            return (x.squeeze(-2) @ bits - targets).square().sum(-1)

        states = class_states(1, len(bits), distribution.logits)
        return FunctionObjective(
            f, counter=counter, event_dims=distribution.event_dims, table=lambda: whole_table(states, f)
        )

    def _states(self, like: Tensor) -> Tensor:
        return bit_states(len(_TARGETS), like)
