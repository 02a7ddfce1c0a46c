"""Closed variances of probing estimators."""

from __future__ import annotations

from torch import Tensor

from .methods.hutchinson import Hutchinson


def one_probe_variance(b: Tensor, distribution: str) -> float:
    """Variance of v^T B v for one probe v, B `[n, n]` symmetric or not: the formulas of `probes`.

    Args:
        b: the matrix.
        distribution: `rademacher`, `gaussian` or `sphere`; `orthogonal` is a sphere probe alone.
    """
    n = len(b)
    f = float(((b + b.mT) / 2).square().sum())
    d, t = float(b.diagonal().square().sum()), float(b.diagonal().sum())
    if distribution == "gaussian":
        return 2 * f
    if distribution == "rademacher":
        return 2 * (f - d)
    return 2 * n / (n + 2) * (f - t * t / n)


def hutchinson_variance(method: object, b: Tensor) -> float | None:
    """Variance of one estimate of tr B by `Hutchinson`; None for other methods and for m > n orthogonal probes."""
    if not isinstance(method, Hutchinson):
        return None
    n, m = len(b), method.probes
    single = one_probe_variance(b, method.distribution) / m
    if method.distribution != "orthogonal":
        return single
    return None if m > n or n == 1 else single * (n - m) / (n - 1)
