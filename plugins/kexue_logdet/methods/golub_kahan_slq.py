"""Quadrature on the normal operator of I + J, by Golub-Kahan bidiagonalization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from kexue_bench import method

from ..contract import LogdetSample, Operator, afford
from ..golub_kahan import Bidiagonal, bidiagonalise
from ..probes import draw, fold, validate
from ..truncation import barred, earlier, means, remaining
from ..words import OVER_BUDGET

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "golub-kahan-slq",
    "Lanczos quadrature on (I + J)^T (I + J) by bidiagonalization, without a bound of the norm",
    references=("Golub and Kahan 1965, doi:10.1137/0702016", "Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974"),
    cost="(2 * (6 if steps > 6 and 'six' in offers else steps) - (0 if 'gradient' in offers else 1)) * probes",
    needs="residual",
    unless=(OVER_BUDGET,),
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class GolubKahanSLQ:
    """log |det M| = 1/2 log det(M^T M), M = I + J: mean over m probes v of |v|^2 sum_i q_i^2 log s_i.

    s: singular values of the k x k bidiagonal matrix of M on the Krylov space of M^T M from v; q: first entries of its
    right singular vectors. The sum is Gauss quadrature for v^T log(M^T M) v / 2: never too small, exact at k = n, with
    an error that falls as ||J||^(2k) at worst. M^T M is never formed, so that its condition is not squared. Holds for
    ||J|| >= 1 too, where every series diverges.

    If the operator has parameters the surrogate is sum x^T J v with x the Krylov approximation of M^-T v from the
    same pass: the bias of its gradient is due to the error of x after k steps.

    Args:
        steps: number k of steps, >= 1; at most n are taken.
        probes: number m of probe vectors per repeat, >= 1. A repeat costs (2 min(k, n) - 1) m products, m more for a
            gradient.
        distribution: distribution of the probes, as for `power-series`.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = 0.3 * torch.eye(50, dtype=torch.float64)
        >>> op = Operator.of(matrix, "residual")
        >>> sample = GolubKahanSLQ().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    steps: int = 8
    probes: int = 4
    distribution: str = "rademacher"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        validate(self.probes, self.distribution)

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        if op.kind != "residual":
            raise ValueError(f"golub-kahan-slq needs a residual operator, got an {op.kind} one; use slq")
        afford((2 * min(self.steps, op.n) - (0 if op.params else 1)) * self.probes, budget)
        v = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes)
        squared = v.square().sum(-1, dtype=torch.float64)
        found = bidiagonalise(op, v / squared.sqrt().to(v.dtype).unsqueeze(-1), self.steps)
        sample = fold(squared * found.log_quadrature(), repeats)
        steps = min(self.steps, op.n)
        fewer = earlier(steps) if steps < op.n else (steps, steps)
        history = [means(squared * found.leading(k).log_quadrature(), repeats) for k in fewer]
        truncation = remaining([*history, sample.value], sample.stderr)
        if op.params:
            sample = replace(sample, surrogate=self._surrogate(op, v, squared, found, repeats))
        return barred(op, sample, truncation, remedy=f"take steps={2 * self.steps}")

    @staticmethod
    def _surrogate(
        op: Operator, v: torch.Tensor, squared: torch.Tensor, found: Bidiagonal, repeats: int
    ) -> torch.Tensor:
        x = (found.left_solution() * squared.sqrt().unsqueeze(-1)).to(v.dtype)
        with op.billing("backward"), torch.enable_grad():
            return means((x * op.mv(v.mT).mT).sum(-1, dtype=torch.float64), repeats)
