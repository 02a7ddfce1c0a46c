"""Stochastic Lanczos quadrature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..blocks import need_logdet
from ..contract import LogdetSample, Operator, afford
from ..lanczos import Krylov, krylov, log_quadrature, radau_quadrature, solve
from ..probes import draw, fold, population, validate

if TYPE_CHECKING:
    from kexue_bench.lab.context import Noise

ORTHOGONALISATIONS = ("full", "none")


@dataclass(frozen=True, kw_only=True)
class SLQ:
    """Mean over m = `probes` probes v of |v|^2 sum_i tau_i^2 log theta_i, from k = `steps` Lanczos steps each.

    theta: eigenvalues of the tridiagonal matrix that starts at v / |v|; tau: first entries of its eigenvectors
    (Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974). The sum is Gauss quadrature for v^T log(A) v: never too small,
    since the even derivatives of the logarithm are negative, and exact at k = n. Its error falls as rho^(-2k), rho =
    (sqrt(kappa) + 1) / (sqrt(kappa) - 1). Eigenvalues in float64. Where the operator has a positive lower bound, the
    Gauss-Radau rule with its node there gives the other end of a bracket for no further product (Bai and Golub 1996).
    Where a gradient is wanted, its surrogate is the mean of x^T A v, x = A^-1 v from the same Krylov space: one more
    product a probe.

    Args:
        steps: number k of Lanczos steps, >= 1; at most n are taken.
        probes: number m of probe vectors a repeat, >= 1. A repeat costs min(k, n) m products.
        distribution: `rademacher`, `gaussian`, `sphere` (of radius sqrt(n)) or `orthogonal`.
        orthogonalisation: `full`, twice against the whole basis, or `none`: k n m numbers less of memory, and Ritz
            values that repeat, which delays convergence, always towards too large.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab.context import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd")
        >>> sample = SLQ().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    steps: int = 20
    probes: int = 3
    distribution: str = "rademacher"
    orthogonalisation: str = "full"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        validate(self.probes, self.distribution)
        if self.orthogonalisation not in ORTHOGONALISATIONS:
            known = ", ".join(ORTHOGONALISATIONS)
            raise ValueError(f"orthogonalisation must be one of {known}, got {self.orthogonalisation!r}")

    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        need_logdet(op, "slq")
        steps = min(self.steps, op.n)
        afford((steps + bool(op.params)) * self.probes, budget)
        if op.params and self.orthogonalisation == "none":
            raise ValueError("a gradient needs the Krylov basis, got orthogonalisation 'none'; use 'full'")
        v = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes)
        squared = v.square().sum(-1, dtype=torch.float64)
        unit = v / squared.sqrt().to(v.dtype).unsqueeze(-1)
        space = krylov(op, unit, steps, reorthogonalise=self.orthogonalisation == "full")
        gauss = fold(
            squared * log_quadrature(space.diagonal, space.off),
            repeats,
            population=population(op, self.distribution),
        )
        return replace(gauss, bracket=_bracket(op, space, squared, gauss), surrogate=_surrogate(op, space, v, repeats))


def _bracket(op: Operator, space: Krylov, squared: Tensor, gauss: LogdetSample) -> tuple[Tensor, Tensor] | None:
    """Mean of the Radau rules, and of the Gauss rules, over the probes of each repeat."""
    if op.bounds.low is None or op.bounds.low <= 0:
        return None
    lower = squared * radau_quadrature(space, op.bounds.low)
    return fold(lower, len(gauss.value)).value, gauss.value


def _surrogate(op: Operator, space: Krylov, v: Tensor, repeats: int) -> Tensor | None:
    if not op.params:
        return None
    x = solve(space, v.norm(dim=-1))
    with torch.enable_grad(), op.billing("backward"):
        terms = (x * op.mv(v.mT).mT).sum(-1)
        return terms.unflatten(-1, (repeats, -1)).mean(-1).movedim(-1, 0)
