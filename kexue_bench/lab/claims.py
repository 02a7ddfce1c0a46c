"""The checks behind the core's claims: each looks at a sampling problem and returns evidence, never a verdict."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import special
from torch import Tensor

from kexue_bench.api import Evidence
from kexue_bench.claims import ALPHA
from kexue_bench.errors import InvalidResult

from . import intervals, moments, state
from .protocols import Sampling

if TYPE_CHECKING:
    from .context import Context, Noise
    from .intervals import Units

BIAS_TOLERANCE = 0.05
"""A bias below this share of one draw's standard deviation does not matter."""
ROWS_TOLERANCE = 1.0
"""Correlated rows that do not even double the variance of a batch mean do not matter."""
BATCHES, SINGLES = 128, 64
FIRST_LOOK = 4096
POWER = 0.9


def unbiased(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # every check has this signature
    """Whether E g = truth, by doubling the draws until a violation that matters would have been caught.

    The statistic is |mean - truth|^2 as a Satterthwaite chi-square. (A largest t over coordinates would see a bias in
    a quiet one better, but rejects honest methods where a coordinate moves only in rare events.) Looks are corrected
    for by their number; when to stop depends on the spread of the draws alone.
    """
    budgets = _looks(ctx.budget, problem.batch)
    noise = ctx.noise("noise")
    level = ALPHA / len(budgets)
    found = None
    for budget in budgets:
        estimate = moments.estimate(problem, noise, precision=None, budget=budget)
        units = estimate.units
        deviation = float(np.sqrt(units.variance))
        if deviation <= estimate.resolution:
            return _constant_bias(estimate)
        p = min(1.0, float(special.chdtrc(units.facing, units.chi_square)) * len(budgets))
        interval = intervals.bias(units).scaled(1 / deviation)
        found = Evidence(
            claim="unbiased",
            metric="bias",
            value=float(interval.value),
            low=float(interval.low),
            high=float(interval.high),
            n=estimate.n,
            unit="sd",
            statistic=float(units.chi_square),
            p=p,
            detectable=_detectable(units, level),
            tolerance=BIAS_TOLERANCE,
            note="bias in standard deviations of one draw",
        )
        if p < ALPHA or (found.detectable is not None and found.detectable <= BIAS_TOLERANCE):
            break
    if found is None:
        raise ValueError("a claim needs a budget of draws, got none")
    return found


def finite_variance(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Only the task can establish it: by the exact variance of this method, closed form or enumeration."""
    exact = problem.exact_variance() if problem.exact_variance is not None else None
    if exact is None:
        note = "the task has no closed form or enumeration for this method, and no sample can establish it"
        return Evidence(claim="finite-variance", metric="variance", value=None, note=note)
    infinite = not np.isfinite(exact)
    note = f"exact variance {exact:.6g}, by the task's closed form or enumeration"
    return Evidence(claim="finite-variance", metric="violation", value=float(infinite), note=note)


def deterministic(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Two batches of other noise, and all rows within them, agree."""
    noise = ctx.noise("noise")
    first, second = (problem.draw(noise.at(step), problem.batch) for step in range(2))
    differ = float((first - second).abs().max())
    return _identity("deterministic", differ, "largest difference between two calls with other noise")


def declared_cost(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """The counted work of a draw against the amount that the spec declares."""
    work, declared = str(ctx.case.options["work"]), float(ctx.case.options["declared"])
    noise = ctx.noise("noise").at(0)
    counted = ctx.cost(lambda: problem.draw(noise, problem.batch)).get(work, 0.0) / problem.batch
    note = f"declared {declared:g} {work} a draw, counted {counted:g}"
    return _identity("declared-cost", abs(counted - declared), note)


def repeatable(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """The same stream twice."""
    noise = ctx.noise("noise")
    differ = sum(not _same(*(problem.draw(noise.at(step), problem.batch) for _ in range(2))) for step in range(3))
    return _identity("repeatable", differ, "batches of three whose repetition gave other bits")


def own_stream(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Global generators keep their state, and their state does not matter."""
    noise = ctx.noise("noise")
    results, touched = [], False
    for seed in (1, 2):
        with _global_seed(seed):
            before = _global_states()
            results.append(problem.draw(noise.at(0), problem.batch))
            touched = touched or before != _global_states()
    violations = touched + (not _same(*results))
    note = "a global generator was drawn from or seeded" if violations else "no global generator was touched"
    return _identity("own-stream", violations, note)


def pure(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """What the method was given, and the process's settings, are as they were."""
    before, settings = [tensor.clone() for tensor in problem.inputs], state.snapshot()
    problem.draw(ctx.noise("noise").at(0), problem.batch)
    changed = state.restore(settings)
    inputs = sum(not _same(*pair) for pair in zip(before, problem.inputs, strict=True))
    note = ", ".join([*([f"{inputs} of its inputs"] if inputs else []), *changed])
    return _identity("pure", inputs + len(changed), f"changed: {note}" if note else "nothing was changed")


def shape_and_dtype(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Shape, dtype and device of a batch."""
    draws = problem.draw(ctx.noise("noise").at(0), problem.batch)
    got = (tuple(draws.shape), draws.dtype, draws.device.type)
    expected = ((problem.batch, *problem.truth.shape), ctx.dtype, ctx.device.type)
    wrong = sum(a != b for a, b in zip(got, expected, strict=True))
    return _identity("shape-and-dtype", wrong, f"expected {_plain(expected)}, got {_plain(got)}")


def finite(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """Share of entries that are no finite number, over several batches."""
    noise, batches = ctx.noise("noise"), 16
    bad = total = 0
    for step in range(batches):
        draws = problem.draw(noise.at(step), problem.batch)
        bad, total = bad + int((~draws.isfinite()).sum()), total + draws.numel()
    return _identity("finite", bad / total, f"{bad} of {total} entries are not finite")


def independent_rows(problem: Sampling, method: object, ctx: Context) -> Evidence:  # noqa: ARG001  # the same
    """A batch of R draws is R single draws in law: rows are uncorrelated, and as far from the truth as single ones.

    For independent rows, R |batch mean - mean|^2 and the spread within the batch have the same expectation; the
    violation is the excess of the first, as a share, and its test a t test over batches. A Welch test compares
    |g - truth|^2 of rows and of single draws; the two are joined by Bonferroni.
    """
    rows = max(8, min(problem.batch, 64))
    noise = ctx.noise("noise")
    batches = 2 if ctx.deterministic else max(64, min(BATCHES, (ctx.budget or FIRST_LOOK) // rows))
    truth = problem.truth.reshape(-1).to("cpu", torch.float64)
    gaps = torch.stack([_gaps(problem, noise.at(step), rows, truth) for step in range(batches)])
    if not bool(gaps.isfinite().all()):
        raise InvalidResult("draws must be finite, got nan or inf")
    means = gaps.mean(1)
    between = rows * (means - means.mean(0)).square().sum(1).numpy() * batches / (batches - 1)
    within = gaps.var(1).sum(1).numpy()
    floor = intervals.ROUNDING * torch.finfo(problem.truth.dtype).eps * float(truth.norm() + gaps.abs().max())
    if within.mean() <= floor**2:
        # Rows that are all alike are one constant, or one draw copied: then batches differ.
        return _identity("independent-rows", float(between.mean() > rows * floor**2), "all rows of a batch are equal")
    singles = torch.cat([_gaps(problem, noise.at(batches + step), 1, truth) for step in range(SINGLES)])
    excess = (between - within) / within.mean()
    interval, error = intervals.mean(excess), float(excess.std(ddof=1) / np.sqrt(batches))
    statistic = float(interval.value) / error
    p = min(_two_sided(statistic, batches - 1), _welch(gaps.square().sum(2).mean(1), singles.square().sum(1)))
    return Evidence(
        claim="independent-rows",
        metric="excess",
        value=abs(float(interval.value)),
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


def _two_sided(t: float, freedom: float) -> float:
    return float(min(1.0, 2 * special.stdtr(freedom, -abs(t))))


def _welch(a: Tensor, b: Tensor) -> float:
    """p-value of equal means of two independent samples of unequal variance."""
    parts = [float(x.var()) / len(x) for x in (a, b)]
    if not sum(parts):
        return 1.0
    freedom = sum(parts) ** 2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True))
    return _two_sided(float(a.mean() - b.mean()) / float(np.sqrt(sum(parts))), freedom)


def _looks(budget: int | None, batch: int) -> list[int]:
    """Doubling numbers of draws, fourfold each, up to the budget."""
    most = max(budget or FIRST_LOOK, 2 * batch)
    looks = [most]
    while looks[0] // 4 >= max(FIRST_LOOK, 64 * batch):
        looks.insert(0, looks[0] // 4)
    return looks


def _constant_bias(estimate: moments.Estimate) -> Evidence:
    """Draws without spread: nothing but rounding, of f too, may stand between them and the truth."""
    gap = float(np.linalg.norm(estimate.units.gap))
    rounding = float(np.sqrt(estimate.eps)) * float(torch.linalg.vector_norm(estimate.truth))
    return Evidence(
        claim="unbiased",
        metric="bias",
        value=gap,
        n=estimate.n,
        tolerance=rounding + float(estimate.resolution),
        note="the draws do not vary; gap to the truth against rounding",
    )


def _detectable(units: Units, level: float) -> float:
    """|b| in standard deviations of a draw that the chi-square test finds with the stated power."""
    freedom = float(units.freedom)
    critical = special.chdtri(freedom, level)
    return float(np.sqrt(special.chndtrinc(critical, freedom, 1 - POWER) / (freedom * units.n)))


def _identity(claim: str, violation: float, note: str) -> Evidence:
    return Evidence(claim=claim, metric="violation", value=float(violation), note=note)


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and bool(torch.equal(a.nan_to_num(), b.nan_to_num()))


def _plain(parts: tuple[object, ...]) -> str:
    return " ".join(str(part) for part in parts)


def _global_states() -> tuple[object, ...]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002  # the legacy generator is what stray code uses
    return (
        torch.get_rng_state().numpy().tobytes(),
        numpy_state["state"]["key"].tobytes(),  # pyright: ignore[reportArgumentType, reportCallIssue]  # a dict without legacy
        numpy_state["state"]["pos"],  # pyright: ignore[reportArgumentType, reportCallIssue]  # the same
        random.getstate(),
    )


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Global generators seeded for a moment, and put back."""
    kept, numpy_kept, torch_kept = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002  # the same
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the same
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(numpy_kept)  # noqa: NPY002  # the same
        torch.set_rng_state(torch_kept)
