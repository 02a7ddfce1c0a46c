"""Invertible residual networks (arXiv:1811.00995, 1906.02735) whose log-determinants any method can estimate."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from .contract import Bounds, LogdetMethod, LogdetSample, Operator
from .lipschitz import Residual, linear_residual

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

_GROWTH = 128
"""Allowance for the growth of a block's decoding error in later blocks; trained flows needed up to 74."""


def differentiable(sample: LogdetSample) -> Tensor:
    """A tensor with the value of the estimate and, on backward, its gradient estimate, by surrogate or graph.

    Returns:
        `[R, *batch_shape]`, float64.

    Raises:
        ValueError: the sample carries neither a surrogate nor a graph.
    """
    if sample.surrogate is not None:
        return sample.value.detach() + (sample.surrogate - sample.surrogate.detach())
    if sample.value.requires_grad:
        return sample.value
    raise ValueError(
        "this method provides no gradient: its sample has neither a surrogate nor a graph; use neumann-roulette"
    )


class InvertibleBlock(nn.Module):
    """z = x + g(x) with a `lipschitz` constant of g below 1, so that it is invertible with a positive determinant.

    Args:
        residual: g, `[B, *features]` -> the same shape, without mixing rows (no batch statistics).
        lipschitz: a proven bound of its Lipschitz constant, in (0, 1).
    """

    def __init__(self, residual: nn.Module, lipschitz: float) -> None:
        super().__init__()
        if not 0 < lipschitz < 1:
            raise ValueError(f"lipschitz must be in (0, 1), got {lipschitz}; else x + g(x) need not be invertible")
        self.residual, self.lipschitz = residual, lipschitz

    def forward(self, x: Tensor) -> Tensor:
        """`[B, *features]` -> the same shape."""
        return x + self.residual(x)

    def with_logdet(self, x: Tensor, method: LogdetMethod, noise: Noise) -> tuple[Tensor, Tensor]:
        """The block and log |det dz/dx| of each row.

        Args:
            x: `[B, *features]`.
            method: any method of the family that fits residual operators.
            noise: its randomness.

        Returns:
            z like x, and `[B]`, float64; with grad enabled both carry graphs, the second that of the method's gradient
            estimate.

        Raises:
            ValueError: a gradient is required and the method provides none.
        """
        wanted = torch.is_grad_enabled()
        x, y, op = self._linearised(x)
        sample = method.estimate(op, sys.maxsize, noise, 1)
        if wanted:
            return x + y, differentiable(sample).squeeze(0)
        return (x + y).detach(), sample.value.squeeze(0).detach()

    def jacobian(self, x: Tensor) -> Operator:
        """The transposed Jacobians J^T of g, one per row of x; log |det(I + J^T)| = log |det(I + J)|.

        Transposed because one product with J^T is one backward pass; `rmv`, products with J, takes two. Under
        `torch.enable_grad()` products carry the graph of the parameters.
        """
        return self._linearised(x)[2]

    def inverse(self, z: Tensor, *, tolerance: float = 0.0) -> Tensor:
        """The x with x + g(x) = z, by x <- z - g(x).

        With c the Lipschitz constant, |x_k - x| <= c / (1 - c) |x_k - x_(k-1)|: a row has converged when this
        bound, in the units of x, is at most the tolerance or the rounding of x, or when only rounding changes it.

        Args:
            z: `[B, *features]`.
            tolerance: largest Euclidean error of a row; 0 requests the precision of the dtype.

        Raises:
            ArithmeticError: the steps did not shrink as the Lipschitz constant requires.
        """
        c, eps = self.lipschitz, torch.finfo(z.dtype).eps
        found, open_rows, x = z.clone(), torch.arange(len(z), device=z.device), z
        before = z.new_full((len(z),), math.inf)
        most, k = 0.0, 0
        with torch.no_grad():
            while len(open_rows):
                step = z[open_rows] - self.residual(x) - x
                x = x + step
                moved = step.flatten(1).norm(dim=1)
                floor = eps * (z[open_rows].flatten(1).norm(dim=1) + x.flatten(1).norm(dim=1)).clamp_min(eps)
                bound = c / (1 - c) * moved
                if k == 0:
                    # |step_k| <= c^k |step_0|
                    most = 10 + math.log(max(1.0, float((bound / floor).max()))) / -math.log(c)
                stuck = (moved >= before) & (moved <= (floor / (1 - c) if k > most else floor))
                going = ~((bound <= floor.clamp_min(tolerance)) | stuck)
                found[open_rows] = x
                grown = moved > before + floor / (1 - c)
                if bool(grown.any()) or (k > 2 * most and bool(going.any())):
                    raise ArithmeticError(
                        f"the fixed point must be reached in {math.ceil(most)} steps for a Lipschitz constant of {c}, "
                        f"got a step of {float(moved.max()):.3g} after {k}; the residual branch violates its bound"
                    )
                open_rows, x, before, k = open_rows[going], x[going], moved[going], k + 1
        return found

    def _linearised(self, x: Tensor) -> tuple[Tensor, Tensor, Operator]:
        """The input with a graph, g of it, and the operator; one forward pass serves all products."""
        wanted, shape = torch.is_grad_enabled(), x.shape
        with torch.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            y = self.residual(x)
        products = _Products(x=x, y=y)
        op = Operator(
            kind="residual",
            n=math.prod(shape[1:]),
            product=products.pull,
            transposed=products.push,
            dtype=x.dtype,
            device=x.device,
            batch_shape=(shape[0],),
            bounds=Bounds(norm=self.lipschitz, provenance="proven", origin="product of the layers' caps"),
            params=tuple(p for p in self.parameters() if p.requires_grad) if wanted else (),
        )
        return x, y, op


