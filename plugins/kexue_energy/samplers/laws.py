"""Exact laws of linear samplers on a Gaussian: stationary covariance, and mean and covariance of chain averages.

For z' = A z + B xi the stationary covariance S solves S = A S A' + B B'. Let y_t = u' Q z_t with autocovariances
g(k) = u' Q A^k S Q' u. The average of y over n positions has variance sum_{|k|<n} (n - |k|) g(k) / n^2, that of y^2 the
same with 2 g(k)^2, because y is Gaussian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.linalg import solve_discrete_lyapunov
from scipy.special import betainc
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


# -- acceptance on N(0, I_d), at stationarity -------------------------------------------------------------------------
# By reversibility it is 2 P(log ratio > 0), and the log ratio is a difference of two scaled chi-squares of d degrees of
# freedom, so that it is 2 I_u(d/2, d/2), the regularized incomplete beta function.


def mala_acceptance(h: float, dim: int) -> float:
    """That of MALA: u = (1 - 1 / sqrt(1 + 8 / h^3)) / 2."""
    return _twice_beta((1 - 1 / math.sqrt(1 + 8 / h**3)) / 2, dim)


def hmc_acceptance(eps: float, leaps: int, dim: int) -> float:
    """That of HMC: u = 1 / (1 + s), s + 1 / s = 2 cos^2(L t) + sin^2(L t) (q + 1 / q), q = 1 - eps^2 / 4.

    Raises:
        ValueError: the leapfrog is unstable, eps >= 2.
    """
    if eps >= 2:
        raise ValueError(f"eps must be < 2 for a stable leapfrog on N(0, I), got {eps}")
    angle, q = leaps * math.acos(1 - eps**2 / 2), 1 - eps**2 / 4
    # The sum is 2 + sin^2(L t) (q + 1 / q - 2): the excess alone keeps its digits where it is small.
    excess = math.sin(angle) ** 2 * (1 - q) ** 2 / q
    half = 1 + excess / 2
    s = half + math.sqrt(excess + excess**2 / 4)
    return _twice_beta(1 / (1 + s), dim)


def walk_acceptance(sd: float, dim: int) -> float:
    """That of the random walk: u = (1 - s / sqrt(s^2 + 4)) / 2; in one dimension (2 / pi) atan(2 / s)."""
    return _twice_beta((1 - sd / math.sqrt(sd**2 + 4)) / 2, dim)


def swap_acceptance(ratio: float, dim: int) -> float:
    """That of an exchange between two temperatures: u = 1 / (1 + ratio)."""
    return _twice_beta(1 / (1 + ratio), dim)


def _twice_beta(u: float, dim: int) -> float:
    return 2 * float(betainc(dim / 2, dim / 2, u))
