"""Checks of the claims of probing methods on their variance."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from scipy import special

from kexue_bench import claim
from kexue_bench.api import Evidence
from kexue_bench.catalog.core_claims import ALPHA

from .tasks.sampling import Draws

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

SPREAD_TOLERANCE = 0.4
"""An error of an error bar's square by less than two fifths does not matter."""
ROWS, BATCHES = 32, 40
FEW = 3
"""Most probes of an estimate whose error bar is checked: a divisor of n instead of n - 1 makes its square a third too
small there."""
POWER = 0.9


@claim("error-bar", "the squared standard error equals the variance on average", order=70)
def error_bar(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A t test, over batches of 32 independent repeats, of the difference between variance and squared standard error.

    Of the probes alone: the truncation, which the method's `stderr` also holds, does not vary.

    It is the calibration of the pooled z-score, the error of an estimate over the root mean square of its bars: its
    square is 1 on average if the probes are independent, as the error bar of a mean assumes. Probes that are copies of
    each other leave the mean unbiased and make this bar too small. A method with a field `probes` is checked with at
    most three of them, where a wrong divisor matters most.
    """
    if not isinstance(problem.draw, Draws):
        raise TypeError("an error bar is checked on tasks of this family only, got draws of another kind")
    draws: Draws = problem.draw
    if getattr(method, "probes", 0) > FEW:
        draws = draws.of(replace(draws.method, probes=FEW), ctx)  # pyright: ignore[reportArgumentType]  # methods are dataclasses
    noise, spreads, bars = ctx.noise("noise"), [], []
    for step in range(BATCHES):
        values = draws(noise.at(step), ROWS)
        last = draws.last
        stderr = None if last is None else last.stderr if last.spread is None else last.spread
        if stderr is None:
            return Evidence(
                claim="error-bar", metric="violation", value=None, note="the samples carry no standard error"
            )
        spreads.append(values.var())
        bars.append(stderr.square().mean())
    note = "mean square of the z-scores of the estimates (variance over mean squared standard error), minus 1"
    return _compare("error-bar", torch.stack(spreads).cpu(), torch.stack(bars).cpu(), note)


@claim("closed-variance", "the variance equals the task's closed form for the method's probes", order=80)
def closed_variance(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A t test of the variance against the closed form."""
    exact = problem.exact_variance() if problem.exact_variance is not None else None
    if exact is None:
        note = "the task has no closed form for this method"
        return Evidence(claim="closed-variance", metric="violation", value=None, note=note)
    noise = ctx.noise("noise")
    spreads = torch.stack([problem.draw(noise.at(step), ROWS).var() for step in range(BATCHES)]).cpu()
    note = f"variance of the estimates over its closed form {exact:.6g}, minus 1"
    return _compare("closed-variance", spreads, torch.full_like(spreads, exact), note)


def _compare(claim: str, found: Tensor, declared: Tensor, note: str) -> Evidence:
    """Two-sided t test that batch means of two variances have one expectation, relative to the declared one."""
    scale = float(declared.mean())
    excess = (found - declared) / scale if scale else found - declared
    n, error = len(excess), float(excess.std()) / math.sqrt(len(excess))
    value, freedom = float(excess.mean()), n - 1
    if not error:
        return Evidence(claim=claim, metric="violation", value=abs(value), tolerance=SPREAD_TOLERANCE, note=note)
    half = float(special.stdtrit(freedom, 0.975)) * error
    statistic = value / error
    return Evidence(
        claim=claim,
        metric="violation",
        value=abs(value),
        low=max(0.0, abs(value) - half),
        high=abs(value) + half,
        n=n * ROWS,
        statistic=statistic,
        p=float(min(1.0, 2 * special.stdtr(freedom, -abs(statistic)))),
        detectable=float(special.stdtrit(freedom, 1 - ALPHA / 2) + special.ndtri(POWER)) * error,
        tolerance=SPREAD_TOLERANCE,
        note=note,
    )
