"""Exact laws of linear samplers on a Gaussian: stationary covariance, and mean and covariance of chain averages.

For z' = A z + B xi the stationary covariance S solves S = A S A' + B B'. Let y_t = u' Q z_t with autocovariances
g(k) = u' Q A^k S Q' u. The average of y over n positions has variance sum_{|k|<n} (n - |k|) g(k) / n^2, that of y^2 the
same with 2 g(k)^2, because y is Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.linalg import solve_discrete_lyapunov
from torch import Tensor

from ..contract import Linear


@dataclass(frozen=True, kw_only=True)
class Averages:
    """Exact moments of the averages of y = u' x and y^2 over a stationary chain, for each of K directions u.

    Args:
        law: g(0), the stationary variance of y, `[K]`.
        first: variance of the average of y, `[K]`.
        second: variance of the average of y^2, `[K]`.
    """

    law: Tensor
    first: Tensor
    second: Tensor


def stable(linear: Linear) -> bool:
    """Whether the recursion has a stationary law: all eigenvalues of A lie inside the unit circle."""
    return float(torch.linalg.eigvals(linear.A).abs().max()) < 1


def covariance(linear: Linear) -> Tensor:
    """The stationary covariance S of z, `[m, m]`, float64.

    Raises:
        ValueError: there is none.
    """
    if not stable(linear):
        radius = float(torch.linalg.eigvals(linear.A).abs().max())
        raise ValueError(
            f"the chain has no stationary law, got a spectral radius of {radius:.4g}; reduce the step size"
        )
    noise = linear.B @ linear.B.mT
    return torch.from_numpy(solve_discrete_lyapunov(linear.A.numpy(), noise.numpy()))


def averages(linear: Linear, directions: Tensor, n: int) -> Averages:
    """Moments of averages over n positions of a stationary chain, for directions `[d, K]`."""
    left = linear.Q.mT @ directions
    right = covariance(linear) @ left
    first = second = torch.zeros(directions.shape[1], dtype=torch.float64)
    law = (left * right).sum(0)
    for k in range(n):
        gamma = (left * right).sum(0)
        weight = (1 if k == 0 else 2) * (n - k) / n**2
        first, second = first + weight * gamma, second + 2 * weight * gamma.square()
        right = linear.A @ right
    return Averages(law=law, first=first, second=second)
