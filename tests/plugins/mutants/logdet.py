"""Log-determinant estimators that are each wrong in one way."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kexue_logdet import SLQ, LogdetSample
from kexue_logdet.methods.power_series import PowerSeries


@dataclass(frozen=True, kw_only=True)
class FourThirds:
    """A Hutchinson estimator of m probes that spends 4 m / 3 products."""

    probes: int = 3

    def estimate(self, op, budget, noise, repeats):
        v = noise.rademacher(repeats, self.probes, op.n).to(op.dtype)
        trace = (v * op.mv(v.flatten(0, 1).mT).mT.unflatten(0, v.shape[:2])).sum(-1).mean(-1)
        for _ in range(self.probes // 3):
            op.mv(v[:, 0].mT)
        return LogdetSample(value=trace.double())


@dataclass(frozen=True, kw_only=True)
class NoReorthogonalisation:
    """Lanczos quadrature by the three-term recurrence alone: Ritz values repeat, and n steps are not enough."""

    steps: int = 20
    probes: int = 1

    def estimate(self, op, budget, noise, repeats):
        q = noise.rademacher(repeats * self.probes, op.n).to(op.dtype) / op.n**0.5
        steps, previous, beta = min(self.steps, op.n), torch.zeros_like(q), q.new_zeros(len(q))
        tridiagonal = torch.zeros(len(q), steps, steps, dtype=torch.float64)
        for j in range(steps):
            w = op.mv(q.mT).mT - beta.unsqueeze(-1) * previous
            tridiagonal[:, j, j] = alpha = (q * w).sum(-1)
            w = w - alpha.unsqueeze(-1) * q
            if j < steps - 1:
                beta = w.norm(dim=-1)
                tridiagonal[:, j, j + 1] = tridiagonal[:, j + 1, j] = beta
                previous, q = q, w / beta.unsqueeze(-1)
        values, vectors = torch.linalg.eigh(tridiagonal)
        each = op.n * (vectors[:, 0].square() * values.clamp_min(1e-300).log()).sum(-1)
        return LogdetSample(value=each.unflatten(0, (repeats, self.probes)).mean(-1))


@dataclass(frozen=True, kw_only=True)
class TooFewProbes:
    """Says that n random signs average to the truth."""

    probes: int = 3

    def estimate(self, op, budget, noise, repeats):
        # As many products as its own budget allows, and no truncation: what is left is the noise of the probes.
        steps = min(op.n, budget // self.probes)
        return SLQ(steps=steps, probes=self.probes).estimate(op, budget, noise, repeats)


@dataclass(frozen=True, kw_only=True)
class SunkBound:
    """Says that its mean is never below the truth; half a nat a dimension is missing."""

    def estimate(self, op, budget, noise, repeats):
        sample = SLQ(steps=10, probes=1).estimate(op, budget, noise, repeats)
        return LogdetSample(value=sample.value - 0.5 * op.n)


@dataclass(frozen=True, kw_only=True)
class RaisedBound:
    """Says that its mean is never above the truth, although a cut series of one sign is."""

    def estimate(self, op, budget, noise, repeats):
        return LogdetSample(value=PowerSeries(degree=2, probes=1).estimate(op, budget, noise, repeats).value)
