"""Chebyshev interpolation of the logarithm with Hutchinson's trace estimator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import method

from ..blocks import dots, need_logdet
from ..contract import LogdetSample, Operator, afford
from ..probes import draw, fold, population, validate
from ..spectrum import interval
from ..truncation import ALLOWANCE, barred
from ..words import ERROR_BAR, LOGDET_ONLY, OVER_BUDGET, SIGN

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "chebyshev",
    "Chebyshev interpolant of the logarithm on an interval around the spectrum, traces by Hutchinson probes",
    references=("Han, Malioutov and Shin 2015, arXiv:1503.06394",),
    claims=(ERROR_BAR, SIGN),
    cost="(degree + 1) // 2 * probes + (bound_steps if 'bounds' in offers and task.bounds == 'none' else 0)",
    needs="spd",
    unless=(*LOGDET_ONLY, OVER_BUDGET),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class Chebyshev:
    """log A ~ p(A), p the interpolant of degree K = `degree` at the Chebyshev nodes of the spectrum's interval.

    The bias is deterministic and falls as rho^-K, rho = (sqrt(kappa) + 1) / (sqrt(kappa) - 1); outside the interval p
    is meaningless. T_2i = 2 T_i^2 - 1 and T_2i+1 = 2 T_i T_i+1 - T_1 give K moments of a probe from ceil(K / 2)
    products.

    Args:
        degree: K, >= 1.
        probes: number m of probe vectors per repeat, >= 1. A repeat costs ceil(K / 2) m products.
        distribution: `rademacher`, `gaussian`, `sphere` or `orthogonal`.
        bound_steps: Lanczos steps, and additional products, for bounds of the spectrum if the operator has none.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd")
        >>> sample = Chebyshev().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    degree: int = 40
    probes: int = 3
    distribution: str = "rademacher"
    bound_steps: int = 20

    def __post_init__(self) -> None:
        if self.degree < 1 or self.bound_steps < 1:
            raise ValueError(f"degree and bound_steps must be >= 1, got {self.degree} and {self.bound_steps}")
        validate(self.probes, self.distribution)

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        need_logdet(op, "chebyshev")
        if op.batch_shape:
            raise ValueError(f"chebyshev takes one operator at a time, got a batch {list(op.batch_shape)}")
        known = op.bounds.low is not None and op.bounds.high is not None
        afford((self.degree + 1) // 2 * self.probes + (0 if known else min(self.bound_steps, op.n)), budget)
        low, high = (
            x.repeat_interleave(self.probes) for x in interval(op, noise, repeats=repeats, steps=self.bound_steps)
        )
        # Bounds that coincide leave no interval that maps to [-1, 1].
        middle, margin = (low + high) / 2, torch.finfo(op.dtype).eps ** 0.5
        low, high = torch.minimum(low, middle * (1 - margin)), torch.maximum(high, middle * (1 + margin))
        v = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes).mT
        moments = _moments(op, v, low, high, self.degree)
        coefficients = _coefficients(low, high, self.degree)
        sample = fold((coefficients * moments).sum(0), repeats, population=population(op, self.distribution))
        # A Chebyshev polynomial is at most 1 on its interval: a larger moment lies outside.
        if known and bool((moments.abs() > (1 + ALLOWANCE) * moments[0]).any()):
            raise ValueError(
                f"the declared bounds {op.bounds.low:g} and {op.bounds.high:g} of the eigenvalues are false: a "
                "Chebyshev polynomial exceeds 1; correct `bounds`, or leave them out"
            )
        truncation = op.n * _distance(low[:: self.probes], high[:: self.probes], coefficients[:, :: self.probes])
        return barred(op, sample, truncation, remedy=f"take degree={2 * self.degree}")


def _distance(low: Tensor, high: Tensor, coefficients: Tensor) -> Tensor:
    """Max |log - p| on each interval, `[columns]`, between the nodes of p: times n it bounds the truncation."""
    degree = len(coefficients) - 1
    angles = math.pi * torch.arange(4 * degree + 1, dtype=torch.float64, device=low.device) / (4 * degree)
    orders = torch.arange(degree + 1, dtype=torch.float64, device=low.device)
    interpolant = torch.cos(angles.unsqueeze(-1) * orders) @ coefficients
    logarithm = torch.log((low + high) / 2 + (high - low) / 2 * torch.cos(angles).unsqueeze(-1))
    return (interpolant - logarithm).abs().amax(0)


def _coefficients(low: Tensor, high: Tensor, degree: int) -> Tensor:
    """Coefficients of the interpolant of the logarithm on each interval, `[degree + 1, columns]`."""
    angles = math.pi * (torch.arange(degree + 1, dtype=torch.float64, device=low.device) + 0.5) / (degree + 1)
    values = torch.log((low + high) / 2 + (high - low) / 2 * torch.cos(angles).unsqueeze(-1))
    orders = torch.arange(degree + 1, dtype=torch.float64, device=low.device).unsqueeze(-1)
    coefficients = 2 / (degree + 1) * torch.cos(orders * angles) @ values
    coefficients[0] /= 2
    return coefficients


def _moments(op: Operator, v: Tensor, low: Tensor, high: Tensor, degree: int) -> Tensor:
    """v^T T_k v for k = 0 .. degree, T_k the Chebyshev polynomial of the operator mapped to [-1, 1]."""
    middle, half = ((high + low) / 2).to(v.dtype), ((high - low) / 2).to(v.dtype)

    def mapped(x: Tensor) -> Tensor:
        return (op.mv(x) - middle * x) / half

    previous, current = v, mapped(v)
    squared, first = dots(v, v), dots(v, current)
    moments = [squared, first]
    for i in range(1, (degree + 1) // 2 + 1):
        if 2 * i <= degree:
            moments.append(2 * dots(current, current) - squared)
        if 2 * i + 1 <= degree:
            following = 2 * mapped(current) - previous
            moments.append(2 * dots(current, following) - first)
            previous, current = current, following
    return torch.stack(moments[: degree + 1])
