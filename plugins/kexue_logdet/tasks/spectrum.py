"""A symmetric matrix with a chosen spectrum and random eigenvectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import UNBOUNDED, Bounds, Operator, Target
from ..variances import hutchinson_variance
from ..words import SPD_BUDGETS
from .sampling import sampling

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Sampling

NAMES = ("flat", "poly", "slowexp", "fastexp", "smallstep", "bigstep")
TARGETS = ("trace", "logdet")
TRACKS = ("known", "none")
BASES = ("haar", "cosine")
FACTS = {"wanted": "target", "rows": "n", "allowed": "rows if budget == 0 else budget"}


@task(
    "spectrum",
    "six spectra of XTrace with random eigenvectors, tr A or log det(I + A)",
    version=1,
    offers={"spd", "bounded", "bounds", "trace", "target", "variance"},
    facts=FACTS,
    suites={
        "quick": ("spectrum[n=100,budget=60]",),
        "standard": (
            "spectrum[name=[flat,poly,slowexp,fastexp,smallstep,bigstep],budget=60,n=400]",
            "spectrum[name=slowexp,target=logdet,n=400,budget=480]",
        ),
        "full": ("spectrum[name=[flat,poly,slowexp,fastexp,smallstep,bigstep],target=[trace,logdet],budget=[60,480]]",),
    },
    timed={"full"},
    budgets=SPD_BUDGETS,
    dtype="float64",
    baseline="hutchinson",
    order=40,
)
@task(
    "large-spectrum",
    "spectra of XTrace with a million rows, matrix-free by fast cosine transforms",
    version=1,
    offers={"spd", "bounded", "bounds", "trace", "target"},
    facts=FACTS,
    suites={
        "full": ("large-spectrum[name=[slowexp,smallstep],target=[trace,logdet],n=1000000,basis=cosine,budget=60]",)
    },
    timed=(),
    budgets={"quick": 16, "standard": 16, "full": 16},
    dtype="float64",
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """A = Q diag(lambda) Q^T, Q random: the six spectra of XTrace (arXiv:2301.07825, section 3), n = 1000 there.

    flat: evenly from 1 to 3. poly: i^-exponent, 2 there. slowexp: 0.9^(i-1). fastexp: 0.7^(i-1). smallstep, bigstep: 1
    for the first twentieth, then 1e-3 or 1e-8. The target is the trace of A, or log det(I + A), whose operator is I +
    A.

    Args:
        name: `flat`, `poly`, `slowexp`, `fastexp`, `smallstep` or `bigstep`.
        target: `trace` or `logdet`.
        n: rows, >= 20.
        budget: products that a repeat may spend; 0 means n.
        bounds: `known` provides the extreme eigenvalues; with `none` the method must estimate bounds at a cost.
        exponent: exponent of `poly`, > 0.
        basis: eigenvectors: `haar`, a dense matrix, or `cosine`, the discrete cosine transform after random signs, with
            the eigenvalues in random order: O(n log n) per product, for n up to a million.
    """

    name: str = "slowexp"
    target: str = "trace"
    n: int = 1000
    budget: int = 0
    bounds: str = "known"
    exponent: float = 2.0
    basis: str = "haar"

    def __post_init__(self) -> None:
        for field, known in (("name", NAMES), ("target", TARGETS), ("bounds", TRACKS), ("basis", BASES)):
            value = getattr(self, field)
            if value not in known:
                raise ValueError(f"{field} must be one of {', '.join(known)}, got {value!r}")
        if self.n < 20:
            raise ValueError(f"n must be >= 20, got {self.n}")
        if not 0 < self.exponent < math.inf:
            raise ValueError(f"exponent must be > 0 and finite, got {self.exponent}")

    def eigenvalues(self) -> Tensor:
        """Eigenvalues of the operator, in descending order except for `flat`, `[n]`, float64."""
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
        noise = ctx.noise("data")
        if self.basis == "cosine":
            op = self.fast_operator(noise, dtype=ctx.dtype, device=ctx.device)
            return sampling(op, self.truth(), method, ctx, budget=self.budget)
        a = self.matrix(noise).to(ctx.device)
        op = Operator.of(a.to(ctx.dtype), "spd", bounds=self._bounds(), target=self._wanted())
        return sampling(
            op, self.truth(), method, ctx, budget=self.budget, exact_variance=lambda: hutchinson_variance(method, a)
        )

    def fast_operator(
        self, noise: Noise, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu"
    ) -> Operator:
        """The operator of the `cosine` basis, never formed; signs and order are drawn from `noise`."""
        signs = noise.rademacher(self.n).to(device, dtype).unsqueeze(-1)
        order = noise.permutation(self.n)
        values = self.eigenvalues().to(order.device)[order].to(device, dtype).unsqueeze(-1)

        def product(v: Tensor) -> Tensor:
            return signs * from_cosines(values * to_cosines(signs * v))

        return Operator(
            kind="spd",
            n=self.n,
            product=product,
            dtype=dtype,
            device=device,
            bounds=self._bounds(),
            target=self._wanted(),
        )

    def _bounds(self) -> Bounds:
        values = self.eigenvalues()
        known = Bounds(low=float(values.min()), high=float(values.max()), provenance="exact", origin="construction")
        return known if self.bounds == "known" else UNBOUNDED

    def _wanted(self) -> Target:
        return "trace" if self.target == "trace" else "logdet"


def to_cosines(v: Tensor) -> Tensor:
    """The orthonormal discrete cosine transform of the columns of `[n, m]`, by one Fourier transform (Makhoul 1980)."""
    n = len(v)
    spectrum = torch.fft.fft(torch.cat([v[::2], v[1::2].flip(0)]), dim=0)
    turned = (spectrum * _phases(n, v)).real * math.sqrt(2 / n)
    turned[0] *= math.sqrt(0.5)
    return turned


def from_cosines(c: Tensor) -> Tensor:
    """The inverse of `to_cosines`, its transpose."""
    n = len(c)
    scaled = c * math.sqrt(n / 2)
    scaled[0] *= math.sqrt(2)
    mirrored = torch.cat([torch.zeros_like(c[:1]), scaled[1:].flip(0)])
    spread = torch.fft.ifft(torch.complex(scaled, -mirrored) * _phases(n, c).conj(), dim=0).real
    out = torch.empty_like(c)
    half = (n + 1) // 2
    out[::2], out[1::2] = spread[:half], spread[half:].flip(0)
    return out


def _phases(n: int, like: Tensor) -> Tensor:
    """exp(-i pi k / (2 n)), `[n, 1]`."""
    angle = torch.arange(n, dtype=like.dtype, device=like.device).unsqueeze(-1) * (-math.pi / (2 * n))
    return torch.polar(torch.ones_like(angle), angle)
