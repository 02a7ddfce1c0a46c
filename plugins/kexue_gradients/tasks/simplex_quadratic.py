"""A quadratic on the simplex of three classes, the toy problem of the Gumbel-Rao paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_gradients.contract import Distribution
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import tabulated_problem
from kexue_gradients.tasks.states import class_states, whole_table
from kexue_gradients.words import SMOOTH

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

_BATCH = 256  # part of the task's version: the stream of a batch depends on it
_TENTHS = 10
_CENTRE = 1 / 3
POINTS = tuple((i, j, _TENTHS - i - j) for i in range(1, _TENTHS - 1) for j in range(1, _TENTHS - i))
"""The 36 interior points of the simplex whose probabilities are multiples of 0.1, in tenths."""
_EVERY_POINT = (
    "simplex-quadratic[point=[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19"
    ",20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35]]"
)
_METHODS = (
    "exact",
    "st-gumbel-softmax[temperature=[0.1,0.5,1.0]]",
    "gumbel-rao[temperature=[0.1,0.5,1.0],draws=1000]",
    "reinmax",
)


@task(
    "simplex-quadratic",
    "a quadratic of one choice of three that depends on its probabilities, as published for Gumbel-Rao",
    version=1,
    offers={*SMOOTH, "categorical"},
    suites={"standard": ("simplex-quadratic[point=[0,12,17]]",), "full": (_EVERY_POINT,)},
    methods={"standard": _METHODS, "full": _METHODS},
    timed={"full"},
    budgets={"quick": 16_384, "standard": 65_536, "full": 262_144},
    primary="progress-loss",
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class SimplexQuadratic:
    """`f(x) = (x - c)^T A (x - c)` for one choice of three, c = (1/3, 1/3, 1/3) (arXiv:2010.04838, figure 1).

    A depends on the probabilities p of the point: `A_ij = a_ij exp(-2 |i - j|)` with
    `a_ii = (p_i - c)^2 / (p_i - 2 p_i c + c^2)` and `a_ij = (p_i - c)(p_j - c) / (c^2 - p_i c - c p_j)`. The same
    formula holds off the vertices.

    Args:
        point: number of the point, 0 .. 35: the points whose probabilities are multiples of 0.1, in lexicographic
            order, from (0.1, 0.1, 0.8) to (0.8, 0.1, 0.1).

    Raises:
        ValueError: there is no such point.
    """

    point: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.point < len(POINTS):
            raise ValueError(f"point must be 0 .. {len(POINTS) - 1}, got {self.point}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the point; the truth is float64."""
        return tabulated_problem(self, method, ctx, batch=_BATCH)

    def distribution(self, dtype: torch.dtype, device: torch.device) -> Distribution:
        """One choice with log-probabilities as logits, `[1, 3]`."""
        p = torch.tensor([POINTS[self.point]], dtype=torch.float64, device=device) / _TENTHS
        return Distribution(kind="categorical", logits=p.log().to(dtype))

    def objective(self, distribution: Distribution, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table."""
        matrix = self._matrix(distribution.mean[0])

        def f(x: Tensor) -> Tensor:
            gap = x.squeeze(-2) - _CENTRE
            return ((gap @ matrix) * gap).sum(-1)

        states = class_states(1, 3, distribution.logits)
        return FunctionObjective(
            f, counter=counter, event_dims=distribution.event_dims, table=lambda: whole_table(states, f)
        )

    def _matrix(self, p: Tensor) -> Tensor:
        c, i = _CENTRE, torch.arange(3, device=p.device)
        gap, pair = p - c, p.unsqueeze(1) + p
        off = gap.unsqueeze(1) * gap / (c**2 - c * pair)
        diagonal = gap.square() / (p - 2 * p * c + c**2)
        shares = torch.where(i == i.unsqueeze(1), torch.diag(diagonal), off)
        return shares * torch.exp(-2.0 * (i - i.unsqueeze(1)).abs().to(p.dtype))
