"""Checks of what operators claim: bounds, limits, gradients, and properties of their outputs."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import claim
from kexue_bench.api import Evidence

from .contract import SCALARS, Smoothing
from .hard_functions import extent, gap, hard
from .probing import applied, battery, generic
from .tasks.matching import Bench, meant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

N, K = 5, 2
"""Entries of a row and chosen entries for every check; operators on pairs get rows of two."""
SOFTNESSES = (0.03, 0.7)
ROUNDING = 1e-9
TIGHT = 0.01
"""A bound counts as tight if some input reaches it up to this share."""
STEP, SLOPE_TOLERANCE = 1e-5, 1e-5
"""Step of central differences, and the tolerance for derivatives computed with it."""


@claim("error-bound", "no error exceeds the bound declared for the gap of the input", of="subject", order=10)
def error_bound(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest excess over the bound declared for the gap, over the battery, relative to max(1, softness)."""
    worst, count, declared = 0.0, 0, False
    for low, high, found, _, softness in _bounds(bench, ctx):
        unit = max(1.0, softness)
        worst = _largest(worst, float(torch.maximum(low - found, found - high).amax()) / unit)
        count, declared = count + len(found), True
    if not declared:
        return _evidence("error-bound", None, "the operator declares no bound")
    return _evidence("error-bound", worst, f"largest excess over the declared bound among {count} inputs", n=count)


