"""Lanczos for many start vectors at once, Gauss and Gauss-Radau quadrature in float64, and functions of an operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .contract import Operator

Function = Callable[[Tensor], Tensor]
_ROUNDING = 1e-13


@dataclass(frozen=True, kw_only=True)
class Krylov:
    """Result of k Lanczos steps from unit vectors.

    Args:
        diagonal: diagonals of the tridiagonal matrices T_k, `[*batch_shape, m, k]`, float64.
        off: their off-diagonals `[*batch_shape, m, k - 1]`, float64.
        residual: norm of the residual of the last step, `[*batch_shape, m]`, float64; 0 if the space is exhausted.
        basis: orthonormal rows `[*batch_shape, m, k, n]`; empty (k = 0) if it was not kept.
    """

    diagonal: Tensor
    off: Tensor
    residual: Tensor
    basis: Tensor


def krylov(op: Operator, start: Tensor, steps: int, *, reorthogonalise: bool = True) -> Krylov:
    """The tridiagonal matrices T_k of A on the Krylov spaces of unit vectors.

    Each step orthogonalizes twice against the whole basis ("twice is enough", Giraud et al. 2005): without this Ritz
    values repeat and log-determinants are too large. A row whose Krylov space is exhausted continues as a decoupled
    block of ones, which does not affect quadrature from the first coordinate.

    Args:
        op: a symmetric operator.
        start: unit vectors as rows, `[*batch_shape, m, n]`.
        steps: number k of steps; at most n are taken. Costs min(k, n) * m products.
        reorthogonalise: False keeps two vectors instead of k, and no basis.
    """
    *lead, n = start.shape
    steps = min(steps, n)
    diagonal = torch.ones(*lead, steps, dtype=torch.float64, device=start.device)
    off = torch.zeros(*lead, steps - 1, dtype=torch.float64, device=start.device)
    residual = torch.zeros(lead, dtype=torch.float64, device=start.device)
    basis = start.new_empty(*lead, steps if reorthogonalise else 0, n)
    alive = (start != 0).any(-1)
    scale = start.new_zeros(lead)
    # Rounding of a product is eps |A q|, whatever n. In float64 there is room for a larger share.
    floor = 10 * torch.finfo(start.dtype).eps * (n**0.5 if start.dtype == torch.float64 else 1.0)
    q, previous, beta = start, None, scale
    for j in range(steps):
        w = op.mv(q.mT).mT
        alpha = (q * w).sum(-1)
        # Within the spectrum, so that bounds read off T hold; 1 for a row of zeros, which has no spectrum.
        diagonal[..., j] = torch.where(alive, alpha.to(torch.float64), diagonal[..., 0])
        if reorthogonalise:
            basis[..., j, :] = q
            known = basis[..., : j + 1, :]
            for _ in range(2):
                w = w - ((w.unsqueeze(-2) @ known.mT) @ known).squeeze(-2)
        else:
            w = torch.addcmul(w, q, alpha.unsqueeze(-1), value=-1)
            if previous is not None:
                w.addcmul_(previous, beta.unsqueeze(-1), value=-1)
            previous = q
        beta = w.norm(dim=-1)
        scale = torch.maximum(scale, alpha.abs() + beta)
        alive = alive & (beta > floor * scale)
        (off[..., j] if j < steps - 1 else residual).copy_(torch.where(alive, beta, 0.0))
        q = torch.where(alive.unsqueeze(-1), w / beta.unsqueeze(-1), 0.0) if j < steps - 1 else q
    return Krylov(diagonal=diagonal, off=off, residual=residual, basis=basis)


def quadrature(diagonal: Tensor, off: Tensor, function: Function = torch.log) -> Tensor:
    """e_1^T f(T) e_1 for symmetric tridiagonal T: the k-point Gauss rule for v^T f(A) v with |v| = 1.

    A Ritz value <= 0 gives nan or -inf for the logarithm: the operator was not positive definite at this precision, and
    hiding it would bias the value.

    Args:
        diagonal: `[*batch, k]`, float64.
        off: `[*batch, k - 1]`, float64.
        function: f, applied to the eigenvalues.

    Returns:
        One value for each matrix, `[*batch]`, float64.
    """
    theta, vectors = torch.linalg.eigh(_tridiagonal(diagonal, off))
    return (vectors[..., 0, :].square() * function(theta)).sum(-1)


def radau_quadrature(space: Krylov, node: float, function: Function = torch.log) -> Tensor:
    """The (k + 1)-point Gauss-Radau rule for v^T f(A) v with one node prescribed, without further products.

    With the node at or below the smallest eigenvalue the rule is never too large for the logarithm, whose odd
    derivatives are positive (Golub and Meurant 1994), and never too small for the reciprocal; the Gauss rule errs on
    the other side, so the two form a bracket.

    Returns:
        One value for each start vector, `[*batch_shape, m]`, float64; that of the Gauss rule if the space is
        exhausted.
    """
    # A Ritz value that has reached the node would cause a division by 0; a lower node is equally valid.
    rounding = _ROUNDING * space.diagonal.amax(-1, keepdim=True)
    nodes = node - rounding.clamp_max(node / 2)
    shifted = _tridiagonal(space.diagonal - nodes, space.off)
    end = torch.zeros(*shifted.shape[:-1], 1, dtype=torch.float64, device=shifted.device)
    end[..., -1, 0] = space.residual.square()
    # `_tridiagonal` fills only the lower triangle.
    symmetric = shifted + shifted.tril(-1).mT
    last = nodes.squeeze(-1) + torch.linalg.solve(symmetric, end)[..., -1, 0]
    diagonal = torch.cat([space.diagonal, last.unsqueeze(-1)], dim=-1)
    off = torch.cat([space.off, space.residual.unsqueeze(-1)], dim=-1)
    return quadrature(diagonal, off, function)


def apply(op: Operator, rows: Tensor, steps: int, function: Function = torch.log) -> tuple[Tensor, Krylov, Tensor]:
    """f(A) v for each row v, by min(k, n) Lanczos steps each: |v| Q f(T) e_1; exact at k = n.

    Args:
        op: an SPD operator.
        rows: `[*batch_shape, m, n]`; a row of zeros yields zeros.
        steps: number k of steps; costs min(k, n) * m products.
        function: f, applied to the eigenvalues.

    Returns:
        `[*batch_shape, m, n]`, of the operator's dtype; the Krylov spaces of the normalized rows; and their Gauss rules
        `[*batch_shape, m]` as by `quadrature`, the first coordinate on the basis.
    """
    norm = rows.norm(dim=-1, keepdim=True)
    space = krylov(op, torch.where(norm > 0, rows / norm, 0.0), steps)
    weights = _weights(space, function)
    return torch.where(norm > 0, norm * _on_basis(space, weights), 0.0), space, weights[..., 0]


def solve(space: Krylov, norm: Tensor) -> Tensor:
    """A^-1 v = |v| Q T^-1 e_1 for the start vectors v of a Krylov space (k conjugate-gradient steps), without products.

    Args:
        space: a Krylov space with its basis.
        norm: |v|, `[*batch_shape, m]`.

    Returns:
        `[*batch_shape, m, n]`.
    """
    return norm.unsqueeze(-1) * _on_basis(space, _weights(space, torch.reciprocal))


def _weights(space: Krylov, function: Function) -> Tensor:
    """f(T) e_1, `[*batch_shape, m, k]`, float64."""
    theta, vectors = torch.linalg.eigh(_tridiagonal(space.diagonal, space.off))
    return (vectors @ (function(theta) * vectors[..., 0, :]).unsqueeze(-1)).squeeze(-1)


def _on_basis(space: Krylov, weights: Tensor) -> Tensor:
    return (weights.to(space.basis.dtype).unsqueeze(-2) @ space.basis).squeeze(-2)


def _tridiagonal(diagonal: Tensor, off: Tensor) -> Tensor:
    """The lower triangle, which `eigh` reads."""
    return torch.diag_embed(diagonal) + torch.diag_embed(off, -1)
