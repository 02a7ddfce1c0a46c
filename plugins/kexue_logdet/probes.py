"""Probe vectors v with E[v v^T] = I, and how the values of many probes become repeats.

One-probe variance of v^T B v, with S = (B + B^T)/2, F = ||S||_F^2, t = tr B, D = sum_i B_ii^2:
rademacher 2 (F - D), gaussian 2 F, sphere of radius sqrt(n) 2 n / (n + 2) (F - t^2 / n).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from .contract import LogdetSample, Operator

if TYPE_CHECKING:
    from kexue_bench.lab.context import Noise

DISTRIBUTIONS = ("rademacher", "gaussian", "sphere")


def validate(probes: int, distribution: str) -> None:
    """Check the two hyper-parameters that every probing method has.

    Raises:
        ValueError: there is no probe, or its distribution is unknown.
    """
    if probes < 1:
        raise ValueError(f"probes must be >= 1, got {probes}")
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"distribution must be one of {', '.join(DISTRIBUTIONS)}, got {distribution!r}")


def draw(op: Operator, noise: Noise, distribution: str, *, repeats: int, probes: int) -> Tensor:
    """Probes `[*batch_shape, repeats * probes, n]`, one a row; `.mT` is the block that `op.mv` takes."""
    shape = (repeats, probes, *op.batch_shape, op.n)
    v = noise.rademacher(*shape) if distribution == "rademacher" else noise.normal(*shape)
    if distribution == "sphere":
        v = v * (math.sqrt(op.n) / v.norm(dim=-1, keepdim=True))
    rows = v.to(op.dtype).flatten(0, 1)
    return rows.movedim(0, -2)


def fold(values: Tensor, repeats: int) -> LogdetSample:
    """The mean over the probes of each repeat, and its standard error where a repeat has two probes or more.

    Args:
        values: one value a probe, `[*batch_shape, repeats * probes]`, float64.
        repeats: number of repeats.
    """
    split = values.unflatten(-1, (repeats, -1)).movedim(-2, 0)
    probes = split.shape[-1]
    stderr = split.std(dim=-1) / math.sqrt(probes) if probes > 1 else None
    return LogdetSample(value=split.mean(dim=-1), stderr=stderr)
