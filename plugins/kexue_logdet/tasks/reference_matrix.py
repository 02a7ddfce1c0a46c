"""Six-by-six Jacobians whose log-determinants are known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import Bounds, Operator
from ..words import RESIDUAL_COLUMNS
from .residual_block import ResidualBlock
from .residual_variances import residual_sampling

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

N, BATCH = 6, 256
NAMES = ("cyc6", "mod7_6", "mod11_6", "bidiag6", "negdiag6", "mlp6")


@task(
    "reference-matrix",
    "six-by-six J with closed-form log-determinants and exact variances",
    version=1,
    offers={"residual", "bounded", "variance", "six"},
    facts={"allowed": "budget"},
    suites={
        "quick": ("reference-matrix[name=bidiag6]",),
        "standard": ("reference-matrix[name=[cyc6,mod7_6,mod11_6,bidiag6,negdiag6,mlp6]]",),
        "full": ("reference-matrix[name=[cyc6,mod7_6,mod11_6,bidiag6,negdiag6,mlp6],c=[0.5,0.7,0.9,0.98]]",),
    },
    timed=(),
    budgets={"quick": 16384, "standard": 65536, "full": 262144},
    dtype="float64",
    headline=RESIDUAL_COLUMNS,
    order=190,
)
@dataclass(frozen=True, kw_only=True)
class ReferenceMatrix:
    """log |det(I + J)| for small J that fail in different ways; every variance is known exactly.

    `cyc6`: c times the cyclic shift, all traces below the sixth power vanish, log(1 - c^6). `mod7_6`: symmetric,
    ((i j mod 7) - 3) / 20, log 27807/40000. `mod11_6`: ((i^2 + 3 j + i j^2 mod 11) - 5) / 40, log
    418058591/512000000. `bidiag6`: 0.5 on the diagonal, 0.4 above it, 6 log 1.5. `negdiag6`: -c I, the worst case of
    the power series, 6 log(1 - c). `mlp6`: the Jacobian of `residual-block` with d = 6, by its LU factors.

    Args:
        name: one of the six.
        c: scale of `cyc6`, `negdiag6` and `mlp6`, in (0, 1); the others ignore it.
        budget: products that a repeat may spend.
    """

    name: str = "bidiag6"
    c: float = 0.5
    budget: int = 64

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"name must be one of {', '.join(NAMES)}, got {self.name!r}")
        if not 0 < self.c < 1:
            raise ValueError(f"c must be in (0, 1), got {self.c}")

    def matrix(self) -> Tensor:
        """J `[6, 6]`, float64."""
        i = torch.arange(1, N + 1, dtype=torch.float64)
        row, column = i.unsqueeze(1), i.unsqueeze(0)
        eye = torch.eye(N, dtype=torch.float64)
        match self.name:
            case "cyc6":
                return self.c * eye.roll(1, dims=1)
            case "mod7_6":
                return ((row * column) % 7 - 3) / 20
            case "mod11_6":
                return ((row**2 + 3 * column + row * column**2) % 11 - 5) / 40
            case "bidiag6":
                return 0.5 * eye + 0.4 * torch.diag(eye.new_ones(N - 1), 1)
            case "negdiag6":
                return -self.c * eye
            case _:
                return ResidualBlock(c=self.c, d=N).jacobian()

    def truth(self) -> float:
        """The log-determinant."""
        match self.name:
            case "cyc6":
                return math.log1p(-(self.c**N))
            case "mod7_6":
                return math.log(27807 / 40000)
            case "mod11_6":
                return math.log(418058591 / 512000000)
            case "bidiag6":
                return N * math.log(1.5)
            case "negdiag6":
                return N * math.log1p(-self.c)
            case _:
                return ResidualBlock(c=self.c, d=N).truth()

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        matrix = self.matrix().to(ctx.device)
        bounds = Bounds(norm=float(torch.linalg.matrix_norm(matrix, 2)), provenance="exact", origin="singular values")
        op = Operator.of(matrix.to(ctx.dtype), "residual", bounds=bounds)
        problem = residual_sampling(op, self.truth(), method, ctx, budget=self.budget, symbol=self.matrix)
        return problem if ctx.deterministic else replace(problem, batch=BATCH)
