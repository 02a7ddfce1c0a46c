"""The Gram matrix of a bidiagonal Toeplitz matrix: closed log-determinant and trace of the inverse at any size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import Bounds, Operator
from .sampling import KnownOperator

if TYPE_CHECKING:
    from scipy.sparse import csc_array

TARGETS = ("logdet", "inverse")
OFFERS = ("spd", "bounded", "target", "entries")
FACTS = {"wanted": "target", "rows": "n", "allowed": "rows if budget == 0 else budget"}
# The size at which imate's accuracy was published, without reorthogonalization, as there.
PLAIN_LANCZOS = ("slq[steps=30,probes=200,orthogonalisation=none]", "exact")


@task(
    "bidiagonal-gram",
    "Gram matrix of a bidiagonal Toeplitz matrix, with closed-form log-determinant and trace of the inverse",
    version=1,
    offers=OFFERS,
    facts=FACTS,
    suites={
        "standard": ("bidiagonal-gram[n=[1024,4096],budget=6000]",),
        "full": ("bidiagonal-gram[n=[1024,4096,16384],budget=6000]",),
    },
    methods={"standard": PLAIN_LANCZOS, "full": PLAIN_LANCZOS},
    timed={"full"},
    budgets={"quick": 64, "standard": 64, "full": 256},
    dtype="float64",
    order=100,
)
@task(
    "large-gram",
    "Gram matrix of a bidiagonal Toeplitz matrix, up to a million rows",
    version=1,
    offers=OFFERS,
    facts=FACTS,
    suites={"full": ("large-gram[n=[65536,262144,1048576],budget=6000]",)},
    methods={"full": PLAIN_LANCZOS},
    timed=(),
    budgets={"quick": 20, "standard": 20, "full": 20},
    dtype="float64",
    order=110,
)
@task(
    "gram-inverse",
    "trace of the inverse of a bidiagonal Gram matrix over the degree, with and without reorthogonalization",
    version=1,
    offers=OFFERS,
    facts=FACTS,
    suites={"full": ("gram-inverse[n=65536,target=inverse,budget=21600]",)},
    methods={"full": ("slq[steps=[10,30,108],probes=200,orthogonalisation=none]", "slq[steps=[10,30],probes=200]")},
    timed=(),
    budgets={"quick": 20, "standard": 20, "full": 20},
    dtype="float64",
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class BidiagonalGram(KnownOperator):
    """G = B^T B, B with a on its diagonal and b above it: the matrix behind the accuracy plots of imate.

    log det G = 2 n log a. tr G^-1 = sum_d (n - d) r^d / a^2 over d = 0..n-1, r = (b / a)^2. With a = 2 and b = 1, as
    there, the spectrum lies in [1, 9], and the standard deviation of the mean of m Rademacher probes is close to
    sqrt(4 Li_2(1/4) n / m) for the logarithm and sqrt(4 n / (27 m)) for the inverse.

    Args:
        n: rows, >= 2.
        target: `logdet`, or `inverse` for the trace of the inverse.
        diagonal: a, > |b|.
        upper: b.
        budget: products that a repeat may spend; 0 means n.
    """

    n: int = 1024
    target: str = "logdet"
    diagonal: float = 2.0
    upper: float = 1.0
    budget: int = 0

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {self.target!r}")
        if self.n < 2:
            raise ValueError(f"n must be >= 2, got {self.n}")
        if not (abs(self.upper) < self.diagonal < math.inf):
            raise ValueError(f"diagonal must be finite and above |upper|, got {self.diagonal} and {self.upper}")

    def truth(self) -> float:
        """The log-determinant, or the trace of the inverse."""
        n, a, r = self.n, self.diagonal, (self.upper / self.diagonal) ** 2
        if self.target == "logdet":
            return 2 * n * math.log(a)
        return (n / (1 - r) - r * (1 - r**n) / (1 - r) ** 2) / a**2

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The operator with bounds valid at every size, and its sparse entries."""
        a, b = self.diagonal, self.upper

        def product(v: Tensor) -> Tensor:
            w = a * v
            w[:-1].add_(v[1:], alpha=b)
            out = a * w
            out[1:].add_(w[:-1], alpha=b)
            return out

        bounds = Bounds(low=(a - abs(b)) ** 2, high=(a + abs(b)) ** 2, provenance="proven", origin="symbol")
        return Operator(
            kind="spd",
            n=self.n,
            product=product,
            dtype=dtype,
            device=device,
            bounds=bounds,
            target="inverse" if self.target == "inverse" else "logdet",
            entries=self.matrix,
        )

    def matrix(self) -> csc_array:
        """The sparse matrix G."""
        from scipy import sparse

        b = sparse.diags_array([self.diagonal, self.upper], offsets=[0, 1], shape=(self.n, self.n))  # pyright: ignore[reportArgumentType]  # the stubs want arrays
        return sparse.csc_array(b.T @ b)
