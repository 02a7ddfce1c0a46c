"""Checks of penalties' claims: where they vanish, what they ignore, and that the gradient is that of the value.

Each attaches the method to one linear layer in float64 as a training loop does, so that any method with the family's
contract can be checked. Violations are relative: to the value at a matrix that is not orthogonal, or to the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import claim
from kexue_bench.api import Evidence
from kexue_bench.lab.noise import Noise

from .targets import polar

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

    from .tasks.small_weights import SmallWeights

TOLERANCE = 1e-9
DIFFERENCES = 1e-6
"""Allowed error of central differences: the square of their step of 1e-5, and rounding over the step, are below it."""
_STEP = 1e-5
_D, _K = 7, 4
_SMALL = 1e-4
Change = Callable[[Tensor, Noise], Tensor]


@claim("zero-on-orthogonal", "the penalty vanishes if the columns are orthonormal", of="subject")
def zero_on_orthogonal(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """The value at a tall and at a square orthonormal matrix, over that at a Gaussian one."""
    noise = _noise(ctx)
    values = subject.values(_gaussian(noise), polar(noise.normal(_D, _K)), polar(noise.normal(_K, _K)))
    if values is None:
        return _nothing("zero-on-orthogonal")
    scale, tall, square = values
    worst = max(abs(tall), abs(square)) / abs(scale)
    return _identity("zero-on-orthogonal", worst, f"value at orthonormal columns: {worst:.2g}")


@claim("zero-only-on-orthogonal", "the penalty vanishes at no other matrix: it sees lengths and angles", of="subject")
def zero_only_on_orthogonal(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """The value at matrices that are not orthogonal in one way only: lengths, or one angle."""
    noise = _noise(ctx)
    free, base = _gaussian(noise), polar(noise.normal(_D, _K))
    turned = base.clone()
    turned[:, 0] = (base[:, 0] + base[:, 1]) / 2**0.5
    cases = {"longer": 1.1 * base, "shorter": 0.9 * base, "turned": turned}
    if (values := subject.values(free, *cases.values())) is None:
        return _nothing("zero-only-on-orthogonal")
    scale, *seen = values
    blind = [name for name, value in zip(cases, seen, strict=True) if value < _SMALL * abs(scale)]
    note = f"blind to columns that are {', '.join(blind)}" if blind else "detects longer, shorter and rotated columns"
    return _identity("zero-only-on-orthogonal", float(len(blind)), note)


@claim("stationary-on-orthogonal", "the gradient vanishes if the columns are orthonormal", of="subject")
def stationary_on_orthogonal(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """The gradient at an orthonormal matrix, over that at a Gaussian one."""
    noise = _noise(ctx)
    free, base = subject.penalty(_gaussian(noise)), subject.penalty(polar(noise.normal(_D, _K)))
    if free is None or base is None:
        return _nothing("stationary-on-orthogonal")
    share = float(base[1].norm() / free[1].norm())
    return _identity("stationary-on-orthogonal", share, f"gradient at orthonormal columns: {share:.2g}")


@claim("left-invariant", "a rotation of the column space does not change the penalty", of="subject")
def left_invariant(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """R(Q W) = R(W)."""
    return _invariant("left-invariant", subject, ctx, lambda w, noise: polar(noise.normal(_D, _D)) @ w)


@claim("right-invariant", "a rotation that mixes the columns does not change the penalty", of="subject")
def right_invariant(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """R(W P) = R(W)."""
    return _invariant("right-invariant", subject, ctx, lambda w, noise: w @ polar(noise.normal(_K, _K)))


@claim("scale-invariant", "the lengths of the columns do not change the penalty", of="subject")
def scale_invariant(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """R(W D) = R(W), D diagonal and positive."""
    return _invariant("scale-invariant", subject, ctx, lambda w, noise: w * noise.exponential(_K))


@claim("gradient-matches-value", "the gradient matches central differences of the value", of="subject")
def gradient_matches_value(subject: SmallWeights, method: object, ctx: Context) -> Evidence:
    """Central differences along every entry of a Gaussian matrix."""
    matrix = _gaussian(_noise(ctx))
    if (found := subject.penalty(matrix)) is None:
        return _nothing("gradient-matches-value")
    numeric = torch.zeros_like(matrix)
    for i in range(matrix.numel()):
        shift = torch.zeros_like(matrix)
        shift.view(-1)[i] = _STEP
        ends = subject.values(matrix + shift, matrix - shift)
        numeric.view(-1)[i] = (ends[0] - ends[1]) / (2 * _STEP) if ends else torch.nan
    share = float((found[1] - numeric).norm() / numeric.norm().clamp_min(torch.finfo(numeric.dtype).tiny))
    note = f"relative error against central differences: {share:.2g}"
    return _identity("gradient-matches-value", share, note, tolerance=DIFFERENCES)


def _invariant(name: str, subject: SmallWeights, ctx: Context, change: Change) -> Evidence:
    noise = _noise(ctx)
    matrix = _gaussian(noise)
    values = subject.values(matrix, change(matrix, noise))
    if values is None:
        return _nothing(name)
    share = abs((values[1] - values[0]) / values[0])
    return _identity(name, share, f"relative change of the value: {share:.2g}")


def _gaussian(noise: Noise) -> Tensor:
    return noise.normal(_D, _K) / _D**0.5


def _noise(ctx: Context) -> Noise:
    return Noise.seeded(ctx.case.seed, dtype=torch.float64)


def _identity(name: str, violation: float, note: str, *, tolerance: float = TOLERANCE) -> Evidence:
    return Evidence(claim=name, metric="violation", value=violation, tolerance=tolerance, note=note)


def _nothing(name: str) -> Evidence:
    return Evidence(claim=name, metric="violation", value=None, note="the method adds no penalty")
