"""Checks of what rules claim: each gets the subject of a task, and returns the violation that it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from numpy.polynomial import Legendre

from kexue_bench import Evidence, claim
from kexue_bench.lab import Counter

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab import Context

    from .tasks import Subject

SIZES = (3, 5, 9, 33)
"""Numbers of points at which rules are checked, as far as they work with so few."""


@claim("within-budget", "no estimate uses more evaluations than it may", of="subject", always=True, order=10)
def within_budget(subject: Subject, method: object, ctx: Context) -> Evidence:
    """The largest number of evaluations beyond those allowed."""
    beyond = 0
    for points in _sizes(subject):
        counter = Counter()
        _watched(subject, lambda x: x.exp(), counter).estimate(points)
        beyond = max(beyond, counter.units.get("evaluations", 0) - points)
    return _evidence("within-budget", max(0, beyond), f"up to {beyond} evaluations more than allowed")


@claim("open-interval", "the ends 0 and 1 are not evaluated", of="subject", order=20)
def open_interval(subject: Subject, method: object, ctx: Context) -> Evidence:
    """The number of evaluations at or beyond an end."""
    outside = 0

    def watched(x: Tensor) -> Tensor:
        nonlocal outside
        outside += int(((x <= 0) | (x >= 1)).sum())
        return x.exp()

    for points in _sizes(subject):
        _watched(subject, watched, Counter()).estimate(points)
    return _evidence("open-interval", outside, f"{outside} evaluations at or beyond an end")


@claim("exact-degree", "polynomials up to the declared degree are integrated exactly", of="subject", order=30)
def exact_degree(subject: Subject, method: object, ctx: Context) -> Evidence:
    """The largest error over Legendre polynomials on [0, 1] up to the degree, in units of their rounding error.

    |P_k| <= 1 and |P_k'| <= k (k + 1) on [0, 1], so that nodes and weights rounded to eps give errors of about k^2 eps.
    """
    degree = getattr(subject.rule, "degree", None)
    if degree is None:
        return Evidence(claim="exact-degree", metric="violation", value=None, note="the rule declares no degree")
    worst, where = 0.0, "no polynomial"
    for points in _sizes(subject):
        for k in range(degree(points) + 1):
            polynomial = Legendre.basis(k, domain=[0, 1])
            found = _watched(subject, lambda x, p=polynomial: torch.as_tensor(p(x)).to(x), Counter()).estimate(points)
            error = abs(found - (k == 0)) / (max(k, 1) ** 2 * torch.finfo(ctx.dtype).eps)
            if error > worst:
                worst, where = error, f"degree {k} with {points} points"
    return _evidence("exact-degree", worst, f"largest error at {where}", tolerance=4.0)


def _sizes(subject: Subject) -> list[int]:
    return [points for points in SIZES if points >= subject.rule.fewest]


def _watched(subject: Subject, function: Callable[[Tensor], Tensor], counter: Counter) -> Subject:
    """The same rule on another integrand."""
    return replace(subject, f=replace(subject.f, function=function, counter=counter))


def _evidence(name: str, violation: float, note: str, *, tolerance: float = 0.0) -> Evidence:
    """Evidence of an identity, which holds or does not: no test, no p-value."""
    return Evidence(claim=name, metric="violation", value=float(violation), tolerance=tolerance, note=note)
