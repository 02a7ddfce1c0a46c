"""Integrals with exact truth: one kind of task for rules, whose error is a number, one for random rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_bench.lab import Counter, Noise, Sampling, Workload

from .contract import Integrand, Quadrature
from .integrands import KNOWN

if TYPE_CHECKING:
    from kexue_bench.lab import Context

REGULAR = "integral[function=[exponential,kink,root]]"
ROUNDING = 64


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured and what claims are checked on: a rule at work on an integrand.

    Args:
        rule: the method.
        f: the integrand.
        truth: its exact integral.
        noise: the stream of the method.
    """

    rule: Quadrature
    f: Integrand
    truth: float
    noise: Noise

    def estimate(self, points: int) -> float:
        """The rule's integral with this many points."""
        return float(self.rule.integrate(self.f, points, self.noise.at(0), 1))


@task(
    "integral",
    "a function on [0, 1], exact integral known, error of a rule with at most `points` evaluations",
    version=1,
    kind="subject",
    offers={"bounded", "deterministic"},
    suites={
        "tour": ("integral[function=kink]",),
        "quick": (REGULAR,),
        "standard": (REGULAR, "integral[function=runge]", "integral[function=power,points=4]"),
        "full": (REGULAR, "integral[function=runge]", "integral[function=power,points=4]"),
        "verify": ("integral[points=33]",),
    },
    dtype="float64",
    primary="integration-error",
    headline=("integration-error", "evaluations", "time", "memory"),
    points="evaluations",
    order=10,
)
@task(
    "singular-integral",
    "log x on [0, 1], whose integral is -1, for rules that leave out the ends",
    version=1,
    kind="subject",
    offers={"deterministic"},
    suites={"quick": ("singular-integral",), "standard": ("singular-integral",), "full": ("singular-integral",)},
    dtype="float64",
    primary="integration-error",
    headline=("integration-error", "evaluations", "time", "memory"),
    baseline="gauss-legendre",
    points="evaluations",
    fixed={"function": "logarithm"},
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class Integral:
    """`|estimate - truth| / |truth|` of a deterministic rule, after 3, 5, 9, ... and at last `points` evaluations.

    An error below `ROUNDING` units of the dtype counts as that much: sums of rounded terms differ by chance there.

    Args:
        function: name of an integrand of `KNOWN`.
        points: how many evaluations a rule may use, at least 2.
    """

    function: str = "exponential"
    points: int = 257

    def __post_init__(self) -> None:
        _check(self.function, self.points)

    def subject(self, method: Quadrature, ctx: Context) -> Subject:
        """The rule and a fresh integrand."""
        return Subject(
            rule=method,
            f=_integrand(self.function, ctx.counter, ctx),
            truth=KNOWN[self.function].integral,
            noise=ctx.noise("method"),
        )

    def evaluate(self, subject: Subject, ctx: Context) -> None:
        """Record the error along the way and at the end, the estimate, and how many evaluations it used."""
        floor = ROUNDING * torch.finfo(ctx.dtype).eps

        def error(estimate: float) -> float:
            return max(abs(estimate / subject.truth - 1), floor)

        for points in (2**k + 1 for k in range(1, self.points.bit_length())):
            if subject.rule.fewest <= points < self.points:
                ctx.record("integration-error", error(subject.estimate(points)), point=points)
        before = ctx.counter.units.get("evaluations", 0)
        estimate = subject.estimate(self.points)
        used = ctx.counter.units["evaluations"] - before
        ctx.record("integration-error", error(estimate), point=self.points)
        # Nothing here is random, so that every interval is a point.
        for metric, value in (("integration-error", error(estimate)), ("estimate", estimate), ("evaluations", used)):
            ctx.record(metric, value, interval=(value, value), flags=("exact",))

    def workload(self, method: Quadrature, ctx: Context) -> Workload:
        """What is timed: one integral."""
        subject = self.subject(method, ctx)
        return Workload(call=lambda: subject.estimate(self.points), unit="call")


@task(
    "random-integral",
    "a function on [0, 1], exact integral known, estimates from `points` random evaluations",
    version=1,
    offers={"random"},
    suites={
        "quick": ("random-integral[function=kink]",),
        "standard": ("random-integral[function=[exponential,kink]]",),
        "full": ("random-integral[function=[exponential,kink]]",),
    },
    baseline="monte-carlo",
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class RandomIntegral:
    """Draws of a random rule, and the integral.

    Args:
        function: name of an integrand of `KNOWN`.
        points: evaluations of one draw, at least 2.
    """

    function: str = "exponential"
    points: int = 16

    def __post_init__(self) -> None:
        _check(self.function, self.points)

    def problem(self, method: Quadrature, ctx: Context) -> Sampling:
        """Draws of the method, and the truth."""
        f = _integrand(self.function, ctx.counter, ctx)
        return Sampling(
            draw=lambda noise, n: method.integrate(f, self.points, noise, n),
            truth=torch.tensor(KNOWN[self.function].integral, dtype=torch.float64),
            batch=64,
        )


def _check(function: str, points: int) -> None:
    if function not in KNOWN:
        raise ValueError(f"function must be one of {', '.join(KNOWN)}, got {function!r}")
    if points < 2:
        raise ValueError(f"points must be >= 2, got {points}")


def _integrand(function: str, counter: Counter, ctx: Context) -> Integrand:
    return Integrand(function=KNOWN[function].function, counter=counter, dtype=ctx.dtype, device=ctx.device)
