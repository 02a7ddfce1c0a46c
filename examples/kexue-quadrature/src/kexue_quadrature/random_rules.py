"""Rules with random nodes, whose mean is the integral."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab import Noise

    from .contract import Integrand


@method(
    "monte-carlo",
    "mean over independent uniform points",
    needs="random",
    claims=("unbiased",),
    cost="task.points",
    references=("Metropolis and Ulam, Journal of the American Statistical Association 44, 1949, 335-341",),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class MonteCarlo:
    """`1/n sum_i f(u_i)` with independent uniform u_i; its variance is `Var f(u) / n`."""

    fewest = 1

    def integrate(self, f: Integrand, points: int, noise: Noise, repeats: int) -> Tensor:
        """See `Quadrature.integrate`."""
        return f(noise.uniform(repeats, points)).mean(1)


@method(
    "stratified",
    "one uniform point in each of n equal intervals",
    needs="random",
    claims=("unbiased",),
    cost="task.points",
    references=("Cochran, Sampling Techniques, 1953, chapter 5",),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class Stratified:
    """`1/n sum_i f((i + u_i) / n)` for i = 0 .. n - 1; its variance is O(n^-3) if f is smooth."""

    fewest = 1

    def integrate(self, f: Integrand, points: int, noise: Noise, repeats: int) -> Tensor:
        """See `Quadrature.integrate`."""
        start = torch.arange(points, dtype=f.dtype, device=f.device)
        return f((start + noise.uniform(repeats, points)) / points).mean(1)
