"""Grids in two and three dimensions: the Laplacian plus a multiple of the identity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..contract import UNBOUNDED, Bounds, Operator
from ..words import SPD_BUDGETS
from .sampling import KnownOperator

if TYPE_CHECKING:
    from scipy.sparse import csc_array

BOUNDARIES = ("dirichlet", "neumann", "periodic")
TRACKS = ("known", "none")
OFFERS = ("spd", "bounded", "bounds", "entries")
FACTS = {
    "wanted": "'logdet'",
    "rows": "side * side * (side if dim == 3 else 1)",
    "allowed": "rows if budget == 0 else budget",
}


@task(
    "grid-laplacian",
    "matrix-free grid Laplacian in 2 or 3 dimensions plus tau times the identity, with closed-form truth",
    version=2,
    offers=OFFERS,
    facts=FACTS,
    suites={
        "quick": ("grid-laplacian[side=16]",),
        "standard": ("grid-laplacian[tau=[1.0,0.01],budget=240]", "grid-laplacian[bounds=none,tau=0.01,budget=240]"),
        "full": (
            "grid-laplacian[side=[32,128],tau=[1.0,0.01],boundary=[dirichlet,neumann,periodic]]",
            "grid-laplacian[side=[32,128],tau=[1.0,0.01],bounds=none]",
            "grid-laplacian[side=20,dim=3,tau=[1.0,0.01]]",
        ),
    },
    # One probe is far off here, at three times the seconds of the others; `rbf-kernel` shows where it leads.
    methods={"quick": ("exact", "power-series", "chebyshev", "slq", "krylov-deflated-slq", "preconditioned-slq")},
    timed={"full"},
    budgets=SPD_BUDGETS,
    dtype="float64",
    order=10,
)
@task(
    "large-grid",
    "grid Laplacian on up to a million points, 60 products per estimate",
    version=1,
    offers=OFFERS,
    facts=FACTS,
    suites={
        "standard": ("large-grid[side=316,budget=60]",),
        "full": (
            "large-grid[side=1000,tau=[1.0,0.01],boundary=[dirichlet,neumann,periodic],budget=60]",
            "large-grid[side=100,dim=3,budget=60]",
        ),
    },
    timed=(),
    budgets={"standard": 10, "full": 32},
    dtype="float64",
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class GridLaplacian(KnownOperator):
    """A = tau I + L on N^dim points, L the sum over axes of tridiag(-1, 2, -1) with the boundary's ends.

    Never formed. The eigenvalues are tau plus one of 2 - 2 cos a for each axis: a = pi i / (N + 1), i = 1..N
    (Dirichlet); pi i / N, i = 0..N-1 (Neumann, the graph Laplacian of a path); 2 pi i / N (periodic).

    Args:
        side: number N of points on a side, >= 1, >= 3 if periodic; n = N^dim.
        tau: multiple of the identity, >= 0; > 0 unless Dirichlet.
        dim: 2 or 3.
        boundary: `dirichlet`, `neumann` or `periodic`.
        budget: products that a repeat may spend; 0 means n.
        bounds: `known` provides the extreme eigenvalues; with `none` the method must estimate bounds at a cost.
    """

    side: int = 32
    tau: float = 1.0
    dim: int = 2
    boundary: str = "dirichlet"
    budget: int = 0
    bounds: str = "known"

    def __post_init__(self) -> None:
        if self.boundary not in BOUNDARIES:
            raise ValueError(f"boundary must be one of {', '.join(BOUNDARIES)}, got {self.boundary!r}")
        if self.bounds not in TRACKS:
            raise ValueError(f"bounds must be one of {', '.join(TRACKS)}, got {self.bounds!r}")
        least = 3 if self.boundary == "periodic" else 1
        if self.side < least:
            raise ValueError(f"side must be >= {least}, got {self.side}")
        if self.dim not in (2, 3):
            raise ValueError(f"dim must be 2 or 3, got {self.dim}")
        if not (self.tau >= 0 and math.isfinite(self.tau)):
            raise ValueError(f"tau must be >= 0 and finite, got {self.tau}")
        if self.tau == 0 and self.boundary != "dirichlet":
            raise ValueError(f"tau must be > 0 with the boundary {self.boundary}, got 0: constants are its null space")

    def axis(self) -> Tensor:
        """Eigenvalues of one axis, `[N]`, float64."""
        i = torch.arange(self.side, dtype=torch.float64)
        angle = {
            "dirichlet": math.pi * (i + 1) / (self.side + 1),
            "neumann": math.pi * i / self.side,
            "periodic": 2 * math.pi * i / self.side,
        }[self.boundary]
        return 4 * torch.sin(angle / 2).square()

    def eigenvalues(self) -> Tensor:
        """All eigenvalues, `[N^dim]`, float64."""
        axis = self.axis()
        total = axis + self.tau
        for _ in range(self.dim - 1):
            total = (total.unsqueeze(-1) + axis).flatten()
        return total

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """The operator with its extreme eigenvalues and its sparse entries."""
        side, dim, boundary = self.side, self.dim, self.boundary
        centre = 2.0 * dim + self.tau

        def product(v: Tensor) -> Tensor:
            grid = v.unflatten(0, (side,) * dim)
            out = grid * centre
            for axis in range(dim):
                inner, outer = grid.movedim(axis, 0), out.movedim(axis, 0)
                outer[1:] -= inner[:-1]
                outer[:-1] -= inner[1:]
                if boundary == "neumann":
                    outer[0] -= inner[0]
                    outer[-1] -= inner[-1]
                elif boundary == "periodic":
                    outer[0] -= inner[-1]
                    outer[-1] -= inner[0]
            return out.flatten(0, dim - 1)

        axis = self.axis()
        bounds = Bounds(
            low=self.tau + dim * float(axis.min()),
            high=self.tau + dim * float(axis.max()),
            provenance="exact",
            origin="closed form",
        )
        return Operator(
            kind="spd",
            n=side**dim,
            product=product,
            dtype=dtype,
            device=device,
            bounds=bounds if self.bounds == "known" else UNBOUNDED,
            entries=self.matrix,
        )

    def matrix(self) -> csc_array:
        """The sparse matrix A."""
        from scipy import sparse

        n = self.side
        path = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tolil()  # pyright: ignore[reportArgumentType]  # the stubs want arrays
        if self.boundary == "neumann":
            path[0, 0] -= 1.0
            path[n - 1, n - 1] -= 1.0
        elif self.boundary == "periodic":
            path[0, n - 1] = path[n - 1, 0] = -1.0
        path, eye = path.tocsr(), sparse.eye_array(n)
        total = path
        for d in range(1, self.dim):
            total = sparse.kron(total, eye) + sparse.kron(sparse.eye_array(n**d), path)
        return sparse.csc_array(total + self.tau * sparse.eye_array(n**self.dim))

    def truth(self) -> float:
        """The log-determinant."""
        return float(self.eigenvalues().log().sum())