@dataclass(frozen=True, kw_only=True)
class _Products:
    """Products with the Jacobians of y in x, row by row, columns `[B, n, m]`; on a graph if grad is enabled."""

    x: Tensor
    y: Tensor

    def pull(self, v: Tensor) -> Tensor:
        """J^T v."""
        rows = v.movedim(-1, 0).reshape(-1, *self.y.shape)
        if len(rows) == 1:
            # The same without torch's batching of backward passes, which costs more than one of them.
            return self._back(rows[0], batched=False).flatten(1).unsqueeze(-1)
        return self._back(rows, batched=True).flatten(2).movedim(0, -1)

    def push(self, v: Tensor) -> Tensor:
        """J v, as the transpose of the linear map u -> J^T u."""
        keep = torch.is_grad_enabled()
        with torch.enable_grad():
            u = torch.zeros_like(self.y).requires_grad_()
            back = torch.autograd.grad(self.y, self.x, u, create_graph=True)[0]
        columns = [
            torch.autograd.grad(back, u, column.reshape(self.x.shape), create_graph=keep, retain_graph=True)[0]
            for column in v.unbind(-1)
        ]
        return torch.stack([column.flatten(1) for column in columns], dim=-1)

    def _back(self, cotangents: Tensor, *, batched: bool) -> Tensor:
        keep = torch.is_grad_enabled()
        return torch.autograd.grad(
            self.y, self.x, cotangents, create_graph=keep, retain_graph=True, is_grads_batched=batched
        )[0]


class Affine(nn.Module):
    """z = (x + shift) exp(log_scale), one pair per feature (ActNorm, arXiv:1807.03039).

    Args:
        features: number of features.
    """

    def __init__(self, features: int, *, dtype: torch.dtype, device: torch.device | str) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(features, dtype=dtype, device=device))
        self.log_scale = nn.Parameter(torch.zeros(features, dtype=dtype, device=device))

    @torch.no_grad()
    def fit_(self, x: Tensor) -> None:
        """Set the parameters so that the rows of x have mean 0 and standard deviation 1."""
        self.shift.copy_(-x.mean(0))
        self.log_scale.copy_(-x.std(0, correction=0).log())

    def forward(self, x: Tensor) -> Tensor:
        """`[B, features]` -> the same shape."""
        return (x + self.shift) * self.log_scale.exp()

    def logdet(self) -> Tensor:
        """The log-determinant, equal for every row."""
        return self.log_scale.sum()

    def inverse(self, z: Tensor) -> Tensor:
        """The inverse map."""
        return z / self.log_scale.exp() - self.shift


