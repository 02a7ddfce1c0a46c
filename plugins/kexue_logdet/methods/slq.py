"""Stochastic Lanczos quadrature."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import Claimed, method

from ..blocks import function, need_spd
from ..contract import LogdetSample, Operator, afford
from ..lanczos import Krylov, krylov, radau_quadrature, solve
from ..probes import INDEPENDENT, draw, fold, population, validate
from ..truncation import barred, gauss, means, remaining
from ..words import ERROR_BAR, NO_TRACE, OVER_BUDGET, SIGN

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

ORTHOGONALISATIONS = ("full", "none")
BLOCK = {"cpu": 2**18}
"""Most numbers in the vectors of a block, by device: probes are processed in blocks, so that a block stays in the
cache, and memory is bounded on every device."""
LARGEST_BLOCK = 2**24


@method(
    "slq",
    "stochastic Lanczos quadrature with full reorthogonalization",
    references=("Ubaru, Chen and Saad 2017, doi:10.1137/16M1104974",),
    claims=(
        Claimed(
            name="upper-bound",
            when="'gradient' not in offers and not ('target' in offers and task.target == 'inverse')",
        ),
        Claimed(name="lower-bound", when="('target' in offers and task.target == 'inverse')"),
        Claimed(name="exact-at(steps=n)", when="orthogonalisation == 'full' and 'gradient' not in offers"),
        ERROR_BAR,
        SIGN,
    ),
    cost="(steps + (1 if 'gradient' in offers else 0)) * probes",
    needs="spd",
    unless=(NO_TRACE, OVER_BUDGET),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class SLQ:
    """Mean over m = `probes` probes v of |v|^2 sum_i tau_i^2 log theta_i, from k = `steps` Lanczos steps each.

    theta: eigenvalues of the tridiagonal matrix that starts at v / |v|; tau: first entries of its eigenvectors. The sum
    is Gauss quadrature for v^T log(A) v: never too small, because the even derivatives of the logarithm are negative,
    and exact at k = n. Its error falls as rho^(-2k), rho = (sqrt(kappa) + 1) / (sqrt(kappa) - 1). Eigenvalues in
    float64. If the operator has a positive lower bound, the Gauss-Radau rule with its node there is the other end of a
    bracket without further products (Bai and Golub 1996). For the trace of the inverse, 1 / theta replaces log theta,
    and the sum is never too large. For a gradient, the surrogate is the mean of x^T A v, x = A^-1 v from the same
    Krylov space: one more product per probe.

    Args:
        steps: number k of Lanczos steps, >= 1; at most n are taken.
        probes: number m of probe vectors per repeat, >= 1. A repeat costs min(k, n) m products.
        distribution: `rademacher`, `gaussian`, `sphere` (of radius sqrt(n)) or `orthogonal`.
        orthogonalisation: `full`, twice against the whole basis, or `none`: k n m fewer numbers in memory, and
            repeated Ritz values, which slow convergence down and make estimates too large.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
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

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; not for a trace."""
        need_spd(op, "slq")
        if op.target == "trace" or (op.params and op.target == "inverse"):
            wanted = "a trace" if op.target == "trace" else "the gradient of the trace of an inverse"
            raise ValueError(f"slq estimates functions of the spectrum, got {wanted}; use hutchinson or exact")
        steps = min(self.steps, op.n)
        afford((steps + bool(op.params)) * self.probes, budget)
        if op.params and self.orthogonalisation == "none":
            raise ValueError("a gradient needs the Krylov basis, got orthogonalisation 'none'; use 'full'")
        parts = [self._part(op, noise, repeats, size) for size in self._blocks(op, repeats)]
        # Concatenating surrogates is an operation of their graph.
        with torch.enable_grad():
            rules, radaus, surrogates, histories = zip(*parts, strict=True)
            rule, radau, surrogate = (_together(part, repeats) for part in (rules, radaus, surrogates))
            terms = None if surrogate is None else means(surrogate, repeats)
        assert rule is not None
        sample = fold(rule, repeats, population=population(op, self.distribution))
        shares = [one.shape[-1] / rule.shape[-1] for one in rules]
        history = [
            torch.stack([share * one for share, one in zip(shares, ones, strict=True)]).sum(0)
            for ones in zip(*histories, strict=True)
        ]
        truncation, bracket = remaining(history, sample.stderr), None
        if radau is not None:
            other = means(radau, repeats)
            bracket = (other, sample.value) if op.target == "logdet" else (sample.value, other)
            truncation = torch.minimum(truncation, (sample.value - other).abs())
        sample = replace(sample, bracket=bracket, surrogate=terms)
        return barred(op, sample, truncation, remedy=f"take steps={2 * self.steps}")

    def _blocks(self, op: Operator, repeats: int) -> list[int]:
        """Probes of each block; orthogonal ones must stay together."""
        size = self.probes
        if self.distribution in INDEPENDENT:
            numbers = BLOCK.get(op.device.type, LARGEST_BLOCK)
            size = max(1, min(size, numbers // (op.n * repeats * math.prod(op.batch_shape))))
        return [min(size, self.probes - start) for start in range(0, self.probes, size)]

    def _part(
        self, op: Operator, noise: Noise, repeats: int, probes: int
    ) -> tuple[Tensor, Tensor | None, Tensor | None, list[Tensor]]:
        """Gauss rules, Radau rules and surrogates of some probes of every repeat, `[*batch_shape, repeats * m]`.

        And the means of the Gauss rules after fewer and after all steps, for the truncation.
        """
        v = draw(op, noise, self.distribution, repeats=repeats, probes=probes)
        squared = v.square().sum(-1, dtype=torch.float64)
        unit = v / squared.sqrt().to(v.dtype).unsqueeze(-1)
        space = krylov(op, unit, min(self.steps, op.n), reorthogonalise=self.orthogonalisation == "full")
        rule, history = gauss(space, squared, function(op), repeats)
        low = op.bounds.low
        radau = squared * radau_quadrature(space, low, function(op)) if low is not None and low > 0 else None
        return rule, radau, _surrogates(op, space, v), history


def _together(parts: tuple[Tensor | None, ...], repeats: int) -> Tensor | None:
    """The values of all blocks, those of one repeat side by side; None if there are none."""
    found = [part.unflatten(-1, (repeats, -1)) for part in parts if part is not None]
    return torch.cat(found, dim=-1).flatten(-2) if found else None


def _surrogates(op: Operator, space: Krylov, v: Tensor) -> Tensor | None:
    if not op.params:
        return None
    x = solve(space, v.norm(dim=-1))
    with torch.enable_grad(), op.billing("backward"):
        return (x * op.mv(v.mT).mT).sum(-1)
