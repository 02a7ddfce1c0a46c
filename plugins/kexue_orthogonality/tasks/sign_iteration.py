"""Effect of sequences of odd polynomials on singular values: the published figures of the matrix sign."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.problems import Workload

from ..polynomials import JORDAN, NEWTON_SCHULZ, Polynomial, evaluate
from .descent import record_exact

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context

_POINTS = 1001
_LONG = 60
_PRINTED = 8
_EXPRESS = ("polar-express", "polar-express[lower=[0.000001,0.0001,0.00000001],cushion=0.0,safety=1.0]")


@runtime_checkable
class PolynomialMethod(Protocol):
    """A method made of odd polynomials of singular values."""

    def polynomials(self) -> Iterator[Polynomial]:
        """The infinite sequence."""
        ...


@task(
    "sign-iteration",
    "odd polynomials on singular values: error, range, and the published figures of Polar Express and Muon",
    version=1,
    kind="record",
    facts={"takes": "'polynomials'"},
    suites={
        "standard": (
            "sign-iteration[steps=[10,11,17]]",
            "sign-iteration[low=0.001,steps=8]",
            "sign-iteration[low=0.01,steps=5]",
        ),
        "full": (
            "sign-iteration[steps=[10,11,17]]",
            "sign-iteration[low=0.001,steps=8]",
            "sign-iteration[low=[0.01,0.001,0.0001],steps=[5,12]]",
        ),
    },
    methods={
        "standard": ("muon", "newton-schulz[degree=[3,5]]", *_EXPRESS),
        "full": ("muon", "newton-schulz[degree=[3,5]]", "bjorck[beta=[0.25,0.4,0.5]]", *_EXPRESS),
    },
    timed=(),
    dtype="float64",
    primary="sign-error",
    headline=("sign-error", "sigma-low", "sigma-high", "below-jordan", "fixed-point"),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class SignIteration:
    """Apply the method's polynomials to 1,001 singular values from `low` to 1, evenly spaced in their logarithm.

    No matrix is needed: `sign-error` is the largest |1 - s| and `sigma-low`, `sigma-high` the range after `steps`, with
    the curve of the error; `below-jordan` is the first iteration from which the error stays below that of Muon's
    polynomial (3.4445, -4.7750, 2.0315). For methods with a safety factor c, `fixed-point` is the fixed point of the
    limit (15 s - 10 s^3 + 3 s^5) / 8 applied to s / c; `coefficient` holds those of the first eight polynomials, before
    the safety factor.

    Args:
        low: smallest singular value, in (0, 1].
        steps: iterations.

    Raises:
        ValueError: low or steps is out of range.
    """

    low: float = 1e-6
    steps: int = 11

    def __post_init__(self) -> None:
        if not 0 < self.low <= 1:
            raise ValueError(f"low must be in (0, 1], got {self.low}")
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record the curve, the range at its end, and the constants of the sequence."""
        values = list(self._run(_sequence(method), max(self.steps, _LONG), ctx))
        errors = [float((1 - s).abs().max()) for s in values]
        for step in range(self.steps + 1):
            ctx.record("sign-error", errors[step], point=step)
        record_exact(ctx, "sign-error", errors[self.steps])
        record_exact(ctx, "sigma-low", float(values[self.steps].min()))
        record_exact(ctx, "sigma-high", float(values[self.steps].max()))
        others = [float((1 - s).abs().max()) for s in self._run(repeat(JORDAN), max(self.steps, _LONG), ctx)]
        behind = [step for step, (own, other) in enumerate(zip(errors, others, strict=True)) if own >= other]
        if behind[-1] + 1 < len(errors):
            record_exact(ctx, "below-jordan", behind[-1] + 1)
        safety = float(getattr(method, "safety", 1.0))
        if safety > 1:
            point = torch.ones((), dtype=torch.float64)
            for _ in range(_LONG):
                point = evaluate(NEWTON_SCHULZ[5], point / safety)
            record_exact(ctx, "fixed-point", float(point))
        for step, polynomial in zip(range(_PRINTED), _sequence(method), strict=False):
            # The limit at the end of a sequence has no safety factor.
            factor = 1.0 if polynomial in NEWTON_SCHULZ.values() else safety
            for power, coefficient in enumerate(polynomial):
                record_exact(
                    ctx, "coefficient", coefficient * factor ** (2 * power + 1), term=f"{'abcd'[power]}{step + 1}"
                )

    def workload(self, method: object, ctx: Context) -> Workload:
        """All `steps` on all values."""

        def call() -> None:
            for _ in self._run(_sequence(method), self.steps, ctx):
                pass

        return Workload(call=call, unit="solve")

    def _run(self, polynomials: Iterator[Polynomial], steps: int, ctx: Context) -> Iterator[Tensor]:
        """The values after 0, 1, ..., `steps` iterations."""
        exponents = torch.linspace(1, 0, _POINTS, dtype=torch.float64, device=ctx.device)
        values = torch.as_tensor(self.low, dtype=torch.float64, device=ctx.device) ** exponents
        yield values
        for _, polynomial in zip(range(steps), polynomials, strict=False):
            values = evaluate(polynomial, values)
            yield values


def _sequence(method: object) -> Iterator[Polynomial]:
    if not isinstance(method, PolynomialMethod):
        raise TypeError(f"a method must have `polynomials()` here, got {type(method).__name__}; see polar-express")
    return cast("PolynomialMethod", method).polynomials()
