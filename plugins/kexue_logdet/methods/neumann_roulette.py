"""The power series for the value and the Neumann series for the gradient, from one randomly cut chain."""

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
    "neumann-roulette",
    "Russian roulette with the gradient by a Neumann series with one differentiated product",
    references=("arXiv:1906.02735",),
    claims=ROULETTE_CLAIMS,
    needs="residual",
    unless=ROULETTE_OVER_BUDGET,
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class NeumannRoulette(Roulette):
    """Value as `russian-roulette`; gradient d log |det(I + J)| = E v^T dJ sum_{k<=T} (-J)^k v / P(T >= k).

    Equation (9). The chain is computed without a graph and only the product at the end is differentiated, so that the
    memory of the gradient does not grow with T, at m more products per repeat. The two series have different
    coefficients: the value of the surrogate is an estimate of tr(J (I + J)^-1) = -sum_k (-1)^k tr J^k, not of
    the log-determinant. Conditions for a finite variance are those of `russian-roulette`.

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

    @torch.no_grad()
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
        found = rounded(op, fold(total[..., columns.back], repeats))
        return LogdetSample(
            value=found.value,
            stderr=found.stderr,
            surrogate=surrogate,
            products=columns.terms[columns.back].view(repeats, -1).sum(1) + extra,
        )
