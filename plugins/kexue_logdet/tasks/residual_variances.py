"""Exact variances of the estimators for residual operators, from the matrices themselves.

A matrix is given as its *symbol* `[W, c, c]`: its complex blocks in a Fourier basis of W frequencies; a dense J
`[n, n]` is the symbol of one frequency. n = W c.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..methods.exact import Exact
from ..methods.neumann_roulette import NeumannRoulette
from ..methods.power_series import PowerSeries
from ..methods.russian_roulette import RussianRoulette
from ..roulette import Stopping
from ..variances import mean_variance, probe_variance
from .sampling import sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

    from ..contract import Operator

BATCH, SMALL = 32, 256
"""Draws in a batch for operators so small that a product costs less than its call."""
_NEGLIGIBLE = 1e-18
_MOST_TERMS = 4096


def residual_sampling(
    op: Operator, truth: float, method: object, ctx: Context, *, budget: int, symbol: Callable[[], Tensor]
) -> Sampling:
    """A sampling problem whose exact variance is known for the methods of this family, and recorded.

    Args:
        op: the operator.
        truth: its log-determinant.
        method: a `LogdetMethod`.
        ctx: context of the case.
        budget: products that a repeat may spend; 0 means n.
        symbol: returns the symbol of J.
    """
    problem = sampling(
        op,
        truth,
        method,
        ctx,
        budget=budget,
        exact_variance=lambda: exact_variance(method, symbol(), norm=op.bounds.norm),
    )
    recorded = problem.after

    def after(ctx: Context) -> None:
        if recorded is not None:
            recorded(ctx)
        exact = exact_variance(method, symbol(), norm=op.bounds.norm)
        if exact is not None:
            finite = math.isfinite(exact)
            flags = ("exact",) if finite else ("infinite-variance",)
            ctx.record("exact-variance", exact if finite else math.nan, unit="nats^2", flags=flags)
            # A value that does not exist is not a table cell; the radius, which decides, carries the remark.
            if isinstance(method, RussianRoulette | NeumannRoulette):
                ctx.record("spectral-radius", _radius(symbol()), flags=("exact",) if finite else ("infinite-variance",))

    batch = BATCH if op.n <= SMALL and not ctx.deterministic else problem.batch
    return replace(problem, after=after, batch=batch)


def exact_variance(method: object, symbol: Tensor, *, norm: float | None = None) -> float | None:
    """The variance of one repeat, `inf` if it does not exist; None for a method without a closed form.

    Args:
        method: any method.
        symbol: symbol of J.
        norm: the bound of ||J|| for a roulette that stops by the norm; without one it has no closed form.
    """
    symbol = symbol if symbol.ndim == 3 else symbol.unsqueeze(0)
    if isinstance(method, Exact):
        return 0.0
    if isinstance(method, PowerSeries):
        terms = _terms(symbol, method.degree)
        return mean_variance(terms.sum(0), method.distribution, method.probes)
    if isinstance(method, RussianRoulette | NeumannRoulette):
        law = method.law()
        if law.law == "norm":
            if norm is None:
                return None
            law = law.at(norm)
        variance = roulette_variance(symbol, law, method.distribution)
        return None if variance is None else variance / method.probes
    return None


def roulette_variance(symbol: Tensor, law: Stopping, distribution: str) -> float | None:
    """Variance of one probe with one random cut, `inf` if it does not exist.

    With R_k = sum_{l>=k} (-1)^(l+1) J^l / l and p_0 = 1 it is Var(v^T R_1 v) + sum_{k>=2} (1 / p_k - 1 / p_(k-1))
    E (v^T R_k v)^2. None if rho^2 is so close to 1 - p that the sum has too many terms, and for a nilpotent J under
    the Poisson distribution.
    """
    if not _nilpotent(symbol) and not law.finite(_radius(symbol)):
        return math.inf
    parts = roulette_parts(symbol, law, distribution) if law.law == "geometric" else None
    return None if parts is None else sum(parts)


def roulette_parts(symbol: Tensor, law: Stopping, distribution: str) -> tuple[float, float, float] | None:
    """The three parts of a finite variance for a geometric cut: of the probe, of the cut, and of both together."""
    p = float(law.probability)
    kept = 1 - p
    ratio = _radius(symbol) ** 2 / kept
    count = symbol.shape[-1] + law.certain
    if 0 < ratio < 1:
        count += law.certain + math.ceil(math.log(_NEGLIGIBLE) / math.log(ratio))
    if count > _MOST_TERMS:
        return None
    # R_k over sqrt(p_k), so that neither the vanishing tail nor its growing weight under- or overflows.
    root = math.sqrt(kept)
    scaled = _terms(symbol / root, count) * root**law.certain * root
    scaled[: law.certain] = _terms(symbol, count)[: law.certain]
    tails = scaled.clone()
    for k in range(count - 2, -1, -1):
        tails[k] += tails[k + 1] * (root if k >= law.certain else 1.0)
    spread, square = probe_variance(tails, distribution), _trace(tails).square()
    cut = slice(law.certain + 1, None)
    return float(spread[0]), p * float(square[cut].sum()), p * float(spread[cut].sum())


def partial_exact_trace_variance(symbol: Tensor, law: Stopping, drawn: int) -> float:
    """Growth of the variance with exact traces: sum of (1 / p_k - 1 / p_(k-1)) (tr R_k)^2 over the first random terms.

    Args:
        symbol: symbol of J, its spectral radius below 1.
        law: distribution of the cut.
        drawn: number of random terms in the sum; small enough that their p_k do not underflow.
    """
    symbol = symbol if symbol.ndim == 3 else symbol.unsqueeze(0)
    terms = _terms(symbol, _MOST_TERMS)
    tails = terms.flip(0).cumsum(0).flip(0)
    inverse = 1 / law.survival(law.certain + drawn)
    return float((inverse.diff() * _trace(tails[1 : len(inverse)]).square()).sum())


def _terms(symbol: Tensor, count: int) -> Tensor:
    """(-1)^(k+1) J^k / k for k = 1 .. count, `[count, W, c, c]`."""
    power, terms = symbol, []
    for k in range(1, count + 1):
        terms.append(power * ((-1) ** (k + 1) / k))
        power = power @ symbol
    return torch.stack(terms)


def _trace(b: Tensor) -> Tensor:
    return b.diagonal(dim1=-2, dim2=-1).sum((-2, -1)).real


def _radius(symbol: Tensor) -> float:
    return float(torch.linalg.eigvals(symbol).abs().max())


def _nilpotent(symbol: Tensor) -> bool:
    return not bool(torch.linalg.matrix_power(symbol, symbol.shape[-1]).any())
