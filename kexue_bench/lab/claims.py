"""The checks behind the core's claims: each looks at a sampling problem and returns evidence, never a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import special
from torch import Tensor

from kexue_bench.api import Evidence
from kexue_bench.catalog.core_claims import ALPHA, decide

from . import intervals, state
from .evidence import identity, same
from .moments import estimate as moments_of
from .problems import ExactMoments, Sampling

if TYPE_CHECKING:
    from .context import Context
    from .estimates import Estimate
    from .intervals import BatchMeans
    from .noise import Noise

BIAS_TOLERANCE = 0.05
"""A bias below this share of one draw's standard deviation does not matter."""
RELATIVE_TOLERANCE = 0.01
"""A bias below this share of the truth does not matter."""
EXACT = 1e-4
"""A bias below this share of the truth does not matter where it is known exactly: special functions are as accurate."""
RULE_OF_THREE = 3.0
"""An event that none of n draws showed has a probability below 3 / n, with 95 % confidence."""
_AGREEING = 40.0
"""Largest |mean of draws - E g|^2 over its expectation at which exact moments describe the draws."""
ROWS_TOLERANCE = 3.0
"""Rows of a batch count as correlated if they quadruple the variance of its mean: a correlation of 0.05 among 64."""
BATCHES, SINGLES = 64, 64
FIRST_LOOK, LARGEST_BATCH = 4096, 256
POWER = 0.9


