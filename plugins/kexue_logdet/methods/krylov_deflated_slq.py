"""Stochastic Lanczos quadrature on the complement of a block Krylov space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import method

from ..blocks import need_logdet, probe_blocks, products
from ..contract import LogdetSample, Operator, afford
from ..lanczos import krylov
from ..probes import INDEPENDENT, validate
from ..truncation import barred, gauss, remaining
from ..words import ERROR_BAR, LOGDET_ONLY, OVER_BUDGET, SIGN

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

_DEFECT = 1e-3
"""An inner product with the basis beyond rounding: what was left of a block was rounding alone."""


@method(
    "krylov-deflated-slq",
    "Lanczos quadrature on the complement of a block Krylov space",
    references=("Chen and Hallman 2022, arXiv:2205.01736",),
    claims=("upper-bound", ERROR_BAR, SIGN),
    cost="block * (depth + extra) + steps * probes",
    needs="spd",
    unless=(*LOGDET_ONLY, OVER_BUDGET),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class KrylovDeflatedSLQ:
    """tr log A = tr Q^T log(A) Q + tr (I - QQ^T) log(A) (I - QQ^T), Q a block Krylov basis.

    Q spans the first q = `depth` blocks A^j S, S of b = `block` random vectors; `extra` further blocks make V, and the
    first part is the trace of the leading corner of log(V^T A V): the recurrence for Q also yields its trace.
    The second is by Lanczos quadrature from projected probes.

    Args:
        block: b, >= 1.
        depth: q, >= 1; b q <= n.
        extra: blocks beyond Q, >= 1.
        steps: Lanczos steps k of a probe, >= 1.
        probes: number m of probe vectors per repeat, >= 1. A repeat costs b (q + extra) + min(k, n) m products, fewer
            if V would exceed n dimensions.
        distribution: distribution of S and of the probes: `rademacher`, `gaussian` or `sphere`.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_logdet import Operator
        >>> noise = Noise.seeded(0, dtype=torch.float64)
        >>> matrix = torch.diag(torch.linspace(1.0, 4.0, 50, dtype=torch.float64))
        >>> op = Operator.of(matrix, "spd")
        >>> sample = KrylovDeflatedSLQ().estimate(op, budget=2000, noise=noise, repeats=4)
        >>> sample.value.shape
        torch.Size([4])
    """

    block: int = 3
    depth: int = 4
    extra: int = 4
    steps: int = 18
    probes: int = 2
    distribution: str = "rademacher"

    def __post_init__(self) -> None:
        if min(self.block, self.depth, self.extra, self.steps) < 1:
            sizes = f"{self.block}, {self.depth}, {self.extra} and {self.steps}"
            raise ValueError(f"block, depth, extra and steps must be >= 1, got {sizes}")
        validate(self.probes, self.distribution, known=INDEPENDENT)

    @torch.no_grad()
    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`."""
        need_logdet(op, "krylov-deflated-slq")
        blocks = min(self.depth + self.extra, op.n // self.block)
        if blocks < self.depth:
            raise ValueError(f"block * depth must be at most n = {op.n}, got {self.block * self.depth}; use exact")
        afford(self.block * blocks + min(self.steps, op.n) * self.probes, budget)
        both = probe_blocks(op, noise, self.distribution, repeats=repeats, probes=self.block + self.probes)
        with op.billing("setup"):
            basis, projected = _block_krylov(op, both[..., : self.block], blocks)
        size = self.block * self.depth
        # The trace of the corner with fewer blocks beyond it, for the truncation of the first part.
        widths = [self.block * k for k in (blocks - 2, blocks - 1, blocks) if k >= self.depth]
        corners = [_corner(projected[..., :width, :width], size) for width in widths]
        known = corners[-1]
        q, g = basis[..., :size], both[..., self.block :]
        for _ in range(2):
            g = g - q @ (q.mT @ g)
        squared = g.square().sum(-2, dtype=torch.float64)
        start = torch.where(squared.unsqueeze(-2) > 0, g / squared.sqrt().to(g.dtype).unsqueeze(-2), 0.0)
        space = krylov(op, start.mT.flatten(-3, -2), self.steps)
        values, history = gauss(space, squared.flatten(-2), torch.log, repeats)
        rest = values.unflatten(-1, (repeats, self.probes))
        stderr = (rest.std(dim=-1) / math.sqrt(self.probes)).movedim(-1, 0) if self.probes > 1 else None
        sample = LogdetSample(value=(known + rest.mean(dim=-1)).movedim(-1, 0), stderr=stderr)
        truncation = remaining(history, sample.stderr)
        if blocks * self.block < op.n:
            truncation = truncation + remaining([corner.movedim(-1, 0) for corner in corners], sample.stderr)
        return barred(op, sample, truncation, remedy=f"take steps={2 * self.steps}, extra={2 * self.extra}")


def _corner(projected: Tensor, size: int) -> Tensor:
    """The trace of the leading corner of log(V^T A V)."""
    theta, vectors = torch.linalg.eigh(projected.to(torch.float64))
    return (vectors[..., :size, :].square().sum(-2) * theta.log()).sum(-1)


def _directions(w: Tensor) -> Tensor:
    """Columns in general position, `[n, m]`, that depend on nothing."""
    n, m = w.shape[-2:]
    rows = torch.arange(1, n + 1, dtype=torch.float64, device=w.device).square().unsqueeze(-1)
    return torch.cos(rows * torch.arange(1, m + 1, dtype=torch.float64, device=w.device)).to(w.dtype)


def _block_krylov(op: Operator, start: Tensor, blocks: int) -> tuple[Tensor, Tensor]:
    """Orthonormal V of the block Krylov space, `[*batch_shape, repeats, n, b * blocks]`, and V^T A V.

    Each block is orthogonalized twice against all earlier ones and factored twice: if the space is exhausted, the
    second time creates new directions from rounding errors, and V^T A V is computed, not taken from a recurrence.
    """
    v = torch.linalg.qr(start).Q
    basis, mapped = v, products(op, v)
    for _ in range(blocks - 1):
        w = mapped[..., -start.shape[-1] :]
        for _ in range(2):
            w = w - basis @ (basis.mT @ w)
            w = torch.linalg.qr(w - basis @ (basis.mT @ w)).Q
        if bool((basis.mT @ w).abs().amax() > _DEFECT):
            # The space is exhausted and rounding left nothing new: any other direction will do.
            w = w + torch.finfo(w.dtype).eps ** 0.5 * _directions(w)
            for _ in range(3):
                w = torch.linalg.qr(w - basis @ (basis.mT @ w)).Q
        basis = torch.cat([basis, w], dim=-1)
        mapped = torch.cat([mapped, products(op, w)], dim=-1)
    projected = basis.mT @ mapped
    return basis, (projected + projected.mT) / 2
