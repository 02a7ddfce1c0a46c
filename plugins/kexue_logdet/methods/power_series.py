"""The truncated power series of the logarithm with Hutchinson's trace estimator."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import Claimed, Unless, method

from ..blocks import need_logdet
from ..contract import LogdetSample, Operator, afford
from ..probes import draw, fold, population, validate
from ..truncation import ALLOWANCE, barred, disproved, means
from ..words import ERROR_BAR, LOGDET_ONLY, NO_BOUND, OVER_BUDGET

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "power-series",
    "power series of log(1 + x) truncated after `degree` terms, traces by Hutchinson probes",
    references=("Behrmann et al. 2019, arXiv:1811.00995", "Boutsidis et al. 2017, arXiv:1503.00374"),
    claims=(
        Claimed(name="upper-bound", when="'spd' in offers"),
        Claimed(name="small-determinant", when="'spd' in offers"),
        ERROR_BAR,
    ),
    cost="degree * probes",
    needs="bounded",
    unless=(
        *LOGDET_ONLY,
        NO_BOUND,
        OVER_BUDGET,
        Unless(
            when="task.training >= 300 and cost > 16",
            because="{task.training} steps with {cost} products per estimate take too long; "
            "use a cheaper one, such as power-series[degree=10,probes=1]",
        ),
    ),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class PowerSeries:
    """log det(I + J) = sum_k (-1)^(k+1) tr(J^k) / k, truncated after K = `degree` terms, traces from m = `probes`
    probes.

    A residual operator is J itself (i-ResNet). An SPD operator is written A = a (I + J) with a = `op.bounds.high`, so
    that log det A = n log a + log det(I + J) (Boutsidis et al.); its estimate is then too large on average, because
    all terms have one sign. The truncation bias is at most n c^(K+1) / ((K+1) (1-c)), c = ||J||_2.

    Args:
        degree: number K of terms, >= 1.
        probes: number m of probe vectors per repeat, >= 1. A repeat costs K m products.
        distribution: `rademacher`, `gaussian` or `sphere` (of radius sqrt(n)).

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = 0.3 * torch.eye(50, dtype=torch.float64)
        >>> op = Operator.of(matrix, "residual")
        >>> sample = PowerSeries().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    degree: int = 20
    probes: int = 3
    distribution: str = "rademacher"

    def __post_init__(self) -> None:
        if self.degree < 1:
            raise ValueError(f"degree must be >= 1, got {self.degree}; without terms the estimate is 0")
        validate(self.probes, self.distribution)

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        if op.kind == "spd":
            need_logdet(op, "power-series")
        afford(self.degree * self.probes, budget)
        scale = _scale(op)
        v = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes).mT
        power, total = v, torch.zeros((), dtype=torch.float64, device=v.device)
        before = inner = power
        with torch.set_grad_enabled(bool(op.params)):
            for k in range(1, self.degree + 1):
                before = power
                power = op.mv(power) if scale is None else op.mv(power) / scale - power
                inner = (v * power).sum(-2, dtype=torch.float64)
                total = total + inner * ((-1) ** (k + 1) / k)
            values = total if scale is None else total + op.n * math.log(scale)
            surrogate = means(values, repeats) if op.params else None
        sample = fold(values.detach(), repeats, population=population(op, self.distribution))
        sample = replace(sample, surrogate=surrogate)
        truncation = self._truncation(op, v, before, power, inner)
        return barred(
            op, sample, means(truncation, repeats), remedy=f"take degree={2 * self.degree}, slq or golub-kahan-slq"
        )

    def _truncation(self, op: Operator, v: Tensor, before: Tensor, power: Tensor, inner: Tensor) -> Tensor:
        """What later terms may add for each probe: at most `size sum_{j>=1} c^j / (K + j)`, c a bound of ||J||.

        `size` is |v| |J^K v|, and for an SPD operator, whose J has one sign, |v^T J^K v|. Without a bound c is the
        growth of the last product; a series whose terms do not shrink leaves an unknown rest.
        """
        if op.kind == "residual":
            disproved(op, before, power)
        last = power.norm(dim=-2).double()
        grown = last / before.norm(dim=-2).double().clamp_min(torch.finfo(torch.float64).tiny)
        if op.kind == "spd":
            if bool((grown > 1 + ALLOWANCE).any()) and op.bounds.provenance != "estimated":
                raise ValueError(
                    f"the declared upper bound {op.bounds.high:g} of the eigenvalues is false: the series diverges; "
                    "correct `bounds`, or use slq"
                )
            size = inner.abs()
            low, high = op.bounds.low, op.bounds.high
            norm = None if low is None or high is None else 1 - low / high
        else:
            size = v.norm(dim=-2).double() * last
            norm = op.bounds.norm
        c = grown if norm is None else grown.clamp_min(norm)
        rest = size * _tail(c.clamp_max(1 - torch.finfo(c.dtype).eps), self.degree)
        return torch.where((c < 1) | (size == 0), rest, torch.inf)


def _tail(c: Tensor, degree: int) -> Tensor:
    """`sum_{j>=1} c^j / (degree + j)` for 0 <= c < 1: what the logarithm has beyond its terms, over c^degree."""
    k = torch.arange(1, degree + 1, dtype=c.dtype, device=c.device)
    whole, power = -torch.log1p(-c), c**degree
    beyond = (whole - (c.unsqueeze(-1) ** k / k).sum(-1)) / power
    # The difference is rounding where the power is small; there the geometric series is a close bound.
    return torch.where(power > 1e-4, beyond, c / ((degree + 1) * (1 - c)))


def _scale(op: Operator) -> float | None:
    """The scale by which A is divided; None for a residual operator."""
    if op.kind == "residual":
        return None
    if op.bounds.high is None:
        raise ValueError("power-series on an SPD operator needs an upper bound of its eigenvalues, got none; use slq")
    return op.bounds.high