def unbiased(
    problem: Sampling,
    method: object,
    ctx: Context,
    *,
    tolerance: float = BIAS_TOLERANCE,
    relative: float = RELATIVE_TOLERANCE,
) -> Evidence:
    """Whether E g = truth: without sampling error if the task knows E g, else by a test of the draws.

    The test quadruples the draws until a violation that matters would have been caught. Its statistic is
    |mean - truth|^2 as a Satterthwaite chi-square. (The largest t over coordinates would detect a bias in a quiet one
    better, but rejects unbiased methods if a coordinate moves only in rare events.) It is computed on two independent
    halves of the draws, and both must reject: p is the square of the larger one. So the test relies on the 1 % point of
    the chi-square, which holds for skewed draws too, and never on its tail. The number of looks is corrected for; when
    to stop depends on the spread of the draws alone.

    Args:
        tolerance: a bias that does not matter, in standard deviations of one draw.
        relative: a bias that does not matter, as a share of the truth; if the budget cannot detect it, a bias within
            `tolerance` is enough to pass.
    """
    moments = None if ctx.deterministic or problem.exact_moments is None else problem.exact_moments()
    if moments is not None and (moments.alone or _agree(problem, moments, ctx)):
        return _exact_bias(problem, moments)
    # Smaller batches of the same distribution: as many units from fewer draws.
    problem = replace(problem, batch=min(problem.batch, LARGEST_BATCH))
    looks = _looks(ctx.budget, problem.batch)
    streams = ctx.noise("noise"), ctx.noise("measure")
    found = None
    for budget in looks:
        halves = [moments_of(problem, noise, precision=None, budget=budget // 2) for noise in streams]
        if any(map(_constant, halves)):
            return _of_constant("unbiased", halves, ctx)
        p, worse = max(
            ((float(_chi_square_p(half.units, half.error)), half) for half in halves), key=lambda pair: pair[0]
        )
        sd, n = float(np.sqrt(worse.units.variance)), sum(half.n for half in halves)
        interval = intervals.bias(worse.units).scaled(1 / sd)
        length = float(torch.linalg.vector_norm(worse.truth)) / sd
        # A bias within the error of a reference cannot be told from it.
        detectable = _detectable(worse.units, len(looks)) + problem.error / sd
        # Detectable biases shrink with the square root of the draws.
        goal = min(tolerance, relative * length) if relative * length else tolerance
        within_reach = budget < looks[-1] and detectable * float(np.sqrt(budget / looks[-1])) <= goal
        share = f"; a bias of {detectable / length:.2%} of the truth is detectable" if length else ""
        found = Evidence(
            claim="unbiased",
            metric="bias",
            value=float(interval.value),
            low=max(0.0, float(interval.low) - problem.error / sd),
            high=float(interval.high) + problem.error / sd,
            n=n,
            unit="sd",
            statistic=float(worse.units.chi_square),
            p=min(1.0, len(looks) * p**2),
            detectable=detectable,
            tolerance=goal if within_reach else tolerance,
            note=f"bias in standard deviations of one draw, from the half of the draws that shows less{share}",
        )
        if decide(found) != "UNDECIDED":
            break
    if found is None:
        raise ValueError("a claim needs a budget of draws, got none")
    return found


def bounded(problem: Sampling, ctx: Context, *, claim: str, side: int, budget: int | None = None) -> Evidence:
    """Whether E g is not below (`side` = 1) or not above (-1) a scalar truth, by the interval of the mean.

    The interval has the level of all claims on either side. FAIL: all of it is on the wrong side of the truth. PASS:
    all of it is on the right side, so that opposite claims cannot both pass. UNDECIDED: the truth is inside. A mean
    that equals the truth up to rounding, without spread, is both. The level holds on two independent halves of the
    draws, each tested at its square root, as in `unbiased`.

    Args:
        budget: number of draws; None: that of the case.
    """
    budget = (budget or ctx.budget or FIRST_LOOK) // 2
    streams = ctx.noise("noise"), ctx.noise("measure")
    halves = [moments_of(problem, noise, precision=None, budget=budget) for noise in streams]
    if any(map(_constant, halves)):
        found = _of_constant(claim, halves, ctx)
        wrong = side * float(halves[0].units.gap[0]) < 0
        return found if wrong or found.value is None else replace(found, value=0.0)
    n, sd = min(half.n for half in halves), max(float(np.sqrt(half.units.variance)) for half in halves)
    # In standard errors; negative is the wrong side.
    z = [
        (side * float(half.units.gap[0]) + half.error) / float(np.sqrt(half.units.variance / half.n)) for half in halves
    ]
    margin = -float(special.ndtri(np.sqrt(ALPHA)))
    violations = [-side * float(half.units.gap[0]) / sd for half in halves]
    return Evidence(
        claim=claim,
        metric="violation",
        value=max(0.0, min(violations)),
        low=max(0.0, min(violations) - margin / float(np.sqrt(n))),
        high=max(0.0, min(violations) + margin / float(np.sqrt(n))),
        n=2 * n,
        unit="sd",
        statistic=max(z),
        p=float(special.ndtr(max(z))) ** 2,
        # What the interval leaves of a violation: none if both halves show the right side.
        detectable=max(0.0, (margin - min(z)) / float(np.sqrt(n)) + 2 * problem.error / sd),
        note="distance of the mean on the wrong side, and the largest one inside the interval of the mean, "
        "in standard deviations of one draw",
    )


def finite_variance(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Only the task can establish it, by the exact variance of this method: a closed form or an enumeration."""
    exact = problem.exact_variance() if problem.exact_variance is not None else None
    if exact is None:
        note = "the task has no closed form or enumeration, and no sample can decide"
        return Evidence(claim="finite-variance", metric="variance", value=None, note=note)
    infinite = not np.isfinite(exact)
    note = f"exact variance {exact:.6g}, by the task's closed form or enumeration"
    return Evidence(claim="finite-variance", metric="violation", value=float(infinite), note=note)


def deterministic(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Two batches with different noise, and all rows within them, agree."""
    noise = ctx.noise("noise")
    first, second = (problem.draw(noise.at(step), problem.batch) for step in range(2))
    differ = float((first - second).abs().max())
    return identity("deterministic", differ, f"two calls with different noise differ by {differ:.2g}")


def declared_cost(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The counted work of a draw equals the amount that the spec declares."""
    work, declared = str(ctx.case.options["work"]), float(ctx.case.options["declared"])
    noise = ctx.noise("noise").at(0)
    counted = ctx.cost(lambda: problem.draw(noise, problem.batch)).get(work, 0.0) / problem.batch
    note = f"declared {declared:g} {work} a draw, counted {counted:g}"
    return identity("declared-cost", abs(counted - declared), note)


def repeatable(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The same stream gives the same draws."""
    noise = ctx.noise("noise")
    differ = sum(not same(*(problem.draw(noise.at(step), problem.batch) for _ in range(2))) for step in range(3))
    return identity("repeatable", differ, f"{differ} of 3 batches gave different bits when repeated")


def own_stream(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A draw leaves the global generators as they are and does not depend on them."""
    noise = ctx.noise("noise")
    results, touched = [], False
    for seed in (1, 2):
        with state.global_seed(seed):
            before = state.generators()
            results.append(problem.draw(noise.at(0), problem.batch))
            touched = touched or before != state.generators()
    differ = not same(*results)
    violations = touched + differ
    note = "global generators were not used"
    if violations:
        note = "a global generator was drawn from or seeded" if touched else "the same noise gave different bits"
    return identity("own-stream", violations, note)


def pure(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The inputs of the method and the settings of the process are unchanged."""
    before, settings = [tensor.clone() for tensor in problem.inputs], state.snapshot()
    problem.draw(ctx.noise("noise").at(0), problem.batch)
    changed = state.restore(settings)
    inputs = sum(not same(*pair) for pair in zip(before, problem.inputs, strict=True))
    note = ", ".join([*([f"{inputs} of its inputs"] if inputs else []), *changed])
    return identity("pure", inputs + len(changed), f"changed: {note}" if note else "nothing was changed")


def shape_and_dtype(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Shape, dtype and device of a batch."""
    draws = problem.draw(ctx.noise("noise").at(0), problem.batch)
    got = (tuple(draws.shape), draws.dtype, draws.device.type)
    expected = ((problem.batch, *problem.truth.shape), problem.dtype or ctx.dtype, ctx.device.type)
    wrong = sum(a != b for a, b in zip(got, expected, strict=True))
    return identity("shape-and-dtype", wrong, f"expected {_plain(expected)}, got {_plain(got)}")


def finite(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Share of entries that are not finite, over several batches."""
    noise, batches = ctx.noise("noise"), 8
    bad = total = 0
    for step in range(batches):
        draws = problem.draw(noise.at(step), problem.batch)
        bad, total = bad + int((~draws.isfinite()).sum()), total + draws.numel()
    return identity("finite", bad / total, f"{bad} of {total} entries are not finite")


def independent_rows(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A batch of R draws is distributed as R single draws: rows are uncorrelated, and errors are as large as theirs.

    Each batch is split at random into halves A and B. The product of their summed gaps has mean zero if the rows are
    uncorrelated, and is not skewed, so that a t test over batches is valid; in units of R V / 4 it is the excess of the
    variance of a batch mean, as a share. |g - truth|^2 of single draws is compared with that of rows by the exact
    hypergeometric test of how many exceed their common median. The two p-values are combined by Bonferroni.
    """
    rows = max(8, min(problem.batch, 64))
    noise = ctx.noise("noise")
    batches = 2 if ctx.deterministic else BATCHES
    truth = problem.truth.reshape(-1).to("cpu", torch.float64)
    gaps = torch.stack([_gaps(problem, noise.at(step), rows, truth) for step in range(batches)])
    if not bool(gaps.isfinite().all()):
        return Evidence(claim="independent-rows", metric="excess", value=None, note="draws are nan or inf")
    centred = gaps - gaps.mean((0, 1))
    variance = float(centred.square().sum(2).mean())
    floor = intervals.ROUNDING_ULPS * torch.finfo(problem.truth.dtype).eps * float(truth.norm() + gaps.abs().max())
    if float(gaps.var(1).sum(1).mean()) <= floor**2:
        # If all rows are equal, the draw is a constant or one draw was copied: in the second case batches differ.
        return identity("independent-rows", float(variance > rows * floor**2), "all rows of a batch are equal")
    halves = _random_halves(centred)
    excess = 4 * (halves[0] * halves[1]).sum(1).numpy() / (rows * variance)
    interval, error = intervals.mean(excess), float(excess.std(ddof=1) / np.sqrt(batches))
    statistic = float(interval.value) / error
    singles = torch.cat([_gaps(problem, noise.at(batches + step), 1, truth) for step in range(SINGLES)])
    p = min(_two_sided(statistic, batches - 1), _median_test(gaps.square().sum(2).flatten(), singles.square().sum(1)))
    return Evidence(
        claim="independent-rows",
        metric="excess",
        value=float(interval.value),
        low=float(interval.low),
        high=float(interval.high),
        n=batches * rows + SINGLES,
        statistic=statistic,
        p=min(1.0, 2 * p),
        detectable=float(special.stdtrit(batches - 1, 1 - ALPHA / 4) + special.ndtri(POWER)) * error,
        tolerance=ROWS_TOLERANCE,
        note=f"excess variance of the mean of {rows} rows, as a share",
    )


def _gaps(problem: Sampling, noise: Noise, n: int, truth: Tensor) -> Tensor:
    return problem.draw(noise, n).reshape(n, -1).to("cpu", torch.float64) - truth


def _random_halves(centred: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over two random halves of the rows of each batch, so that any pairing of rows is detected: each `[B, D]`."""
    batches, rows, _ = centred.shape
    order = torch.from_numpy(np.random.default_rng(0).permuted(np.tile(np.arange(rows), (batches, 1)), axis=1))
    mixed = centred.gather(1, order.unsqueeze(2).expand_as(centred))
    return mixed[:, : rows // 2].sum(1), mixed[:, rows // 2 :].sum(1)


def _two_sided(t: float, freedom: float) -> float:
    return float(min(1.0, 2 * special.stdtr(freedom, -abs(t))))


def _median_test(many: Tensor, few: Tensor) -> float:
    """p-value of equal distributions: how many of the few exceed the common median, given how many of all do (exact).

    The threshold is slightly above the median: values equal up to rounding could otherwise fall on either side.
    """
    threshold = torch.cat([many, few]).median() * (1 + 1e-3)
    k, n, total = int((few > threshold).sum()), len(few), len(few) + len(many)
    above = k + int((many > threshold).sum())
    counts = np.arange(max(0, n + above - total), min(n, above) + 1)
    logs = _log_choose(above, counts) + _log_choose(total - above, n - counts) - _log_choose(total, n)
    chances = np.exp(logs)
    return min(1.0, 2 * float(min(chances[counts <= k].sum(), chances[counts >= k].sum())))


def _log_choose(n: int, k: np.ndarray | int) -> np.ndarray:
    return special.gammaln(n + 1) - special.gammaln(np.asarray(k) + 1) - special.gammaln(n - np.asarray(k) + 1)


def _looks(budget: int | None, batch: int) -> list[int]:
    """Numbers of draws, each four times the last, up to the budget."""
    looks = [max(budget or FIRST_LOOK, 4 * batch)]
    while looks[0] // 4 >= max(FIRST_LOOK, 64 * batch):
        looks.insert(0, looks[0] // 4)
    return looks


def _agree(problem: Sampling, moments: ExactMoments, ctx: Context) -> bool:
    """Whether exact moments describe the draws themselves: the mean of a few thousand is near theirs."""
    found = moments_of(problem, ctx.fork("agreement", 0).noise("noise"), precision=None, budget=FIRST_LOOK)
    if not np.isfinite(moments.variance):
        return True
    gap = found.mean - moments.mean
    return float(gap.square().sum()) <= _AGREEING * moments.variance / found.n + found.resolution**2


def _exact_bias(problem: Sampling, moments: ExactMoments) -> Evidence:
    """Violation as a share of the truth (of one draw if that is 0): nothing but rounding separates it from 0."""
    if not np.isfinite(moments.variance):
        return identity("unbiased", 1.0, f"some draws are not finite, by {moments.how}")
    truth = problem.truth.detach().to("cpu", torch.float64)
    length, gap = float(torch.linalg.vector_norm(truth)), float(torch.linalg.vector_norm(moments.mean - truth))
    size = float(np.sqrt(moments.variance + float(moments.mean.square().sum())))
    scale = length or size or 1.0
    known = intervals.ROUNDING_ULPS * torch.finfo(torch.float64).eps * size + moments.error + problem.error
    rounding = EXACT + known / scale
    what = "the truth" if length else "a draw"
    single = "of a draw alone in its call " if moments.alone else ""
    note = f"E g {single}differs from the truth by {gap / scale:.2g} of {what}, by {moments.how}"
    return replace(identity("unbiased", gap / scale, note, tolerance=rounding), metric="bias")


def _constant(half: Estimate) -> bool:
    """Whether the draws do not vary beyond rounding."""
    return float(np.sqrt(half.units.variance)) <= half.resolution


def _of_constant(claim: str, halves: list[Estimate], ctx: Context) -> Evidence:
    """Evidence where draws do not vary: a deterministic method equals the truth or not, others may hide a rare event.

    The truth is met up to rounding, that of f included.
    """
    if not ctx.deterministic:
        n = sum(half.n for half in halves if _constant(half))
        note = (
            f"{n:,} draws do not vary, which excludes only events of a probability above {RULE_OF_THREE / n:.2g}; "
            "raise --budget"
        )
        return Evidence(claim=claim, metric="bias", value=None, n=n, note=note)
    estimate = halves[0]
    return Evidence(
        claim=claim,
        metric="bias",
        value=float(np.linalg.norm(estimate.units.gap)),
        n=estimate.n,
        tolerance=float(np.sqrt(estimate.eps)) * float(torch.linalg.vector_norm(estimate.truth))
        + float(estimate.resolution),
        note="gap of a deterministic method to the truth, relative to rounding",
    )


def _chi_square_p(units: BatchMeans, error: float = 0.0) -> np.ndarray:
    """p-values of E g = truth, `[...]` as the units are; of a reference, of the nearest value within its error."""
    gap = np.linalg.norm(units.gap, axis=-1)
    nearest = np.square(np.maximum(1 - error / gap, 0)) if error else 1.0
    return special.chdtrc(units.facing, nearest * units.chi_square)


def _detectable(units: BatchMeans, looks: int) -> float:
    """|b| in standard deviations of one draw at which both halves reject with the stated power."""
    freedom = float(units.freedom)
    critical = special.chdtri(freedom, np.sqrt(ALPHA / looks))
    return float(np.sqrt(special.chndtrinc(critical, freedom, 1 - np.sqrt(POWER)) / (freedom * units.n)))


def _plain(parts: tuple[object, ...]) -> str:
    return " ".join(str(part) for part in parts)
