"""Estimators that `verify` must fail."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kexue_logdet.blocks import dots, image, probe_blocks, trace
from kexue_logdet.contract import LogdetSample, Operator
from kexue_logdet.methods.hutchinson import Hutchinson
from kexue_logdet.methods.slq import SLQ
from kexue_logdet.probes import draw, fold


@dataclass(frozen=True, kw_only=True)
class CorrelatedHutchinson(Hutchinson):
    """Every probe twice: unbiased, at twice the variance that its error bar and the closed form say."""

    probes: int = 60
    distribution: str = "rademacher"

    def estimate(self, op, budget, noise, repeats):
        v = draw(op, noise, self.distribution, repeats=repeats, probes=self.probes // 2)
        v = v.repeat_interleave(2, dim=-2).mT
        return fold(dots(v, op.mv(v)), repeats)


@dataclass(frozen=True, kw_only=True)
class OverspendingHutchPP:
    """Hutch++ with a third of its products for the sketch and two thirds for the probes, the basis forgotten."""

    vectors: int = 30

    def estimate(self, op, budget, noise, repeats):
        sketch = self.vectors // 3
        both = probe_blocks(op, noise, "rademacher", repeats=repeats, probes=self.vectors)
        q = torch.linalg.qr(image(op, both[..., :sketch], 1)).Q
        g = both[..., sketch:] - q @ (q.mT @ both[..., sketch:])
        return LogdetSample(value=trace(q.mT @ image(op, q, 1)) + dots(g, image(op, g, 1)).mean(-1))


@dataclass(frozen=True, kw_only=True)
class NonSymmetricSLQ:
    """Lanczos quadrature on I + J as if J were symmetric, declared unbiased."""

    steps: int = 20
    probes: int = 3

    def estimate(self, op, budget, noise, repeats):
        shifted = Operator(kind="spd", n=op.n, product=lambda v: v + op.mv(v), dtype=op.dtype, device=op.device)
        return SLQ(steps=self.steps, probes=self.probes).estimate(shifted, budget, noise, repeats)
