"""The exact law of an average on a quadratic: what SGD with constant noise makes of the start, and of the noise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def law(averager: object, curvature: Tensor, rate: float, n: int) -> tuple[Tensor, Tensor] | None:
    """Mean and variance of the average after n steps of theta' = theta - rate (curvature theta + xi), xi ~ N(0, 1).

    From `weights` of the averager: with r = 1 - rate curvature the iterate theta_k is r^k theta_0 - rate sum_j
    r^(k - j) xi_j, so that xi_j enters with g_j = c_j + r g_(j + 1). An averager that changes the path states `law`
    itself, with these arguments after the first and these results.

    Args:
        averager: the method.
        curvature: of each direction, `[d]`, float64.
        rate: of gradient descent.
        n: steps.

    Returns:
        Factor on theta_0, `[d]`, and variance, `[d]`; None where the averager states neither.
    """
    stated: Any = averager
    if hasattr(stated, "law"):
        return stated.law(curvature, rate, n)
    if not hasattr(stated, "weights"):
        return None
    coefficients = stated.weights(n)
    ratio = 1 - rate * curvature
    carried, squares = torch.zeros_like(ratio), torch.zeros_like(ratio)
    for k in range(n, 0, -1):
        carried = coefficients[k] + ratio * carried
        squares = squares + carried**2
    return coefficients[0] + ratio * carried, rate**2 * squares
