"""What a truncated rule leaves out: an estimate of it, the error bar that includes it, and bounds that it disproves.

A Gauss rule or a polynomial has an error that no number of probes reduces. It is estimated from the same products, by
what the rule would have given with fewer of them: differences that shrink by a ratio r leave a / (1 - r) r behind. On
spectra of kernels, Laplacians and powers, with 8 to 60 steps, this is between 1/3 and 4 times the error if r <= 0.55;
twice of it covers as a standard error. A larger ratio says nothing about what follows, and the bar is infinite.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from .lanczos import quadrature

if TYPE_CHECKING:
    from torch import Tensor

    from .contract import LogdetSample, Operator
    from .lanczos import Function, Krylov

SHRINKING = 0.55
"""Largest ratio of two successive differences that are extrapolated."""
SETTLED, SMALL = 1e-12, 0.02
"""A difference below this share of the value is rounding, one below this share of the probes' error matters little."""
LEAST = 5
"""Fewest steps whose differences say something about the rest."""
ASSUMED = 0.9
"""The ratio that is assumed of such differences, whatever they show."""
ALLOWANCE = 1e-2
"""A product may grow a vector by this share more than its bound: rounding of float32 stays far below it."""


def earlier(steps: int) -> tuple[int, ...]:
    """Two smaller numbers of steps, equally spaced, that a rule is compared with; none below five steps."""
    spacing = max(1, steps // 4)
    return (steps - 2 * spacing, steps - spacing) if steps >= LEAST else ()


def remaining(values: list[Tensor], spread: Tensor | None = None) -> Tensor:
    """The standard error due to truncation after the last of three equally spaced truncations; inf if unknown.

    Args:
        values: estimates after few, more and all steps; one alone tells nothing.
        spread: the standard error of the probes.
    """
    if len(values) < 3:
        return torch.full_like(values[-1], torch.inf)
    first, middle, last = values
    change, before = (last - middle).abs(), (middle - first).abs()
    ratio = change / before
    left = torch.where(ratio <= SHRINKING, 2 * change * ratio / (1 - ratio), torch.inf)
    least = SETTLED * last.abs() + (0.0 if spread is None else SMALL * spread)
    return torch.where((left == torch.inf) & (change <= least), 2 * change * ASSUMED / (1 - ASSUMED), left)


def gauss(
    space: Krylov, squared: Tensor, function: Function, repeats: int, *, unit: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """The Gauss rules for v^T f(A) v, and the mean over the probes of each repeat after fewer and after all steps.

    Args:
        space: the Krylov spaces of `repeats * m` unit vectors.
        squared: |v|^2 of each, `[*batch_shape, repeats * m]`, float64.
        function: f.
        repeats: R.
        unit: the rules for |v| = 1, if they are known; else they are computed.

    Returns:
        Rules `[*batch_shape, repeats * m]`, and means `[R, *batch_shape]` for `remaining`, the last with all steps.
    """
    rule = squared * (quadrature(space.diagonal, space.off, function) if unit is None else unit)
    fewer = [
        squared * quadrature(space.diagonal[..., :k], space.off[..., : k - 1], function)
        for k in earlier(space.diagonal.shape[-1])
    ] or 2 * [torch.full_like(rule, torch.inf)]
    # An exhausted space is exact.
    rules = [torch.where(space.residual == 0, rule, one) for one in fewer]
    return rule, [means(one, repeats) for one in (*rules, rule)]


def means(values: Tensor, repeats: int) -> Tensor:
    """Means over the probes of each repeat: `[*batch_shape, repeats * m]` to `[R, *batch_shape]`."""
    return values.unflatten(-1, (repeats, -1)).mean(-1).movedim(-1, 0)


def rounding(op: Operator, value: Tensor) -> Tensor:
    """What products in the dtype of the operator cost an estimate, as a standard error: `eps (n + |value|)`.

    Each of n eigenvalues has an error of eps relative to itself, so that its logarithm has one of eps, and the value is
    rounded. In float32 this is 1 to 50 times the error where probes and truncation leave less than it, diagonal
    matrices and multiples of the identity; elsewhere it is too small to matter beside them.

    Args:
        op: the operator.
        value: estimates, of any shape.
    """
    return value.abs().add_(op.n).mul_(torch.finfo(op.dtype).eps)


def rounded(op: Operator, sample: LogdetSample) -> LogdetSample:
    """The sample of a method that truncates nothing, with an error bar that includes rounding."""
    if sample.stderr is None:
        return sample
    return replace(sample, stderr=torch.hypot(sample.stderr, rounding(op, sample.value)))


def concluded(op: Operator, sample: LogdetSample, history: list[Tensor], *, remedy: str) -> LogdetSample:
    """The sample with an error bar that includes what `remaining` says of a history, which is empty for a trace."""
    if not history:
        return rounded(op, sample)
    return barred(op, sample, remaining(history, sample.stderr), remedy=remedy)


def barred(op: Operator, sample: LogdetSample, truncation: Tensor, *, remedy: str) -> LogdetSample:
    """The sample with an error bar that includes truncation and rounding, and a note if the former is not small.

    Args:
        op: the operator.
        sample: its `stderr` is that of the probes alone.
        truncation: standard error due to truncation, `[R, *batch_shape]`, inf where it is unknown.
        remedy: what makes it smaller, as advice: `take steps=40`.
    """
    stderr = None
    if sample.stderr is not None:
        stderr = torch.hypot(torch.hypot(sample.stderr, truncation), rounding(op, sample.value))
    return replace(
        sample, stderr=stderr, spread=sample.stderr, truncation=truncation, note=_note(sample, truncation, remedy)
    )


def _note(sample: LogdetSample, truncation: Tensor, remedy: str) -> str:
    if not bool(truncation.isfinite().all()):
        return f"not converged: the truncation error is unknown; {remedy}"
    if sample.stderr is None or not bool((truncation > sample.stderr).any()):
        return ""
    left, probed = float(truncation.max()), float(sample.stderr.max())
    return f"not converged: the truncation error is about {left:.3g}, that of the probes {probed:.3g}; {remedy}"


def disproved(op: Operator, before: Tensor, after: Tensor) -> None:
    """Refuse a bound of ||J|| that a product with J disproves: no vector may grow by more than the norm.

    In a series the products are a power iteration, so that a bound that would make it diverge is found at no cost.

    Args:
        op: a residual operator.
        before: vectors as columns, `[*batch_shape, n, m]`.
        after: J times each of them.

    Raises:
        ValueError: a vector has grown by more than the declared norm; by more than 1 if that is an estimate.
    """
    bounds = op.bounds
    if bounds.norm is None or not before.numel():
        return
    limit = max(bounds.norm, 1.0) if bounds.provenance == "estimated" else bounds.norm
    with torch.no_grad():
        grown = after.norm(dim=-2) / before.norm(dim=-2).clamp_min(torch.finfo(before.dtype).tiny)
        largest = float(grown.max())
    if largest > limit * (1 + ALLOWANCE):
        origin = ": ".join(filter(None, (bounds.provenance, bounds.origin)))
        raise ValueError(
            f"the declared bound ||J|| <= {bounds.norm:g}{f' ({origin})' if origin else ''} is false: a product has "
            f"grown a vector by a factor of {largest:.4g}; correct `bounds`, or use golub-kahan-slq, which needs none"
        )
