"""Checks of what operators claim: bounds, limits, gradients, and the shape of what they give."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench.api import Evidence

from .contract import SCALARS, Smoothing
from .hard_functions import extent, gap, hard
from .probing import applied, battery, generic
from .tasks.matching import Matched, meant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Sampling

N, K = 5, 2
"""Entries of a row and of those chosen, wherever a claim is checked; rows of two for operators of two."""
SOFTNESSES = (0.03, 0.7)
ROUNDING = 1e-9
TIGHT = 0.01
"""A bound is tight that some input reaches up to this share."""
STEP, SLOPE_TOLERANCE = 1e-5, 1e-5
"""Step of central differences, and the error of a derivative that they may have."""


def error_bound(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # every check has this signature
    """Whether no input of the battery errs by more than is declared for its gap."""
    worst, count, declared = 0.0, 0, False
    for low, high, found, _, softness in _bounds(problem, ctx):
        unit = max(1.0, softness)
        worst = _largest(worst, float(torch.maximum(low - found, found - high).amax()) / unit)
        count, declared = count + len(found), True
    if not declared:
        return _evidence("error-bound", None, "no bound is declared")
    return _evidence("error-bound", worst, f"largest excess over the declared bound among {count} inputs", n=count)


def tight_bound(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether some input of the battery errs by nearly as much as is declared for its gap, and for no gap at all."""
    shares = []
    for low, high, found, uniform, _ in _bounds(problem, ctx):
        size = torch.maximum(high.abs(), low.abs())
        near = size > ROUNDING
        shares.append(float((found.abs()[near] / size[near]).amax()))
        if uniform is not None:
            shares.append(float(found.abs().amax()) / uniform)
    share = min(shares)
    note = f"the worst input reaches {share:.1%} of its bound"
    return _evidence("tight-bound", max(0.0, 1 - share), note, tolerance=TIGHT)


