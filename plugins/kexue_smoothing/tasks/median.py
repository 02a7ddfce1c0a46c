"""The median of random labels against a constant prediction of their middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.moments import estimate
from kexue_bench.lab.problems import Sampling, Workload

from ..contract import Smoothing, arguments, fitting

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

LABELS, MIDDLE, UNIT = 10_000, 4999.5, 1e-4
_BATCH, ROWS = 4096, 2**20
"""Rows per batch and in total: a standard error of 0.1 %."""


@task(
    "constant-median",
    "squared error of predicting 4999.5 for the median of n labels, times 1e-4, with exact expectation",
    version=1,
    kind="record",
    offers={"sort"},
    suites={"standard": ("constant-median[n=[5,9,15]]",), "full": ("constant-median[n=[5,9,15]]",)},
    methods={"standard": ("hard",), "full": ("hard",)},
    timed=(),
    dtype="float64",
    primary="estimate",
    headline=("estimate", "memory"),
    order=250,
)
@dataclass(frozen=True, kw_only=True)
class ConstantMedian:
    """E (m - 4999.5)^2 1e-4, m the median of n labels that are uniform on 0 .. 9999.

    The task of Grover et al. 2019, arXiv:1903.08850, table 2, row "Constant (Simulated)". The method computes the
    median, on labels divided by 1e4, so a soft order can be compared with the hard one, `hard`, which is the printed
    quantity: 1e4 / (4 (n + 2)) up to the grid of the labels.

    Args:
        n: number of labels, odd.
        softness: softness of a soft method.
    """

    n: int = 5
    softness: float = 0.01

    def __post_init__(self) -> None:
        if self.n < 1 or self.n % 2 == 0:
            raise ValueError(f"n must be odd and positive, got {self.n}")

    def truth(self) -> float:
        """The exact expectation for the hard median, by its distribution over the 10,000 labels."""
        from scipy import stats

        values = torch.arange(LABELS, dtype=torch.float64)
        half = self.n // 2
        # The median is at most v if more than half of the labels are.
        below = torch.from_numpy(stats.binom.sf(half, self.n, ((values + 1) / LABELS).numpy()))
        chance = torch.diff(below, prepend=below.new_zeros(1))
        return float((chance * (values - MIDDLE).square()).sum()) * UNIT

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record the mean over random rows, with half the accuracy of the printed figures."""
        operator = fitting(method, "sort")

        def draw(noise: Noise, n: int) -> Tensor:
            median = self._median(operator, noise, n, ctx.dtype)
            return (median - MIDDLE).square() * UNIT

        truth = torch.tensor(self.truth(), dtype=torch.float64, device=ctx.device)
        problem = Sampling(draw=draw, truth=truth, batch=_BATCH)
        found = estimate(problem, ctx.noise("noise"), precision=None, budget=ROWS)
        ctx.add(found.measurements(("estimate",)))

    def workload(self, method: object, ctx: Context) -> Workload:
        """The medians of a batch of rows."""
        operator, noise = fitting(method, "sort"), ctx.noise("noise")
        return Workload(call=lambda: self._median(operator, noise.at(0), _BATCH, ctx.dtype), units=_BATCH)

    def _median(self, operator: Smoothing, noise: Noise, n: int, dtype: torch.dtype) -> Tensor:
        labels = noise.at(0).integers(LABELS, n, self.n).to(dtype) / LABELS
        keywords = arguments(operator, softness=self.softness, noise=noise.at(1))
        return operator.apply(labels, **keywords)[:, self.n // 2] * LABELS
