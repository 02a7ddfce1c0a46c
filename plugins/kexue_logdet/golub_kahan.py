"""Golub-Kahan bidiagonalization of M = I + J with full reorthogonalization, for many start vectors at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .contract import Operator


@dataclass(frozen=True, kw_only=True)
class Bidiagonal:
    """M V = U B with B upper bidiagonal, U and V orthonormal, V starting from the given vector.

    Args:
        diagonal: diagonal of B, `[*batch, k]`, float64.
        off: superdiagonal of B, `[*batch, k - 1]`, float64.
        left: rows are the columns of U, `[*batch, k, n]`.
    """

    diagonal: Tensor
    off: Tensor
    left: Tensor

    def leading(self, steps: int) -> Bidiagonal:
        """The same after fewer steps."""
        return Bidiagonal(
            diagonal=self.diagonal[..., :steps], off=self.off[..., : steps - 1], left=self.left[..., :steps, :]
        )

    def matrix(self) -> Tensor:
        """B, `[*batch, k, k]`."""
        return torch.diag_embed(self.diagonal) + torch.diag_embed(self.off, 1)

    def log_quadrature(self) -> Tensor:
        """e_1^T log(B^T B) e_1 / 2: the k-point Gauss rule for v^T log(M^T M) v / 2 with |v| = 1; `[*batch]`."""
        _, singular, right = torch.linalg.svd(self.matrix())
        return (right[..., 0].square() * singular.log()).sum(-1)

    def left_solution(self) -> Tensor:
        """U B^-T e_1, the approximation of M^-T v in the left Krylov space, exact at k = n; `[*batch, n]`."""
        lower = self.matrix().mT
        e1 = torch.zeros_like(self.diagonal)
        e1[..., 0] = 1
        weights = torch.linalg.solve_triangular(lower, e1.unsqueeze(-1), upper=False)
        return (self.left.to(weights.dtype).mT @ weights).squeeze(-1)


def bidiagonalise(op: Operator, start: Tensor, steps: int) -> Bidiagonal:
    """Take k = min(steps, n) steps from unit vectors.

    Both bases are orthogonalized twice against all earlier vectors. A row whose Krylov space is exhausted continues as
    a decoupled block of ones, which does not affect quadrature from the first coordinate.

    Args:
        op: a residual operator with a transpose; (2 k - 1) m products are spent.
        start: unit vectors as rows, `[*batch_shape, m, n]`.
        steps: number of steps, >= 1.
    """
    n = start.shape[-1]
    steps = min(steps, n)
    floor = 10 * n**0.5 * torch.finfo(start.dtype).eps
    alive = torch.ones(start.shape[:-1], dtype=torch.bool, device=start.device)
    diagonal, off = [], []
    right, left = [start], []
    v, back = start, torch.zeros_like(start)
    for j in range(steps):
        u = v + op.mv(v.mT).mT - back
        u, alpha = _unit(_orthogonal(u, left), alive)
        # A singular M ends the row too; its true diagonal entry of 0 is kept, and yields log 0.
        diagonal.append(torch.where(alive, alpha.double(), 1.0))
        left.append(u)
        if j == steps - 1:
            break
        w = u + op.rmv(u.mT).mT - alpha.unsqueeze(-1) * v
        w, beta = _unit(_orthogonal(w, right), alive)
        alive = alive & (beta > floor * alpha) & (alpha > 0)
        off.append(torch.where(alive, beta.double(), 0.0))
        v = torch.where(alive.unsqueeze(-1), w, 0.0)
        right.append(v)
        back = torch.where(alive, beta, 0.0).unsqueeze(-1) * u
    return Bidiagonal(
        diagonal=torch.stack(diagonal, dim=-1),
        off=torch.stack(off, dim=-1) if off else start.new_zeros(*start.shape[:-1], 0, dtype=torch.float64),
        left=torch.stack(left, dim=-2),
    )


def _orthogonal(w: Tensor, basis: list[Tensor]) -> Tensor:
    """The rows w minus their projection onto the basis; twice is enough."""
    if not basis:
        return w
    known = torch.stack(basis, dim=-2)
    for _ in range(2):
        w = w - ((w.unsqueeze(-2) @ known.mT) @ known).squeeze(-2)
    return w


def _unit(w: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
    """The rows w over their norm if the row is active and the norm is not 0, and the norm."""
    norm = w.norm(dim=-1)
    good = alive & (norm > 0)
    return torch.where(good.unsqueeze(-1), w / norm.unsqueeze(-1), 0.0), norm
