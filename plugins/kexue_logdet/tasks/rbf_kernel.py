"""The kernel matrix of a Gaussian process on real data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import Bounds, Operator
from ..words import DATA_ROWS
from .sampling import sampling

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

DATASETS = ("breast_cancer", "digits", "iris", "wine")


# One of each kind: a bound, series, quadrature, and quadrature after deflation or preconditioning.
_TOUR = ("exact", "power-series", "chebyshev", "slq", "one-probe-slq", "preconditioned-slq", "krylov-deflated-slq")


@task(
    "rbf-kernel",
    "RBF kernel matrix of a real data set plus noise on its diagonal, truth by Cholesky",
    version=1,
    offers={"spd", "bounded"},
    facts={"wanted": "'logdet'", "rows": DATA_ROWS, "allowed": "rows if budget == 0 else budget"},
    suites={
        "tour": ("rbf-kernel[dataset=iris,sigma2=0.1]",),
        "quick": ("rbf-kernel[dataset=iris,sigma2=0.1]",),
        "standard": ("rbf-kernel[sigma2=0.01]",),
        "full": ("rbf-kernel[dataset=[iris,wine,breast_cancer,digits],sigma2=[1.0,0.1,0.01]]",),
    },
    methods={"tour": _TOUR},
    budgets={"tour": 256, "quick": 512, "standard": 512, "full": 131072},
    dtype="float64",
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class RBFKernel:
    """K_ij = exp(-|x_i - x_j|^2 / (2 d)) + sigma2 [i = j] on all n rows of a bundled data set with d features.

    Features are standardized with the population standard deviation (constant ones are only centered). The truth is
    that of the float64 Cholesky factor.

    Args:
        dataset: `breast_cancer` (n = 569, d = 30), `digits` (1797, 64), `iris` (150, 4) or `wine` (178, 13).
        sigma2: noise variance on the diagonal, > 0; it bounds the eigenvalues from below.
        budget: products that a repeat may spend; 0 means n.
    """

    dataset: str = "breast_cancer"
    sigma2: float = 0.01
    budget: int = 0

    def __post_init__(self) -> None:
        if self.dataset not in DATASETS:
            raise ValueError(f"dataset must be one of {', '.join(DATASETS)}, got {self.dataset!r}")
        if not (self.sigma2 > 0 and math.isfinite(self.sigma2)):
            raise ValueError(
                f"sigma2 must be > 0 and finite, got {self.sigma2}; without noise K is numerically singular"
            )

    def matrix(self, features: Tensor) -> Tensor:
        """K `[n, n]`, float64, of `features` `[n, d]`."""
        kernel = torch.exp(-exponents(features))
        return kernel + self.sigma2 * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`; eigenvalues are at most the largest row sum (Gershgorin)."""
        kernel = self.matrix(ctx.data(self.dataset)["inputs"]).to(ctx.device)
        truth = float(2 * torch.linalg.cholesky(kernel).diagonal().log().sum())
        bounds = Bounds(low=self.sigma2, high=float(kernel.sum(dim=1).max()), provenance="proven")
        return sampling(Operator.of(kernel.to(ctx.dtype), "spd", bounds=bounds), truth, method, ctx, budget=self.budget)


def exponents(features: Tensor) -> Tensor:
    """|x_i - x_j|^2 / (2 d) between standardized rows, `[n, n]`, float64, of `features` `[n, d]`."""
    x = features.to(torch.float64)
    std = x.std(dim=0, correction=0)
    x = (x - x.mean(dim=0)) / torch.where(std > 0, std, 1.0)
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").square() / (2 * x.shape[1])
