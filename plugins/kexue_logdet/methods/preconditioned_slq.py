"""Stochastic Lanczos quadrature on a Nystrom-preconditioned operator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from kexue_bench import method

from ..blocks import need_logdet
from ..contract import LogdetSample, Operator, afford
from ..lanczos import krylov
from ..nystrom import precondition
from ..probes import draw, fold, population, validate
from ..truncation import concluded, gauss
from ..words import ERROR_BAR, LOGDET_ONLY, NO_BOUND, OVER_BUDGET, SIGN

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "preconditioned-slq",
    "Lanczos quadrature on a Nystrom-preconditioned operator",
    references=("Wenger et al. 2021, arXiv:2107.00243",),
    claims=("upper-bound", ERROR_BAR, SIGN),
    cost="rank + steps * probes",
    needs={"spd", "bounded"},
    unless=(*LOGDET_ONLY, NO_BOUND, OVER_BUDGET),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class PreconditionedSLQ:
    """log det A = log det P + tr log(P^-1/2 A P^-1/2), P = U L U^T + mu I from a Nystrom approximation of A - mu I.

    mu is `op.bounds.low`; U L U^T, of rank r = `rank`, comes from r products with Gaussian vectors (Frangella, Tropp
    and Udell 2021, arXiv:2110.02820). The second trace is by Lanczos quadrature; its variance is that of the logarithm
    of the preconditioned operator, which is small if the spectrum decays.

    Args:
        rank: r, >= 1; counted as set-up.
        steps: Lanczos steps k, >= 1.
        probes: number m of probe vectors per repeat, >= 1. A repeat costs r + min(k, n) m products.
        distribution: distribution of the probes: `rademacher`, `gaussian`, `sphere` or `orthogonal`.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Bounds, Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 100, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd", bounds=Bounds(low=1.0, high=4.0, provenance="exact"))
        >>> sample = PreconditionedSLQ().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    rank: int = 20
    steps: int = 20
    probes: int = 2
    distribution: str = "rademacher"

    def __post_init__(self) -> None:
        if self.rank < 1 or self.steps < 1:
            raise ValueError(f"rank and steps must be >= 1, got {self.rank} and {self.steps}")
        validate(self.probes, self.distribution)

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; needs a positive lower bound of the eigenvalues."""
        need_logdet(op, "preconditioned-slq")
        afford(self.rank + min(self.steps, op.n) * self.probes, budget)
        known = precondition(op, noise, rank=self.rank, repeats=repeats, name="preconditioned-slq")
        v = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes)
        squared = v.square().sum(-1, dtype=torch.float64)
        unit = v / squared.sqrt().to(v.dtype).unsqueeze(-1)
        rest, history = gauss(krylov(known.remainder(), unit, self.steps), squared, torch.log, repeats)
        sample = fold(rest, repeats, population=population(op, self.distribution))
        sample = replace(sample, value=sample.value + known.logdet.movedim(-1, 0))
        return concluded(op, sample, history, remedy=f"take steps={2 * self.steps} or a larger rank")
