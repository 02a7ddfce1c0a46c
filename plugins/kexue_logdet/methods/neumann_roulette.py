"""The power series for the value and the Neumann series for the gradient, from one randomly cut chain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from ..contract import LogdetSample, Operator, afford
from ..probes import draw, fold, validate
from ..roulette import Columns, Stopping, added, powers, settled, validate_kind

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@dataclass(frozen=True, kw_only=True)
class NeumannRoulette:
    """Value as `russian-roulette`; gradient d log |det(I + J)| = E v^T dJ sum_{k<=T} (-J)^k v / P(T >= k).

    Equation (9) of arXiv:1906.02735. The chain is computed without a graph and one product at the end is
    differentiated, so that the memory of the gradient does not grow with T. The two series have different coefficients:
    the value of the surrogate is an estimate of tr(J (I + J)^-1) = -sum_k (-1)^k tr J^k and no log-determinant.
    Conditions for a finite variance are those of `russian-roulette`.

    Args:
        probability: p of the geometric law, in (0, 1): P(T >= certain + j) = (1 - p)^(j - 1), j >= 1.
        certain: number of terms that are never cut, >= 0.
        probes: number m of probe vectors a repeat, >= 1, each with a T of its own. A repeat costs the sum of its T,
            m (certain + 1 / p) products in the mean (Poisson: m (certain + rate)), and m more for a gradient.
        distribution: law of the probes, as for `power-series`.
        stopping: `geometric`; `norm`, the same with p = 1 - c, c the operator's bound of ||J||, so that the variance is
            finite; or `poisson`.
        rate: mean of T - certain under the Poisson law, > 0.
        bound_steps: power iterations k for c under `norm` where the operator brings no bound, >= 1: 2 k - 1 products a
            repeat, and p = (1 - c) / 2, for such a c is too small.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = 0.3 * torch.eye(50, dtype=torch.float64)
        >>> op = Operator.of(matrix, "residual")
        >>> sample = NeumannRoulette().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    random_cost: ClassVar[bool] = True

    probability: float = 0.1
    certain: int = 2
    probes: int = 5
    distribution: str = "rademacher"
    stopping: str = "geometric"
    rate: float = 2.0
    bound_steps: int = 4

    def __post_init__(self) -> None:
        if self.bound_steps < 1:
            raise ValueError(f"bound_steps must be >= 1, got {self.bound_steps}")
        validate(self.probes, self.distribution)
        self.law()

    def law(self) -> Stopping:
        """The law of T; under `norm` its p waits for the operator."""
        return Stopping(law=self.stopping, probability=self.probability, rate=self.rate, certain=self.certain)

    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        validate_kind(op, "neumann-roulette")
        law, paid = settled(self.law(), op, noise, repeats=repeats, probes=self.probes, steps=self.bound_steps)
        extra = paid + (self.probes if op.params else 0)
        afford(math.ceil(self.probes * law.mean) + extra, budget)
        probes = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes)
        columns = Columns.of(probes, law.draw(noise, repeats * self.probes))
        weights, total = columns.weights(law), columns.v.new_zeros(columns.v[..., 0, :].shape, dtype=torch.float64)
        solved = columns.v
        with torch.no_grad():
            for k, power in powers(op, columns.v, columns.terms):
                inner = (columns.v[..., : power.shape[-1]] * power).sum(-2, dtype=torch.float64)
                total = added(total, weights[k - 1] / k * inner)
                if op.params:
                    solved = added(solved, -weights[k - 1] * power)
        surrogate = None
        if op.params:
            with op.billing("backward"), torch.enable_grad():
                ends = (columns.v * op.mv(solved)).sum(-2, dtype=torch.float64)
            surrogate = fold(ends[..., columns.back], repeats).value
        found = fold(total[..., columns.back], repeats)
        return LogdetSample(
            value=found.value,
            stderr=found.stderr,
            surrogate=surrogate,
            products=columns.terms[columns.back].view(repeats, -1).sum(1) + extra,
        )
