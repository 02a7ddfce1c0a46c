"""Matrices with orthonormal columns as a manifold: tangents, retractions, and the landing field.

All functions take `[*, d, k]` with d >= k, and the Euclidean gradient G of the function to minimize.
"""

from __future__ import annotations

import torch
from torch import Tensor


def tangent(matrix: Tensor, gradient: Tensor) -> Tensor:
    """G - W (W^T G + G^T W) / 2: the gradient along the manifold at W, in the Euclidean metric."""
    inner = matrix.mT @ gradient
    return gradient - matrix @ (inner + inner.mT) / 2


def qr_retraction(matrix: Tensor) -> Tensor:
    """Q of W = Q R with a positive diagonal of R, so that Q is continuous in W and keeps the determinant's sign.

    It is orthogonal, but the nearest such matrix is the polar factor.
    """
    q, r = torch.linalg.qr(matrix)
    signs = r.diagonal(dim1=-2, dim2=-1).sign()
    return q * signs.where(signs != 0, 1.0).unsqueeze(-2)


def defect(matrix: Tensor) -> Tensor:
    """W^T W - I, `[*, k, k]`."""
    gram = matrix.mT @ matrix
    gram.diagonal(dim1=-2, dim2=-1).sub_(1)
    return gram


def landing_field(matrix: Tensor, gradient: Tensor, strength: float) -> Tensor:
    """psi(W) W + lambda W (W^T W - I) with psi = (G W^T - W G^T) / 2 (arXiv:2102.07432, 2303.16510).

    psi is d x d and never formed. The second term is the gradient of lambda / 4 |W^T W - I|^2 and orthogonal to the
    first.
    """
    defects = defect(matrix)
    along = (gradient + gradient @ defects - matrix @ (gradient.mT @ matrix)) / 2
    return along + strength * (matrix @ defects)


def safe_step(distance: Tensor, speed: Tensor, *, strength: float, radius: float) -> Tensor:
    """The largest step along a landing field F that stays within |W^T W - I| <= radius.

    With D = W^T W - I the field gives D - 2 eta lambda (D + D^2) + eta^2 F^T F after a step, whose norm is at most
    d - 2 eta lambda d (1 - d) + eta^2 |F|^2 for eta <= 1 / (2 lambda); the root of that bound at the radius is
    (b + sqrt(b^2 + |F|^2 (radius - d))) / |F|^2 with b = lambda d (1 - d).

    Args:
        distance: d = |D|, at most the radius, `[*]`.
        speed: |F|, `[*]`.
        strength: lambda > 0.
        radius: in (0, 1).
    """
    pull = strength * distance * (1 - distance)
    square = speed.square()
    root = (pull.square() + square * (radius - distance).clamp_min(0)).sqrt()
    cap = 1 / (2 * strength)
    return torch.where(square > 0, (pull + root) / square.where(square > 0, 1.0), cap).clamp_max(cap)
