"""Stochastic Lanczos quadrature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..contract import LogdetSample, Operator, afford
from ..lanczos import lanczos, log_quadrature
from ..probes import draw, fold, validate

if TYPE_CHECKING:
    from kexue_bench.lab.context import Noise


@dataclass(frozen=True, kw_only=True)
class SLQ:
    """Mean over m = `probes` probes v of |v|^2 sum_i tau_i^2 log theta_i, from k = `steps` Lanczos steps each.

    theta: eigenvalues of the tridiagonal matrix that starts at v / |v|; tau: first entries of its eigenvectors
    (Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974). The sum is Gauss quadrature for v^T log(A) v: never too small,
    since the even derivatives of the logarithm are negative, and exact at k = n. Its error falls as rho^(-2k), rho =
    (sqrt(kappa) + 1) / (sqrt(kappa) - 1). Full reorthogonalisation; eigenvalues in float64.

    Args:
        steps: number k of Lanczos steps, >= 1; at most n are taken.
        probes: number m of probe vectors a repeat, >= 1. A repeat costs min(k, n) m products.
        distribution: `rademacher`, `gaussian` or `sphere` (of radius sqrt(n)).
    """

    steps: int = 20
    probes: int = 3
    distribution: str = "rademacher"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        validate(self.probes, self.distribution)

    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        if op.kind != "spd":
            raise ValueError(f"slq needs an SPD operator, got a {op.kind} one; use power-series")
        afford(min(self.steps, op.n) * self.probes, budget)
        v = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes)
        squared = v.square().sum(-1, dtype=torch.float64)
        unit = v / squared.sqrt().to(v.dtype).unsqueeze(-1)
        return fold(squared * log_quadrature(*lanczos(op, unit, self.steps)), repeats)