class InvertibleResNet(nn.Module):
    """A density over R^d: blocks x + g(x) with affine maps before, between and after them, onto a standard normal.

    Codes and decoded points are carried in float64 from block to block whatever the dtype of points and weights.
    Decoding is ill-conditioned, up to (1 - c)^-1 per block: rounding to float32 after each of eight trained blocks of c
    = 0.9 costs 2e-5 in the decoded point, rounding only the code 1e-6. `log_prob`, which is used for training, keeps
    the dtype of its points.

    Args:
        blocks: at least one; `drawn` creates those of a dense network.
        dim: d.
    """

    def __init__(self, blocks: list[InvertibleBlock], *, dim: int) -> None:
        super().__init__()
        if not blocks:
            raise ValueError("a network needs at least one block, got none")
        first = next(blocks[0].parameters())
        self.dim = dim
        self.blocks = nn.ModuleList(blocks)
        self.affines = nn.ModuleList(
            Affine(dim, dtype=first.dtype, device=first.device) for _ in range(len(blocks) + 1)
        )

    @classmethod
    def drawn(
        cls, noise: Noise, *, dim: int, blocks: int = 8, width: int = 64, depth: int = 3, cap: float = 0.9
    ) -> InvertibleResNet:
        """A network with random weights: each block has `depth` hidden layers and a Lipschitz constant below `cap`."""
        parts = [linear_residual(noise, dim=dim, width=width, depth=depth, cap=cap) for _ in range(blocks)]
        return cls([InvertibleBlock(part, cap) for part in parts], dim=dim)

    @torch.no_grad()
    def fit_(self, x: Tensor) -> None:
        """Set the affine maps so that these rows are centered and scaled before every block and the normal."""
        for affine, block in zip(self.affines, [*self.blocks, None], strict=True):
            cast("Affine", affine).fit_(x)
            x = affine(x)
            x = x if block is None else block(x)

    def forward(self, x: Tensor) -> Tensor:
        """The code z of x, both `[B, d]`."""
        wide = x.double()
        for affine, block in zip(self.affines, self.blocks, strict=False):
            wide = block(affine(wide))
        return self.affines[-1](wide).to(x.dtype)

    def log_prob(self, x: Tensor, method: LogdetMethod, noise: Noise) -> Tensor:
        """Log-density log p(x) in nats for each row, `[B]`, float64; its backward gives the method's gradient estimate.

        Args:
            x: `[B, d]`.
            method: estimates the log-determinants.
            noise: its randomness; each block gets a separate stream.
        """
        total = torch.zeros((), dtype=torch.float64, device=x.device)
        for i, (affine, block) in enumerate(zip(self.affines, self.blocks, strict=False)):
            x, logdet = cast("InvertibleBlock", block).with_logdet(affine(x), method, noise.at(i))
            total = total + logdet + cast("Affine", affine).logdet()
        last = cast("Affine", self.affines[-1])
        z = last(x).double()
        return total + last.logdet() - z.square().sum(1) / 2 - self.dim / 2 * math.log(2 * math.pi)

    @torch.no_grad()
    def inverse(self, z: Tensor, *, tolerance: float = 0.0) -> Tensor:
        """The x of code z, both `[B, d]`.

        Args:
            z: codes.
            tolerance: largest error that a block adds, see `InvertibleBlock.inverse`; 0 requests the precision of the
                dtype of z.

        Raises:
            ArithmeticError: see `InvertibleBlock.inverse`.
        """
        # Codes are of unit scale, and the error of a block grows on its way through the others.
        tolerance = tolerance or torch.finfo(z.dtype).eps / _GROWTH
        x = cast("Affine", self.affines[-1]).inverse(z.double())
        for affine, block in reversed(list(zip(self.affines, self.blocks, strict=False))):
            x = cast("Affine", affine).inverse(cast("InvertibleBlock", block).inverse(x, tolerance=tolerance))
        return x.to(z.dtype)

    def sample(self, n: int, noise: Noise) -> Tensor:
        """Rows from the density, `[n, d]`."""
        return self.inverse(noise.normal(n, self.dim))

    def norms(self) -> list[float]:
        """For each block, the product of the true spectral norms of its layers: never above the cap."""
        return [cast("Residual", block.residual).norm() for block in self.blocks]
