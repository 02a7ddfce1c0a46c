"""Checks of what penalties claim: where they vanish, what they do not see, and that their gradient is their own.

Each attaches the method to one linear layer in float64 as a training loop does, so that any method with the family's
contract can be checked. Violations are shares: of the value at a matrix that is not orthogonal, or of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from kexue_bench.api import Evidence
from kexue_bench.lab.noise import Noise

from .contract import Alone, OrthogonalityMethod
from .targets import polar, targets_of

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

TOLERANCE = 1e-9
DIFFERENCES = 1e-6
"""What central differences may be off by: their step of 1e-5 squared, and rounding over the step, are below it."""
_STEP = 1e-5
_D, _K, _SAMPLES = 7, 4, 48
_SMALL = 1e-4
Change = Callable[[Tensor, Noise], Tensor]


def zero_on_orthogonal(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # every check has this signature
    """Whether the value vanishes on matrices with orthonormal columns, tall and square."""
    noise = _noise(ctx)
    at = [_penalty(method, w) for w in (_gaussian(noise), polar(noise.normal(_D, _K)), polar(noise.normal(_K, _K)))]
    if (values := _values(at)) is None:
        return _nothing("zero-on-orthogonal")
    scale, tall, square = values
    worst = max(abs(tall), abs(square)) / abs(scale)
    return _identity("zero-on-orthogonal", worst, f"value where columns are orthonormal: {worst:.2g}")


def zero_only_on_orthogonal(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the value is positive on matrices that are not orthogonal in one way only: lengths, or one angle."""
    noise = _noise(ctx)
    free, base = _gaussian(noise), polar(noise.normal(_D, _K))
    turned = base.clone()
    turned[:, 0] = (base[:, 0] + base[:, 1]) / 2**0.5
    cases = {"longer": 1.1 * base, "shorter": 0.9 * base, "turned": turned}
    if (values := _values([_penalty(method, w) for w in (free, *cases.values())])) is None:
        return _nothing("zero-only-on-orthogonal")
    scale, *seen = values
    blind = [name for name, value in zip(cases, seen, strict=True) if value < _SMALL * abs(scale)]
    note = f"blind to columns that are {', '.join(blind)}" if blind else "columns longer, shorter and turned are seen"
    return _identity("zero-only-on-orthogonal", float(len(blind)), note)


def left_invariant(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether rotating the space that columns live in changes nothing: R(Q W) = R(W)."""
    return _invariant("left-invariant", method, ctx, lambda w, noise: polar(noise.normal(_D, _D)) @ w)


def right_invariant(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether mixing columns by a rotation changes nothing: R(W P) = R(W)."""
    return _invariant("right-invariant", method, ctx, lambda w, noise: w @ polar(noise.normal(_K, _K)))


def scale_invariant(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the lengths of columns change nothing: R(W D) = R(W), D diagonal and positive."""
    return _invariant("scale-invariant", method, ctx, lambda w, noise: w * noise.exponential(_K))


def stationary_on_orthogonal(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the gradient vanishes where columns are orthonormal, whatever the value there."""
    noise = _noise(ctx)
    free, base = _penalty(method, _gaussian(noise)), _penalty(method, polar(noise.normal(_D, _K)))
    if free is None or base is None:
        return _nothing("stationary-on-orthogonal")
    share = float(base[1].norm() / free[1].norm())
    return _identity("stationary-on-orthogonal", share, f"gradient where columns are orthonormal: {share:.2g}")


def gradient_matches_value(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the gradient is that of the value, by central differences along every entry."""
    matrix = _gaussian(_noise(ctx))
    if (found := _penalty(method, matrix)) is None:
        return _nothing("gradient-matches-value")
    numeric = torch.zeros_like(matrix)
    for i in range(matrix.numel()):
        shift = torch.zeros_like(matrix)
        shift.view(-1)[i] = _STEP
        ends = _values([_penalty(method, matrix + shift), _penalty(method, matrix - shift)])
        numeric.view(-1)[i] = (ends[0] - ends[1]) / (2 * _STEP) if ends else torch.nan
    share = float((found[1] - numeric).norm() / numeric.norm().clamp_min(torch.finfo(numeric.dtype).tiny))
    note = f"gradient against central differences: {share:.2g} of it"
    return _identity("gradient-matches-value", share, note, tolerance=DIFFERENCES)


def _penalty(method: object, matrix: Tensor) -> tuple[float, Tensor] | None:
    """Value and gradient at W `[d, k]` of a linear layer that sees a batch; None for no penalty."""
    layer = nn.Linear(*matrix.shape, bias=False, dtype=matrix.dtype)
    inputs = Noise.seeded(1, dtype=matrix.dtype).normal(_SAMPLES, matrix.shape[0])
    with torch.enable_grad():
        layer.weight = nn.Parameter(matrix.mT.clone())
        targets = targets_of(layer)
        session = cast("OrthogonalityMethod", method).attach(targets, Alone.around(targets))
        value = session.penalty(dict.fromkeys(session.taps, inputs))
        if value is None:
            return None
        value.sum().backward()
    gradient = layer.weight.grad
    return float(value.detach()), torch.zeros_like(matrix) if gradient is None else gradient.mT


def _values(found: Sequence[tuple[float, Tensor] | None]) -> list[float] | None:
    """The values, where there is a penalty everywhere."""
    values = [value for value, _ in filter(None, found)]
    return values if len(values) == len(found) else None


def _invariant(claim: str, method: object, ctx: Context, change: Change) -> Evidence:
    noise = _noise(ctx)
    matrix = _gaussian(noise)
    values = _values([_penalty(method, w) for w in (matrix, change(matrix, noise))])
    if values is None:
        return _nothing(claim)
    share = abs((values[1] - values[0]) / values[0])
    return _identity(claim, share, f"the value changes by {share:.2g} of it")


def _gaussian(noise: Noise) -> Tensor:
    return noise.normal(_D, _K) / _D**0.5


def _noise(ctx: Context) -> Noise:
    return Noise.seeded(ctx.case.seed, dtype=torch.float64)


def _identity(claim: str, violation: float, note: str, *, tolerance: float = TOLERANCE) -> Evidence:
    return Evidence(claim=claim, metric="violation", value=violation, tolerance=tolerance, note=note)


def _nothing(claim: str) -> Evidence:
    return Evidence(claim=claim, metric="violation", value=None, note="the method adds no penalty")
