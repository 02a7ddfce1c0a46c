"""The power series of the logarithm, cut at random and reweighted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method

from ..contract import LogdetSample, Operator, afford
from ..probes import draw, fold
from ..roulette import Columns, Roulette, added, powers, settled, validate_kind
from ..truncation import rounded
from ..words import ROULETTE_CLAIMS, ROULETTE_OVER_BUDGET

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "russian-roulette",
    "power series cut at random and reweighted, unbiased, with finite variance if rho(J)^2 < 1 - p",
    references=("arXiv:1906.02735",),
    claims=ROULETTE_CLAIMS,
    needs="residual",
    unless=ROULETTE_OVER_BUDGET,
    variants=("russian-roulette", "russian-roulette[stopping=norm,probes=1]"),
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class RussianRoulette(Roulette):
    """`log |det(I + J)| = E sum_{k<=T} (-1)^(k+1) v^T J^k v / (k P(T >= k))`, T random.

    Unbiased for every distribution of T that is unbounded and every J of spectral radius rho < 1. The variance is
    finite for the geometric distribution exactly when rho^2 < 1 - p, and infinite for the Poisson distribution, which
    is offered because it is in use: its estimates look stable and are too small in magnitude until a long series is
    drawn. `certain` does not make an infinite variance finite. If the operator has parameters the surrogate is the
    differentiated value: unbiased for their gradient, with a graph as long as the series.

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

    @torch.no_grad()
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
            surrogate = fold(total, repeats).value if op.params else None
        found = rounded(op, fold(total.detach(), repeats))
        return LogdetSample(
            value=found.value,
            stderr=found.stderr,
            surrogate=surrogate,
            products=columns.terms[columns.back].view(repeats, -1).sum(1) + paid,
        )
