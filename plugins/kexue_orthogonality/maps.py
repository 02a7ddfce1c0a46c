"""Maps from free matrices to matrices with orthonormal columns, and back, used by parametrizations.

The two maps through a skew matrix start at a base point B with orthonormal columns, A = X B^T - B X^T, so that X = 0
gives B and every direction on the manifold is the image of some X: W = f(A) B with f the exponential or the Cayley
map. A has rank at most 2 k, and for tall matrices nothing larger than that is exponentiated or solved.
All functions take `[*, d, k]` with d >= k.
"""

from __future__ import annotations

import torch
from torch import Tensor


def cayley(free: Tensor, base: Tensor) -> Tensor:
    """(I - A/2)^-1 (I + A/2) B with A = X B^T - B X^T.

    For 2 k < d by the formula of Wen and Yin (2013, doi:10.1007/s10107-012-0584-1): a system of size 2 k.
    """
    d, k = base.shape[-2:]
    if 2 * k >= d:
        half = _skew(free, base) / 2
        eye = torch.eye(d, dtype=base.dtype, device=base.device)
        return torch.linalg.solve(eye - half, base + half @ base)
    left, right = _factors(free, base)
    system = -(right.mT @ left) / 2
    system = system + torch.eye(2 * k, dtype=base.dtype, device=base.device)
    return base + left @ torch.linalg.solve(system, right.mT @ base)


def exponential(free: Tensor, base: Tensor) -> Tensor:
    """exp(A) B with A = X B^T - B X^T.

    For 4 k < d as B + U phi(V^T U) V^T B, where A = U V^T and phi(M) = (exp(M) - 1) / M is a block of the exponential
    of [[M, I], [0, 0]]: a matrix of size 4 k.
    """
    d, k = base.shape[-2:]
    if 4 * k >= d:
        return torch.linalg.matrix_exp(_skew(free, base)) @ base
    left, right = _factors(free, base)
    inner = right.mT @ left
    eye = torch.eye(2 * k, dtype=base.dtype, device=base.device).expand_as(inner)
    top = torch.cat([inner, eye], dim=-1)
    phi = torch.linalg.matrix_exp(torch.cat([top, torch.zeros_like(top)], dim=-2))[..., : 2 * k, 2 * k :]
    return base + left @ (phi @ (right.mT @ base))


def householder(free: Tensor, signs: Tensor) -> Tensor:
    """H_1 ... H_k I S: k reflections H = I - 2 v v^T / |v|^2, their first columns, and signs.

    v_i is 1 at i, what `free` holds below, and 0 above. The signs are kept apart from what is trained: weight decay
    cannot change them, and at X = 0 the matrix is still orthogonal.

    Args:
        free: X; only entries below its diagonal are used.
        signs: diagonal of S, 1 or -1, `[*, k]`.
    """
    vectors = free.tril(-1)
    scales = 2 / (1 + vectors.square().sum(-2))
    return torch.linalg.householder_product(vectors, scales) * signs.unsqueeze(-2)


def reflections(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """X and signs with `householder(X, signs)` equal to a matrix with orthonormal columns."""
    packed, _ = torch.geqrf(matrix)
    free = packed.tril(-1)
    plain = householder(free, torch.ones_like(matrix[..., 0, :]))
    # If there is nothing to reflect, LAPACK takes the identity and this map a change of sign.
    return free, (plain * matrix).sum(-2).sign()


def _skew(free: Tensor, base: Tensor) -> Tensor:
    half = free @ base.mT
    return half - half.mT


def _factors(free: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
    """U and V with A = U V^T, `[*, d, 2 k]`."""
    return torch.cat([free, -base], dim=-1), torch.cat([base, free], dim=-1)
