"""A circular convolution as a residual block, with its log-determinant frequency by frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench import task

from ..contract import Bounds, Operator
from ..lipschitz import circular, conv_symbol
from ..words import RESIDUAL_BUDGETS, RESIDUAL_COLUMNS
from .residual_variances import residual_sampling

if TYPE_CHECKING:
    from collections.abc import Callable

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling


@task(
    "convolution-block",
    "I + J of a circular 3 x 3 convolution with known norm, truth frequency by frequency",
    version=2,
    offers={"residual", "bounded", "variance"},
    facts={"rows": "channels * side * side", "allowed": "rows if budget == 0 else budget", "norm": "c"},
    suites={
        "standard": ("convolution-block[c=[0.5,0.7,0.9,0.98]]",),
        "full": ("convolution-block[c=[0.5,0.7,0.9,0.98]]",),
    },
    timed=(),
    budgets=RESIDUAL_BUDGETS,
    dtype="float64",
    headline=RESIDUAL_COLUMNS,
    order=170,
)
@task(
    "image-convolution",
    "I + J of a circular 3 x 3 convolution on 32 x 32 images with three channels, 3,072 rows",
    version=1,
    offers={"residual", "bounded", "variance"},
    facts={"rows": "channels * side * side", "allowed": "rows if budget == 0 else budget", "norm": "c"},
    suites={
        "standard": ("image-convolution[side=32,budget=60]",),
        "full": ("image-convolution[c=[0.5,0.7,0.9,0.98],side=32]",),
    },
    timed={"standard", "full"},
    budgets={"quick": 64, "standard": 256, "full": 4096},
    dtype="float64",
    headline=RESIDUAL_COLUMNS,
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class ConvolutionBlock:
    """g(x) = (c / s) K * x on an N x N torus, K[o, i, a, b] = sin(1 + o + 2 i + 3 a + 5 b), 3 x 3, indices from 0.

    s is the exact norm of K *, the largest spectral norm of the matrices Khat(w) over all frequencies, so that
    ||g'|| = c; the truth is sum_w log |det(I + c Khat(w) / s)|. The spectral radius is well below the norm (0.5 at
    c = 0.9): the radius may satisfy a condition that the norm violates.

    Args:
        c: Lipschitz constant, in (0, 1).
        side: N, >= 3.
        channels: number of channels, >= 1; n = channels N^2.
        budget: products that a repeat may spend; 0 means n.
    """

    c: float = 0.9
    side: int = 8
    channels: int = 3
    budget: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.c < 1:
            raise ValueError(f"c must be in (0, 1), got {self.c}; else x + g(x) need not be invertible")
        if self.side < 3 or self.channels < 1:
            raise ValueError(f"side must be >= 3 and channels >= 1, got {self.side} and {self.channels}")

    def kernel(self) -> Tensor:
        """The scaled kernel `[channels, channels, 3, 3]`, float64."""
        o, i = (torch.arange(self.channels, dtype=torch.float64).view(shape) for shape in ((-1, 1, 1, 1), (-1, 1, 1)))
        a, b = (torch.arange(3, dtype=torch.float64).view(shape) for shape in ((-1, 1), (-1,)))
        raw = torch.sin(1 + o + 2 * i + 3 * a + 5 * b)
        norm = torch.linalg.matrix_norm(conv_symbol(raw, (self.side, self.side)), 2).max()
        return raw * (self.c / norm)

    def symbol(self) -> Tensor:
        """J at each frequency, `[side^2, channels, channels]`, complex."""
        kernel = functional.pad(self.kernel(), (0, self.side - 3) * 2).roll((-1, -1), dims=(-2, -1))
        # A correlation's symbol at w is this one at -w: the sets are equal.
        return conv_symbol(kernel, (self.side, self.side)).flatten(0, 1)

    def truth(self) -> float:
        """The log-determinant of I + J over all frequencies."""
        symbol = self.symbol()
        eye = torch.eye(self.channels, dtype=symbol.dtype)
        return float(torch.linalg.slogdet(eye + symbol).logabsdet.sum())

    def operator(self, *, dtype: torch.dtype = torch.float64, device: torch.device | str = "cpu") -> Operator:
        """J: `mv` correlates with K, `rmv` with K turned by half a turn, channels exchanged."""
        kernel = self.kernel().to(device=device, dtype=dtype)
        return Operator(
            kind="residual",
            n=self.channels * self.side**2,
            product=self._product(kernel),
            transposed=self._product(kernel.flip(-1, -2).transpose(0, 1).contiguous()),
            dtype=dtype,
            device=device,
            bounds=Bounds(norm=self.c, provenance="exact", origin="singular values at every frequency"),
        )

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        op = self.operator(dtype=ctx.dtype, device=ctx.device)
        return residual_sampling(op, self.truth(), method, ctx, budget=self.budget, symbol=self.symbol)

    def _product(self, kernel: Tensor) -> Callable[[Tensor], Tensor]:
        shape = (-1, self.channels, self.side, self.side)
        return lambda v: circular(v.mT.reshape(shape), kernel).flatten(1).mT
