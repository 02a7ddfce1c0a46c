"""The gradient for fitting a Gaussian process: of a kernel's log-determinant in its length scale and its noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import Bounds, Operator
from ..words import DATA_ROWS, GRADIENT_COLUMNS
from .rbf_kernel import DATASETS, exponents
from .sampling import gradient_sampling

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling


@task(
    "kernel-gradient",
    "gradient of an RBF kernel's log-determinant in length scale and noise, exact by Cholesky",
    version=1,
    offers={"spd", "bounded", "gradient"},
    facts={"wanted": "'gradient'", "rows": DATA_ROWS, "allowed": "rows if budget == 0 else budget"},
    suites={
        "standard": ("kernel-gradient",),
        "full": ("kernel-gradient[dataset=[iris,wine,breast_cancer],sigma2=[0.1,0.01]]",),
    },
    timed=(),
    budgets={"quick": 256, "standard": 512, "full": 4096},
    dtype="float64",
    headline=GRADIENT_COLUMNS,
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class KernelGradient:
    """d log det K / d (l, sigma2), K_ij = exp(-|x_i - x_j|^2 / (2 d l^2)) + sigma2 [i = j], on a bundled data set.

    Features are standardized as in `RBFKernel`, whose matrix is that of l = 1. The exact gradient is
    (tr K^-1 dK/dl, tr K^-1), by a dense Cholesky factor in float64.

    Args:
        dataset: `breast_cancer` (n = 569, d = 30), `digits` (1797, 64), `iris` (150, 4) or `wine` (178, 13).
        lengthscale: l, > 0.
        sigma2: noise variance on the diagonal, > 0; it bounds the eigenvalues from below.
        budget: products that a repeat may spend, those of the gradient included; 0 means n.
    """

    dataset: str = "wine"
    lengthscale: float = 1.0
    sigma2: float = 0.1
    budget: int = 0

    def __post_init__(self) -> None:
        if self.dataset not in DATASETS:
            raise ValueError(f"dataset must be one of {', '.join(DATASETS)}, got {self.dataset!r}")
        for name in ("lengthscale", "sigma2"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be > 0 and finite, got {value}")

    def truth(self, powers: Tensor) -> Tensor:
        """The gradient, `[2]`, float64, from the exponents of the kernel at l = 1."""
        kernel = (-powers / self.lengthscale**2).exp()
        eye = torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(kernel + self.sigma2 * eye))
        slope = 2 * powers / self.lengthscale**3 * kernel
        return torch.stack([(inverse * slope).sum(), inverse.trace()])

    def operator(self, powers: Tensor) -> Operator:
        """The operator whose products depend on one leaf tensor (l, sigma2), of the dtype and device of `powers`."""
        values = [self.lengthscale, self.sigma2]
        theta = torch.tensor(values, dtype=powers.dtype, device=powers.device, requires_grad=True)
        frozen = (-powers / self.lengthscale**2).exp()

        def product(v: Tensor) -> Tensor:
            # The kernel is recomputed only if its graph is needed.
            kernel = (-powers / theta[0].square()).exp() if torch.is_grad_enabled() else frozen
            return kernel @ v + theta[1] * v

        high = float(frozen.sum(dim=1).max()) + self.sigma2
        bounds = Bounds(low=self.sigma2, high=high, provenance="proven", origin="Gershgorin")
        return Operator(
            kind="spd",
            n=len(powers),
            product=product,
            dtype=powers.dtype,
            device=powers.device,
            bounds=bounds,
            params=(theta,),
        )

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        powers = exponents(ctx.data(self.dataset)["inputs"]).to(ctx.device)
        op = self.operator(powers.to(ctx.dtype))
        return gradient_sampling(op, self.truth(powers), method, ctx, budget=self.budget)
