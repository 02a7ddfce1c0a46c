"""Estimators that `verify` must fail."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kexue_logdet.blocks import dots, image, probe_blocks, trace
from kexue_logdet.contract import LogdetSample, Operator
from kexue_logdet.lanczos import krylov, quadrature
from kexue_logdet.methods.hutchinson import Hutchinson
from kexue_logdet.methods.preconditioned_slq import PreconditionedSLQ
from kexue_logdet.methods.slq import SLQ
from kexue_logdet.nystrom import precondition
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
class AbsoluteSLQ(SLQ):
    """The absolute value of a log-determinant, its sign lost."""

    steps: int = 20
    probes: int = 3

    def estimate(self, op, budget, noise, repeats):
        sample = super().estimate(op, budget, noise, repeats)
        return LogdetSample(value=sample.value.abs(), stderr=sample.stderr)


@dataclass(frozen=True, kw_only=True)
class ForgetfulPreconditionedSLQ(PreconditionedSLQ):
    """The log-determinant of what the preconditioner leaves, that of the preconditioner forgotten."""

    rank: int = 20
    steps: int = 20
    probes: int = 2

    def estimate(self, op, budget, noise, repeats):
        known = precondition(op, noise, rank=self.rank, repeats=repeats, name="mutant")
        inner = known.remainder()
        v = draw(op, noise, "rademacher", repeats=repeats, probes=self.probes) / op.n**0.5
        space = krylov(inner, v, self.steps)
        return fold(op.n * quadrature(space.diagonal, space.off), repeats)


@dataclass(frozen=True, kw_only=True)
class NonSymmetricSLQ:
    """Lanczos quadrature on I + J as if J were symmetric, declared unbiased."""

    steps: int = 20
    probes: int = 3

    def estimate(self, op, budget, noise, repeats):
        shifted = Operator(kind="spd", n=op.n, product=lambda v: v + op.mv(v), dtype=op.dtype, device=op.device)
        return SLQ(steps=self.steps, probes=self.probes).estimate(shifted, budget, noise, repeats)
