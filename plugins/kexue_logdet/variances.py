"""Closed variances of probing estimators."""

from __future__ import annotations

from torch import Tensor

from .methods.hutchinson import Hutchinson


def probe_variance(b: Tensor, distribution: str) -> Tensor:
    """Variance of v^T B v for one probe v, B symmetric or not: the formulas of `probes`.

    Args:
        b: symbols `[*batch, W, c, c]`: B in a Fourier basis of W frequencies; for a dense B, W = 1. n = W c.
        distribution: `rademacher`, `gaussian` or `sphere`; a single `orthogonal` probe is a sphere probe.

    Returns:
        `[*batch]`, float64.
    """
    n = b.shape[-1] * b.shape[-3]
    f = ((b + b.mH) / 2).abs().square().sum((-3, -2, -1))
    diagonal = b.diagonal(dim1=-2, dim2=-1)
    if distribution == "gaussian":
        return 2 * f
    if distribution == "rademacher":
        # The diagonal of a circulant block is constant: the mean over the frequencies.
        return 2 * (f - b.shape[-3] * diagonal.mean(-2).real.square().sum(-1))
    if distribution in {"sphere", "orthogonal"}:
        return 2 * n / (n + 2) * (f - diagonal.sum((-2, -1)).real.square() / n)
    raise ValueError(f"no closed form for probes of distribution {distribution!r}")


def one_probe_variance(b: Tensor, distribution: str) -> float:
    """The variance for one dense B `[n, n]`."""
    return float(probe_variance(b.unsqueeze(0), distribution))


def mean_variance(b: Tensor, distribution: str, probes: int) -> float | None:
    """Variance of the mean of v^T B v over m = `probes` probes; None for more orthogonal probes than rows.

    Args:
        b: the symbol of B, `[W, c, c]`.
        distribution: one that `probe_variance` takes.
        probes: m, independent of each other unless `orthogonal`.
    """
    n = b.shape[-1] * b.shape[-3]
    single = float(probe_variance(b, distribution)) / probes
    if distribution != "orthogonal":
        return single
    return None if probes > n or n == 1 else single * (n - probes) / (n - 1)


def hutchinson_variance(method: object, b: Tensor) -> float | None:
    """Variance of one estimate of tr B by `Hutchinson`, B `[n, n]`; None if `mean_variance` is None, and for other
    methods.
    """
    if not isinstance(method, Hutchinson):
        return None
    return mean_variance(b.unsqueeze(0), method.distribution, method.probes)
