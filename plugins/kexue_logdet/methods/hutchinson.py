"""The trace estimator of Girard and Hutchinson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import Claimed, method

from ..blocks import dots
from ..contract import LogdetSample, Operator, afford
from ..probes import draw, fold, population, validate
from ..truncation import rounded
from ..words import ERROR_BAR, NO_GRADIENT, NO_LOGDET, OVER_BUDGET

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "hutchinson",
    "mean of v^T A v over random probes, for traces only",
    references=("Hutchinson 1990, doi:10.1080/03610919008812866",),
    claims=(
        "unbiased",
        Claimed(name="finite-variance", when="'variance' in offers"),
        Claimed(name="closed-variance", when="'variance' in offers"),
        ERROR_BAR,
    ),
    cost="probes",
    needs="trace",
    unless=(NO_GRADIENT, NO_LOGDET, OVER_BUDGET),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class Hutchinson:
    """tr A = E v^T A v for every distribution with E v v^T = I, symmetric A or not: mean over m = `probes` probes.

    First published by Girard in 1989. One-probe variances are in `probes`; the error falls as 1 / sqrt(m) whatever the
    spectrum.

    Args:
        probes: number m of probe vectors per repeat, >= 1. A repeat costs m products.
        distribution: `rademacher`, `gaussian`, `sphere` or `orthogonal` (Haar; exact at m = n).

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd", target="trace")
        >>> sample = Hutchinson().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    probes: int = 60
    distribution: str = "rademacher"

    def __post_init__(self) -> None:
        validate(self.probes, self.distribution)

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; the target must be the operator's trace."""
        if op.target != "trace":
            raise ValueError(f"hutchinson estimates traces, got the target {op.target!r}; use slq or hutch++")
        afford(self.probes, budget)
        v = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes).mT
        return rounded(op, fold(dots(v, op.mv(v)), repeats, population=population(op, self.distribution)))
