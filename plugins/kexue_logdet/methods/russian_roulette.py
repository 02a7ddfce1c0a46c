"""The power series of the logarithm, cut at random and reweighted."""

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
class RussianRoulette:
    """log |det(I + J)| = E sum_{k<=T} (-1)^(k+1) v^T J^k v / (k P(T >= k)), T random (arXiv:1906.02735).

    Unbiased for every stopping law with unbounded T and every J of spectral radius rho < 1. The variance is finite for
    the geometric law exactly when rho^2 < 1 - p, and infinite for the Poisson law, which is offered because it is in
    use: its estimates look calm and are too small in magnitude until a long series is drawn. `certain` scales an
    infinite variance and does not cure it. Where the operator has parameters the surrogate is the differentiated value:
    unbiased for their gradient, with a graph as long as the series.

    Args:
        probability: p of the geometric law, in (0, 1): P(T >= certain + j) = (1 - p)^(j - 1), j >= 1.
        certain: number of terms that are never cut, >= 0.
        probes: number m of probe vectors a repeat, >= 1, each with a T of its own. A repeat costs the sum of its T,
            m (certain + 1 / p) products in the mean (Poisson: m (certain + rate)).
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
        >>> sample = RussianRoulette().estimate(op, budget=2000, noise=noise, repeats=4)
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
        validate_kind(op, "russian-roulette")
        law, paid = settled(self.law(), op, noise, repeats=repeats, probes=self.probes, steps=self.bound_steps)
        afford(math.ceil(self.probes * law.mean) + paid, budget)
        probes = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes)
        columns = Columns.of(probes, law.draw(noise, repeats * self.probes))
        weights, total = columns.weights(law), columns.v.new_zeros(columns.v[..., 0, :].shape, dtype=torch.float64)
        with torch.set_grad_enabled(bool(op.params)):
            for k, power in powers(op, columns.v, columns.terms):
                inner = (columns.v[..., : power.shape[-1]] * power).sum(-2, dtype=torch.float64)
                total = added(total, weights[k - 1] / k * inner)
        total = total[..., columns.back]
        found = fold(total.detach(), repeats)
        return LogdetSample(
            value=found.value,
            stderr=found.stderr,
            surrogate=fold(total, repeats).value if op.params else None,
            products=columns.terms[columns.back].view(repeats, -1).sum(1) + paid,
        )
