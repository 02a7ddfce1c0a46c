"""Matrices constant along their diagonals, with closed log-determinants at any size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import Bounds, Operator
from ..words import LOGDET_FACTS
from .sampling import KnownOperator

NAMES = ("path", "ring", "kms", "ring-rbf")
DEFAULTS = {"path": 1.0, "ring": 1.0, "kms": 0.9, "ring-rbf": 16.0}


@task(
    "toeplitz",
    "Toeplitz and circulant matrices by the fast Fourier transform, with closed-form truth",
    version=1,
    offers={"spd", "bounded"},
    facts=LOGDET_FACTS,
    suites={
        "standard": ("toeplitz[name=[kms,ring-rbf],budget=60]",),
        "full": (
            "toeplitz[name=[path,ring,kms,ring-rbf],n=[1000,10000],budget=60]",
            "toeplitz[name=[path,ring],parameter=0.01,budget=60]",
        ),
    },
    timed=(),
    budgets={"standard": 256, "full": 4096},
    dtype="float64",
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class Toeplitz(KnownOperator):
    """Four symmetric Toeplitz matrices; products by the fast Fourier transform, in a circulant of twice the size.

    path: tridiag(-1, 2 + tau, -1), det = (r^(n+1) - r^-(n+1)) / (r - 1 / r), r + 1 / r = 2 + tau. ring: path with
    corner entries, det = r^n + r^-n - 2. kms: rho^|i-j|, log det = (n - 1) log(1 - rho^2). ring-rbf: circulant with
    first row exp(-min(d, n - d)^2 / (2 l^2)) + 0.01 [d = 0], eigenvalues by a Fourier transform.

    Args:
        name: `path`, `ring`, `kms` or `ring-rbf`.
        parameter: tau > 0 (path, ring), 0 < rho < 1 (kms) or l > 0 (ring-rbf); 0 means 1, 1, 0.9 and 16.
        n: rows, >= 3.
        budget: products that a repeat may spend; 0 means n.
    """

    name: str = "kms"
    parameter: float = 0.0
    n: int = 1000
    budget: int = 0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"name must be one of {', '.join(NAMES)}, got {self.name!r}")
        if self.n < 3:
            raise ValueError(f"n must be >= 3, got {self.n}")
        if not (self.value > 0 and math.isfinite(self.value)) or (self.name == "kms" and self.value >= 1):
            raise ValueError(f"parameter must be > 0, and below 1 for kms, got {self.parameter}")

    @property
    def value(self) -> float:
        """The parameter, or its default."""
        return self.parameter or DEFAULTS[self.name]

    def column(self) -> Tensor:
        """First column of the matrix, `[n]`, float64."""
        d = torch.arange(self.n, dtype=torch.float64)
        if self.name == "kms":
            return self.value**d
        ring = torch.minimum(d, self.n - d)
        if self.name == "ring-rbf":
            return torch.exp(-ring.square() / (2 * self.value**2)) + 0.01 * (d == 0).to(d.dtype)
        distance = d if self.name == "path" else ring
        return (2 + self.value) * (distance == 0).to(d.dtype) - (distance == 1).to(d.dtype)

    def bounds(self) -> Bounds:
        """Limits of the symbol, which are valid at every size, or the extreme eigenvalues."""
        if self.name == "kms":
            low, high = (1 - self.value) / (1 + self.value), (1 + self.value) / (1 - self.value)
        elif self.name == "ring-rbf":
            values = torch.fft.rfft(self.column()).real
            low, high = float(values.min()), float(values.max())
        else:
            low, high = self.value, 4 + self.value
        return Bounds(low=low, high=high, provenance="proven", origin="symbol")

    def truth(self) -> float:
        """The log-determinant."""
        n = self.n
        if self.name == "kms":
            return (n - 1) * math.log1p(-(self.value**2))
        if self.name == "ring-rbf":
            return float(torch.fft.fft(self.column()).real.log().sum())
        log_r = 2 * math.asinh(math.sqrt(self.value) / 2)
        if self.name == "ring":
            return n * log_r + 2 * math.log(-math.expm1(-n * log_r))
        return n * log_r + math.log(-math.expm1(-2 * (n + 1) * log_r)) - math.log(-math.expm1(-2 * log_r))

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The operator; a path is embedded in a circulant, a ring is one."""
        column = self.column()
        if not self.name.startswith("ring"):
            column = torch.cat([column, column.new_zeros(1), column[1:].flip(0)])
        symbol, size = torch.fft.rfft(column).real.to(device, dtype).unsqueeze(-1), len(column)

        def product(v: Tensor) -> Tensor:
            return torch.fft.irfft(symbol * torch.fft.rfft(v, n=size, dim=0), n=size, dim=0)[: self.n]

        return Operator(kind="spd", n=self.n, product=product, dtype=dtype, device=device, bounds=self.bounds())