@claim("tight-bound", "some input reaches the declared bound", of="subject", order=20)
def tight_bound(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The share of the declared bound that the worst input leaves unused, for its gap or for a gap of 0."""
    shares = []
    for low, high, found, uniform, _ in _bounds(bench, ctx):
        size = torch.maximum(high.abs(), low.abs())
        near = size > ROUNDING
        shares.append(float((found.abs()[near] / size[near]).amax()))
        if uniform is not None:
            shares.append(float(found.abs().amax()) / uniform)
    share = min(shares)
    note = f"the worst input reaches {share:.1%} of its bound"
    return _evidence("tight-bound", max(0.0, 1 - share), note, tolerance=TIGHT)


@claim("upper-bound", "the soft value is never below the hard one", of="subject", order=30)
def upper_bound(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest amount by which the soft value is below the hard one, over the battery."""
    return _one_sided("upper-bound", bench, ctx, side=1)


@claim("lower-bound", "the soft value is never above the hard one", of="subject", order=40)
def lower_bound(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest amount by which the soft value is above the hard one, over the battery."""
    return _one_sided("lower-bound", bench, ctx, side=-1)


@claim(
    "vertex-exact",
    "the soft value equals the hard one wherever the declared error is 0, at moderate softness too",
    of="subject",
    order=50,
)
def vertex_exact(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest error over inputs with a declared error of 0, at moderate softness."""
    worst, count = 0.0, 0
    for low, high, found, _, _ in _bounds(bench, ctx):
        exact = (high <= 0) & (low >= 0)
        count += int(exact.sum())
        if bool(exact.any()):
            worst = _largest(worst, float(found[exact].abs().amax()))
    if not count:
        return _evidence("vertex-exact", 1.0, "no input has a declared error of 0")
    return _evidence("vertex-exact", worst, f"largest error among {count} inputs with a declared error of 0", n=count)


@claim("hard-limit", "the error goes to 0 with the softness", of="subject", order=60)
def hard_limit(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest error on random inputs at softness 1e-8; the note also has those at 1e-2 and 1e-5."""
    operator, n = _operator(bench)
    x, noise = generic(operator, n, 64, ctx.noise("noise")), ctx.noise("measure")
    exact = hard(operator.kind, meant(operator, x, noise.at(0)), k=K)
    errors = [
        float(extent(operator.kind, applied(operator, x, s, K, noise), exact).abs().amax()) for s in (1e-2, 1e-5, 1e-8)
    ]
    note = "largest error at softness 1e-2, 1e-5, 1e-8: " + ", ".join(f"{error:.2g}" for error in errors)
    return _evidence("hard-limit", errors[-1], note, n=len(x), tolerance=1e-5)


@claim("gradient-matches-value", "the gradient matches central differences of the value", of="subject", order=70)
def gradient_matches_value(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest difference between a directional derivative and central differences of the value."""
    operator, n = _operator(bench)
    noise, source = ctx.noise("measure"), ctx.noise("noise")
    worst, count = 0.0, 0
    for index, softness in enumerate(SOFTNESSES):
        x = generic(operator, n, 16, source.at(index)).requires_grad_()
        along = source.at(10 + index).normal(*x.shape).double()
        with torch.enable_grad():
            value = applied(operator, x, softness, K, noise)
            weight = source.at(20 + index).normal(*value.shape).double()
            (slope,) = torch.autograd.grad((weight * value).sum(), x)
        ends = [(weight * applied(operator, x.detach() + h * along, softness, K, noise)) for h in (STEP, -STEP)]
        found = (ends[0] - ends[1]).reshape(len(x), -1).sum(1) / (2 * STEP)
        given = (slope * along).sum(1)
        # Third derivatives are of order softness^-3; the worst input is dropped because it may lie on a kink.
        scale = 1 + given.abs() + weight.abs().reshape(len(x), -1).sum(1) * (STEP**2 / softness**3) / SLOPE_TOLERANCE
        worst = _largest(worst, float(((found - given).abs() / scale).sort().values[:-1].amax()))
        count += len(x)
    note = f"largest difference from central differences among {count} directions"
    return _evidence("gradient-matches-value", worst, note, n=count, tolerance=SLOPE_TOLERANCE)


@claim("unit-interval", "weights lie between 0 and 1", of="subject", order=80)
def unit_interval(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest amount by which a weight lies outside [0, 1]."""
    worst = _largest(*(float(torch.maximum(-value, value - 1).amax()) for value in _values(bench, ctx)))
    return _evidence("unit-interval", worst, f"weights lie outside [0, 1] by up to {worst:.2g}")


@claim("sums-to-k", "weights sum to the number of chosen entries", of="subject", order=90)
def sums_to_k(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest difference between the sum of a row and k (1 for indicators of a single entry)."""
    operator, _ = _operator(bench)
    wanted = K if operator.kind == "top-k" else 1
    worst = _largest(*(float((value.sum(-1) - wanted).abs().amax()) for value in _values(bench, ctx)))
    return _evidence("sums-to-k", worst, f"sums differ from {wanted} by up to {worst:.2g}")


@claim("row-stochastic", "the soft permutation is non-negative, with rows that sum to 1", of="subject", order=100)
def row_stochastic(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest violation of non-negativity, of a row sum, or of the soft order that the matrix should give."""
    return _stochastic("row-stochastic", bench, ctx, sums=(-1,))


@claim(
    "doubly-stochastic", "the soft permutation is row-stochastic, with columns that sum to 1", of="subject", order=110
)
def doubly_stochastic(bench: Bench, method: object, ctx: Context) -> Evidence:
    """As `row_stochastic`, including column sums."""
    return _stochastic("doubly-stochastic", bench, ctx, sums=(-1, -2))


@claim("monotone", "the soft value never decreases as an entry increases", of="subject", order=120)
def monotone(bench: Bench, method: object, ctx: Context) -> Evidence:
    """Minus the most negative derivative over the battery."""
    operator, n = _operator(bench)
    noise, worst = ctx.noise("measure"), 0.0
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("battery", index).noise("noise")).requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(applied(operator, x, softness, K, noise).sum(), x)
        worst = _largest(worst, float(-slope.amin()))
    return _evidence("monotone", worst, f"the most negative derivative is {min(0.0, -worst):.2g}")


@claim("symmetric", "the order of the entries does not matter", of="subject", order=130)
def symmetric(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The largest difference after a permutation of the entries: a value must not change, a vector must follow."""
    operator, n = _operator(bench)
    x, noise = generic(operator, n, 32, ctx.noise("noise")), ctx.noise("measure")
    turned = torch.arange(n).roll(1)
    worst = 0.0
    for softness in SOFTNESSES:
        value, moved = (applied(operator, entries, softness, K, noise) for entries in (x, x[:, turned]))
        follows = operator.kind not in {"max", "sort"}
        worst = _largest(worst, float((moved - (value[:, turned] if follows else value)).abs().amax()))
    return _evidence("symmetric", worst, f"a permutation of the entries changes the result by {worst:.2g}", n=len(x))


@claim("expected-softmax", "the mean over the noise is softmax(x / s)", of="subject", order=140)
def expected_softmax(bench: Bench, method: object, ctx: Context) -> Evidence:
    """A z-test of the mean of each weight over many samples, Bonferroni-corrected."""
    operator, _ = _operator(bench)
    x = torch.tensor([0.3, 0.0, -0.4], dtype=torch.float64).expand(4096, 3)
    values = applied(operator, x, 0.5, K, ctx.noise("measure"))
    exact = torch.softmax(x[0] / 0.5, -1)
    error = values.std(0) / math.sqrt(len(values))
    z = float(((values.mean(0) - exact) / error).abs().max())
    return Evidence(
        claim="expected-softmax",
        metric="violation",
        value=float((values.mean(0) - exact).abs().max()),
        n=len(values),
        statistic=z,
        p=min(1.0, 3 * math.erfc(z / math.sqrt(2))),
        detectable=float(error.max()) * 6,
        tolerance=0.01,
        note="largest difference between a mean weight and softmax",
    )


@claim(
    "stable",
    "no NaN and only finite gradients for infinities, ties, one or many entries, and any softness",
    of="subject",
    always=True,
    order=150,
)
def stable(bench: Bench, method: object, ctx: Context) -> Evidence:
    """The number of NaN values and non-finite derivatives, in float64 and float32."""
    operator, n = _operator(bench)
    noise, bad, count = ctx.noise("measure"), 0, 0
    for dtype in (torch.float64, torch.float32):
        for x in _extremes(operator, n, dtype):
            for softness in (1e-20, 1.0, 1e6):
                value, slope = _slope(operator, x, softness, noise)
                bad += int(value.isnan().sum() + (~slope.isfinite()).sum()) + (value.dtype != dtype)
                count += 1
    return _evidence(
        "stable", float(bad), f"{bad} values or derivatives are not finite in {count} extreme cases", n=count
    )


def _slope(operator: Smoothing, x: Tensor, softness: float, noise: Noise) -> tuple[Tensor, Tensor]:
    """The value, and the gradient of the sum of its finite entries."""
    given = x.clone().requires_grad_()
    with torch.enable_grad():
        value = applied(operator, given, softness, min(K, x.shape[-1]), noise)
        (slope,) = torch.autograd.grad(value.masked_fill(~value.isfinite(), 0).sum(), given)
    return value.detach(), slope


def _extremes(operator: Smoothing, n: int, dtype: torch.dtype) -> list[Tensor]:
    inf = math.inf
    rows = [[0.0] * n, [1e30, *[-1e30] * (n - 1)], [inf, *[0.0] * (n - 1)], [-inf, *[0.5] * (n - 1)]]
    rows += [[inf] * n, [-inf] * n]
    if n > 2:
        rows += [[inf, -inf, *[0.0] * (n - 2)]]
        # A sorting network has as many layers as entries, so its rows are shorter.
        many = 32 if hasattr(operator, "network") else 512
        rows += [[1.0], [i / many for i in range(many)], [0.0] * many]
    tensors = [torch.tensor([row], dtype=dtype) for row in rows]
    if getattr(operator, "nonnegative", False):
        tensors = [x for x in tensors if bool((x >= 0).all())]
    # A bitonic network raises for sizes that are not powers of 2.
    return [
        x for x in tensors if not (getattr(operator, "network", "") == "bitonic" and x.shape[-1] & (x.shape[-1] - 1))
    ]


def _operator(bench: Bench) -> tuple[Smoothing, int]:
    operator = bench.operator
    if getattr(operator, "network", "") == "bitonic":
        return operator, 4
    return operator, min(N, bench.setting.n) if operator.kind not in SCALARS else N


def _bounds(bench: Bench, ctx: Context) -> Iterator[tuple[Tensor, Tensor, Tensor, float | None, float]]:
    """For each softness: lower and upper bound and error `[m]`, the largest error at a gap of 0, and the softness.

    Yields nothing if no bound is declared; the largest error is None if it depends on the input.
    """
    operator, n = _operator(bench)
    noise = ctx.noise("measure")
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("bounds", index).noise("noise"))
        # The noise is subtracted first, so that the perturbed scores are the worst-case inputs.
        x = 2 * x - meant(operator, x, noise.at(0))
        inner = meant(operator, x, noise.at(0))
        found = extent(operator.kind, applied(operator, x, softness, K, noise), hard(operator.kind, inner, k=K))
        gaps = gap(operator.kind, inner, k=K).tolist()
        ends = [operator.bound(n, g, softness, x=row, k=K) for g, row in zip(gaps, inner, strict=True)]
        if any(end is None for end in ends):
            return
        low, high = torch.tensor([tuple(end) for end in ends if end is not None], dtype=torch.float64).unbind(1)
        free = None if getattr(operator, "nonnegative", False) else operator.bound(n, 0.0, softness, x=x[0], k=K)
        yield low, high, found, free and max(abs(free.low), abs(free.high)), softness


def _values(bench: Bench, ctx: Context) -> Iterator[Tensor]:
    operator, n = _operator(bench)
    noise = ctx.noise("measure")
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("battery", index).noise("noise"))
        yield applied(operator, x, softness, K, noise)


def _one_sided(claim: str, bench: Bench, ctx: Context, *, side: int) -> Evidence:
    (operator, n), worst, count = _operator(bench), 0.0, 0
    noise = ctx.noise("measure")
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("battery", index).noise("noise"))
        above = applied(operator, x, softness, K, noise) - hard(operator.kind, x, k=K)
        worst = _largest(worst, float((-side * above).amax()))
        count += len(x)
    return _evidence(claim, worst, f"largest error on the wrong side among {count} inputs", n=count)


def _stochastic(claim: str, bench: Bench, ctx: Context, *, sums: tuple[int, ...]) -> Evidence:
    operator, n = _operator(bench)
    matrix = getattr(operator, "matrix", None)
    if matrix is None:
        return _evidence(claim, None, "the operator has no matrix")
    worst = 0.0
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("battery", index).noise("noise"))
        p = matrix(x, softness=softness)
        worst = _largest(worst, float(-p.amin()), *(float((p.sum(dim) - 1).abs().amax()) for dim in sums))
        order = (p @ x.unsqueeze(-1)).squeeze(-1)
        worst = _largest(worst, float((order - operator.apply(x, softness=softness)).abs().amax()))
    return _evidence(claim, worst, f"signs, sums and the soft order are wrong by up to {worst:.2g}")


def _largest(*values: float) -> float:
    """The largest violation, at least 0; NaN counts as the largest float."""
    return min(max(0.0, *(sys.float_info.max if math.isnan(value) else value for value in values)), sys.float_info.max)


def _evidence(claim: str, value: float | None, note: str, *, n: int = 1, tolerance: float = ROUNDING) -> Evidence:
    return Evidence(claim=claim, metric="violation", value=value, n=n, tolerance=tolerance, note=note)
