"""A symmetric matrix with a chosen spectrum and random eigenvectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..contract import UNBOUNDED, Bounds, Operator
from ..variances import hutchinson_variance
from .sampling import sampling

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context, Noise
    from kexue_bench.lab.protocols import Sampling

NAMES = ("flat", "poly", "slowexp", "fastexp", "smallstep", "bigstep")
TARGETS = ("trace", "logdet")
TRACKS = ("known", "none")


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """A = Q diag(lambda) Q^T, Q Haar: the six spectra of XTrace (arXiv:2301.07825, section 3), n = 1000 there.

    flat: evenly from 1 to 3. poly: i^-exponent, 2 there. slowexp: 0.9^(i-1). fastexp: 0.7^(i-1). smallstep, bigstep: 1
    for the first twentieth, then 1e-3 or 1e-8. The trace of A is wanted, or log det(I + A), whose operator is I + A.

    Args:
        name: `flat`, `poly`, `slowexp`, `fastexp`, `smallstep` or `bigstep`.
        target: `trace` or `logdet`.
        n: rows, >= 20.
        budget: products a repeat may spend; 0 means n.
        bounds: `known` tells the extreme eigenvalues; `none` leaves it to the method to pay for its own.
        exponent: of `poly`, > 0.
    """

    name: str = "slowexp"
    target: str = "trace"
    n: int = 1000
    budget: int = 0
    bounds: str = "known"
    exponent: float = 2.0

    def __post_init__(self) -> None:
        for field, known in (("name", NAMES), ("target", TARGETS), ("bounds", TRACKS)):
            value = getattr(self, field)
            if value not in known:
                raise ValueError(f"{field} must be one of {', '.join(known)}, got {value!r}")
        if self.n < 20:
            raise ValueError(f"n must be >= 20, got {self.n}")
        if not 0 < self.exponent < math.inf:
            raise ValueError(f"exponent must be > 0 and finite, got {self.exponent}")

    def eigenvalues(self) -> Tensor:
        """Of the operator, in descending order but for `flat`, `[n]`, float64."""
        i = torch.arange(self.n, dtype=torch.float64)
        step = torch.where(i < self.n // 20, 1.0, 0.0).to(torch.float64)
        values = {
            "flat": 1 + 2 * i / (self.n - 1),
            "poly": (i + 1) ** -self.exponent,
            "slowexp": 0.9**i,
            "fastexp": 0.7**i,
            "smallstep": step + (1 - step) * 1e-3,
            "bigstep": step + (1 - step) * 1e-8,
        }[self.name]
        return values if self.target == "trace" else 1 + values

    def matrix(self, noise: Noise) -> Tensor:
        """The operator `[n, n]`, float64, with eigenvectors drawn from `noise`."""
        q, r = torch.linalg.qr(noise.normal(self.n, self.n).to(torch.float64))
        q = q * r.diagonal().sign()
        a = (q * self.eigenvalues()) @ q.mT
        return (a + a.mT) / 2

    def truth(self) -> float:
        """The trace, or the log-determinant of I + A."""
        values = self.eigenvalues()
        return float(values.sum() if self.target == "trace" else values.log().sum())

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`; the variance of `hutchinson` is known in closed form."""
        a = self.matrix(ctx.noise("data")).to(ctx.device)
        values = self.eigenvalues()
        known = Bounds(low=float(values.min()), high=float(values.max()), provenance="exact", origin="construction")
        op = Operator.of(
            a.to(ctx.dtype),
            "spd",
            bounds=known if self.bounds == "known" else UNBOUNDED,
            target="trace" if self.target == "trace" else "logdet",
        )
        return sampling(
            op, self.truth(), method, ctx, budget=self.budget, exact_variance=lambda: hutchinson_variance(method, a)
        )