def upper_bound(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the soft value is nowhere below the hard one."""
    return _one_sided("upper-bound", problem, ctx, side=1)


def lower_bound(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the soft value is nowhere above the hard one."""
    return _one_sided("lower-bound", problem, ctx, side=-1)


def vertex_exact(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the operator is the hard function, at a softness that is not small, wherever it declares no error."""
    worst, count = 0.0, 0
    for low, high, found, _, _ in _bounds(problem, ctx):
        exact = (high <= 0) & (low >= 0)
        count += int(exact.sum())
        if bool(exact.any()):
            worst = _largest(worst, float(found[exact].abs().amax()))
    if not count:
        return _evidence("vertex-exact", 1.0, "no input has a declared error of zero")
    return _evidence("vertex-exact", worst, f"largest error among {count} inputs where none is declared", n=count)


def hard_limit(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether errors vanish on random inputs as the softness does, from 1e-2 down to 1e-8."""
    operator, n = _operator(problem)
    x, noise = generic(operator, n, 64, ctx.noise("noise")), ctx.noise("measure")
    exact = hard(operator.kind, meant(operator, x, noise.at(0)), k=K)
    errors = [
        float(extent(operator.kind, applied(operator, x, s, K, noise), exact).abs().amax()) for s in (1e-2, 1e-5, 1e-8)
    ]
    note = "largest error at softness 1e-2, 1e-5, 1e-8: " + ", ".join(f"{error:.2g}" for error in errors)
    return _evidence("hard-limit", errors[-1], note, n=len(x), tolerance=1e-5)


def gradient_matches_value(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether derivatives along random directions are those of central differences of the value."""
    operator, n = _operator(problem)
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
        # Third derivatives are of the order of softness^-3, and the odd input on a kink has none.
        scale = 1 + given.abs() + weight.abs().reshape(len(x), -1).sum(1) * (STEP**2 / softness**3) / SLOPE_TOLERANCE
        worst = _largest(worst, float(((found - given).abs() / scale).sort().values[:-1].amax()))
        count += len(x)
    note = f"largest difference to central differences among {count} directions"
    return _evidence("gradient-matches-value", worst, note, n=count, tolerance=SLOPE_TOLERANCE)


def unit_interval(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether all weights lie between 0 and 1."""
    worst = _largest(*(float(torch.maximum(-value, value - 1).amax()) for value in _values(problem, ctx)))
    return _evidence("unit-interval", worst, f"weights leave [0, 1] by {worst:.2g}")


def sums_to_k(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the weights of a row sum to what is chosen: k, or 1."""
    operator, _ = _operator(problem)
    wanted = K if operator.kind == "top-k" else 1
    worst = _largest(*(float((value.sum(-1) - wanted).abs().amax()) for value in _values(problem, ctx)))
    return _evidence("sums-to-k", worst, f"sums miss {wanted} by up to {worst:.2g}")


def row_stochastic(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the soft permutation has non-negative entries and rows that sum to 1, and gives the soft order."""
    return _stochastic("row-stochastic", problem, ctx, sums=(-1,))


def doubly_stochastic(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """The same, with columns that sum to 1."""
    return _stochastic("doubly-stochastic", problem, ctx, sums=(-1, -2))


def monotone(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether no entry that grows makes the soft value smaller."""
    operator, n = _operator(problem)
    noise, worst = ctx.noise("measure"), 0.0
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("battery", index).noise("noise")).requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(applied(operator, x, softness, K, noise).sum(), x)
        worst = _largest(worst, float(-slope.amin()))
    return _evidence("monotone", worst, f"the most negative derivative is {min(0.0, -worst):.2g}")


def symmetric(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the order of the entries does not matter: a value stays, a vector moves with them."""
    operator, n = _operator(problem)
    x, noise = generic(operator, n, 32, ctx.noise("noise")), ctx.noise("measure")
    turned = torch.arange(n).roll(1)
    worst = 0.0
    for softness in SOFTNESSES:
        value, moved = (applied(operator, entries, softness, K, noise) for entries in (x, x[:, turned]))
        follows = operator.kind not in {"max", "sort"}
        worst = _largest(worst, float((moved - (value[:, turned] if follows else value)).abs().amax()))
    return _evidence("symmetric", worst, f"another order of the entries changes the value by {worst:.2g}", n=len(x))


def expected_softmax(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether the mean over many samples is softmax(x / s), by a t test of each weight, corrected for their number."""
    operator, _ = _operator(problem)
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
        note="largest difference of a mean weight to that of softmax",
    )


def stable(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Whether values are numbers and gradients finite at infinities, ties, one entry, many, and extreme softness."""
    operator, n = _operator(problem)
    noise, bad, count = ctx.noise("measure"), 0, 0
    for dtype in (torch.float64, torch.float32):
        for x in _extremes(operator, n, dtype):
            for softness in (1e-20, 1.0, 1e6):
                value, slope = _slope(operator, x, softness, noise)
                bad += int(value.isnan().sum() + (~slope.isfinite()).sum()) + (value.dtype != dtype)
                count += 1
    return _evidence("stable", float(bad), f"{bad} numbers are not finite in {count} extreme cases", n=count)


def _slope(operator: Smoothing, x: Tensor, softness: float, noise: Noise) -> tuple[Tensor, Tensor]:
    """Value and gradient of its sum over finite entries."""
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
        # A network has as many layers as entries.
        many = 32 if hasattr(operator, "network") else 512
        rows += [[1.0], [i / many for i in range(many)], [0.0] * many]
    tensors = [torch.tensor([row], dtype=dtype) for row in rows]
    if getattr(operator, "nonnegative", False):
        tensors = [x for x in tensors if bool((x >= 0).all())]
    # A network of powers of 2 and one that needs all entries finite say so by an error.
    return [
        x for x in tensors if not (getattr(operator, "network", "") == "bitonic" and x.shape[-1] & (x.shape[-1] - 1))
    ]


def _operator(problem: Sampling) -> tuple[Smoothing, int]:
    if not isinstance(problem, Matched):
        raise TypeError("these claims are checked on tasks of this family, got draws of another kind")
    operator = problem.bench.operator
    if getattr(operator, "network", "") == "bitonic":
        return operator, 4
    return operator, min(N, problem.n) if operator.kind not in SCALARS else N


def _bounds(problem: Sampling, ctx: Context) -> Iterator[tuple[Tensor, Tensor, Tensor, float | None, float]]:
    """For each softness: low and high end and found error `[m]`, the largest error at no gap, and the softness.

    Nothing where no bound is declared; no largest error where it depends on the input.
    """
    operator, n = _operator(problem)
    noise = ctx.noise("measure")
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("bounds", index).noise("noise"))
        # What the noise adds is taken off before, so that the worst inputs are met.
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


def _values(problem: Sampling, ctx: Context) -> Iterator[Tensor]:
    operator, n = _operator(problem)
    noise = ctx.noise("measure")
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("battery", index).noise("noise"))
        yield applied(operator, x, softness, K, noise)


def _one_sided(claim: str, problem: Sampling, ctx: Context, *, side: int) -> Evidence:
    (operator, n), worst, count = _operator(problem), 0.0, 0
    noise = ctx.noise("measure")
    for index, softness in enumerate(SOFTNESSES):
        x = battery(operator, n, K, softness, ctx.fork("battery", index).noise("noise"))
        above = applied(operator, x, softness, K, noise) - hard(operator.kind, x, k=K)
        worst = _largest(worst, float((-side * above).amax()))
        count += len(x)
    return _evidence(claim, worst, f"largest error on the wrong side among {count} inputs", n=count)


def _stochastic(claim: str, problem: Sampling, ctx: Context, *, sums: tuple[int, ...]) -> Evidence:
    operator, n = _operator(problem)
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
    return _evidence(claim, worst, f"signs, sums and the order it gives are wrong by up to {worst:.2g}")


def _largest(*values: float) -> float:
    """The largest violation, at least 0; one that is no number is larger than all."""
    return min(max(0.0, *(sys.float_info.max if math.isnan(value) else value for value in values)), sys.float_info.max)


def _evidence(claim: str, value: float | None, note: str, *, n: int = 1, tolerance: float = ROUNDING) -> Evidence:
    return Evidence(claim=claim, metric="violation", value=value, n=n, tolerance=tolerance, note=note)
