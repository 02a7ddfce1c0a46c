"""Probe vectors v with E[v v^T] = I, and how values of many probes are averaged into repeats.

One-probe variance of v^T B v, with S = (B + B^T)/2, F = ||S||_F^2, t = tr B, D = sum_i B_ii^2:
rademacher 2 (F - D), gaussian 2 F, sphere of radius sqrt(n) 2 n / (n + 2) (F - t^2 / n). The mean of m <= n
`orthogonal` probes (Haar, columns of length sqrt(n)) has the variance of m sphere probes times (n - m) / (n - 1): 0
at m = n.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .contract import LogdetSample, Operator

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

INDEPENDENT = ("rademacher", "gaussian", "sphere")
DISTRIBUTIONS = (*INDEPENDENT, "orthogonal")


def validate(probes: int, distribution: str, *, known: tuple[str, ...] = DISTRIBUTIONS) -> None:
    """Check the two hyper-parameters of every probing method.

    Raises:
        ValueError: there are no probes, or the method does not accept their distribution.
    """
    if probes < 1:
        raise ValueError(f"probes must be >= 1, got {probes}")
    if distribution not in known:
        raise ValueError(f"distribution must be one of {', '.join(known)}, got {distribution!r}")


def draw(op: Operator, noise: Noise, distribution: str, *, repeats: int, probes: int) -> Tensor:
    """Probes `[*batch_shape, repeats * probes, n]`, one per row; `.mT` is the block for `op.mv`."""
    shape = (repeats, probes, *op.batch_shape, op.n)
    if distribution == "orthogonal":
        return _orthogonal(op, noise, repeats=repeats, probes=probes)
    v = noise.rademacher(*shape) if distribution == "rademacher" else noise.normal(*shape)
    if distribution == "sphere":
        v = v * (math.sqrt(op.n) / v.norm(dim=-1, keepdim=True))
    rows = v.to(op.dtype).flatten(0, 1)
    return rows.movedim(0, -2)


def fold(values: Tensor, repeats: int, *, population: int | None = None) -> LogdetSample:
    """The mean over the probes of each repeat, and its standard error if a repeat has at least two probes.

    Args:
        values: one value per probe, `[*batch_shape, repeats * probes]`, float64.
        repeats: number of repeats.
        population: n if the probes of a repeat are orthogonal: the error bar of m out of n shrinks by sqrt(1 - m /
            n).
    """
    split = values.unflatten(-1, (repeats, -1)).movedim(-2, 0)
    probes = split.shape[-1]
    if probes == 1:
        return LogdetSample(value=split.mean(dim=-1))
    shrink = 1.0 if population is None or probes > population else 1 - probes / population
    return LogdetSample(value=split.mean(dim=-1), stderr=split.std(dim=-1) * math.sqrt(shrink) / math.sqrt(probes))


def population(op: Operator, distribution: str) -> int | None:
    """The population for `fold`: n for orthogonal probes."""
    return op.n if distribution == "orthogonal" else None


def _orthogonal(op: Operator, noise: Noise, *, repeats: int, probes: int) -> Tensor:
    """Columns of Haar orthogonal matrices times sqrt(n), in blocks of n if there are more."""
    blocks, left = [], probes
    while left:
        size = min(left, op.n)
        q, r = torch.linalg.qr(noise.normal(repeats, *op.batch_shape, op.n, size))
        # The random signs make the distribution Haar: a QR factorization fixes them by a rule.
        q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
        blocks.append(q.mT.movedim(-2, 1))
        left -= size
    rows = torch.cat(blocks, dim=1).to(op.dtype).flatten(0, 1) * math.sqrt(op.n)
    return rows.movedim(0, -2)
