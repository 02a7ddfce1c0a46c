"""Lanczos with full reorthogonalisation for many start vectors at once, and Gauss quadrature in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from .contract import Operator


def lanczos(op: Operator, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The tridiagonal matrices T_k of A on the Krylov spaces of unit vectors.

    Each step orthogonalises twice against the whole basis ("twice is enough", Giraud et al. 2005): without it Ritz
    values repeat and log-determinants come out too large. A row whose Krylov space is exhausted goes on as a decoupled
    block of ones, which no quadrature from the first coordinate sees.

    Args:
        op: a symmetric operator.
        start: unit vectors as rows, `[*batch_shape, m, n]`.
        steps: number k of steps; at most n are taken. Costs min(k, n) * m products.

    Returns:
        The diagonals `[*batch_shape, m, k]` and off-diagonals `[*batch_shape, m, k - 1]`, float64.
    """
    *lead, n = start.shape
    steps = min(steps, n)
    diagonal = torch.ones(*lead, steps, dtype=torch.float64, device=start.device)
    off = torch.zeros(*lead, steps - 1, dtype=torch.float64, device=start.device)
    basis = start.new_empty(*lead, steps, n)
    alive = torch.ones(lead, dtype=torch.bool, device=start.device)
    scale = start.new_zeros(lead)
    floor = 10 * n**0.5 * torch.finfo(start.dtype).eps
    q = start
    for j in range(steps):
        basis[..., j, :] = q
        w = op.mv(q.mT).mT
        alpha = (q * w).sum(-1)
        diagonal[..., j] = torch.where(alive, alpha, 1.0)
        if j == steps - 1:
            break
        known = basis[..., : j + 1, :]
        for _ in range(2):
            w = w - ((w.unsqueeze(-2) @ known.mT) @ known).squeeze(-2)
        beta = w.norm(dim=-1)
        scale = torch.maximum(scale, alpha.abs() + beta)
        alive = alive & (beta > floor * scale)
        off[..., j] = torch.where(alive, beta, 0.0)
        q = torch.where(alive.unsqueeze(-1), w / beta.unsqueeze(-1), 0.0)
    return diagonal, off


def log_quadrature(diagonal: Tensor, off: Tensor) -> Tensor:
    """e_1^T log(T) e_1 for symmetric tridiagonal T: the k-point Gauss rule for v^T log(A) v with |v| = 1.

    A Ritz value <= 0 gives nan or -inf: the operator was not positive definite at this precision, and hiding it would
    bias the value.

    Args:
        diagonal: `[*batch, k]`, float64.
        off: `[*batch, k - 1]`, float64.

    Returns:
        One value for each matrix, `[*batch]`, float64.
    """
    lower = torch.diag_embed(diagonal) + torch.diag_embed(off, -1)
    theta, vectors = torch.linalg.eigh(lower)
    return (vectors[..., 0, :].square() * theta.log()).sum(-1)
