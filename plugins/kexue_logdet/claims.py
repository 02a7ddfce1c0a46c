"""Checks of what methods of this family claim: bounds of the mean, and exactness when a hyper-parameter reaches n."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast

import torch

from kexue_bench import claim
from kexue_bench.api import Evidence
from kexue_bench.catalog.core_claims import decide
from kexue_bench.lab import claims
from kexue_bench.lab.noise import Noise
from kexue_bench.lab.problems import Sampling

from .contract import Bounds, Operator, Target
from .tasks.sampling import Draws, fitting

if TYPE_CHECKING:
    from scipy.sparse import csc_array
    from torch import Tensor

    from kexue_bench.lab.context import Context

    from .contract import LogdetMethod

TOLERANCE = 0.2
"""A bias below this share of an estimate's standard deviation does not matter: draws are expensive."""
ROWS, CONDITION = 64, 1e6
"""Size and condition number of the operator for the check of exactness."""
FEW, SHORT = 8, 3
"""Rows of the operator whose 128 pairs of sign vectors are enumerated, and the most terms of a rule or series on it:
enough of them would leave no error with a sign."""


_REPEATS = 8
_ROUNDING = 1e-9
"""Rounding of a mean over sign vectors, as a share of the truth."""
_SMALL_DRAWS = 2**15


@claim("unbiased", "the mean of the estimates is the truth", order=10)
def unbiased(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The core's check with this family's tolerance."""
    return claims.unbiased(problem, method, ctx, tolerance=TOLERANCE)


@claim("upper-bound", "the mean of the estimates is not below the truth", order=20)
def upper_bound(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """By the interval of the mean on the task; if the truth is inside, by the exact mean on eight rows."""
    return _bound(problem, method, ctx, claim="upper-bound", side=1)


@claim("lower-bound", "the mean of the estimates is not above the truth", order=30)
def lower_bound(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """By the interval of the mean on the task; if the truth is inside, by the exact mean on eight rows."""
    return _bound(problem, method, ctx, claim="lower-bound", side=-1)


@claim("exact-at(steps=n)", "with n Lanczos steps the probes are the only source of error", order=40)
@claim("exact-at(probes=n)", "with n probes every estimate equals the truth", order=60)
def exact_at(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Whether every draw equals the truth if the field in the claim, `exact-at(FIELD=n)`, is n.

    The operator has n = 64 eigenvalues from 1e-6 to 1 in geometric progression: hard enough for Lanczos to lose its
    orthogonality. For `steps` it is diagonal, so that v^T log(A) v is the log-determinant for every Rademacher v, and
    the remaining error is that of the method; for any other field it is full, so that the probes have variance.
    The tolerance is rounding: eps times condition number, for an eigenvalue known to eps ||A||.

    As many steps as there are different eigenvalues are enough too, so that `steps` is also checked at 3, on 64 rows
    with three of them: one step short shows there, while 63 steps in place of 64 lose nothing.
    """
    match = re.fullmatch(r"exact-at\((\w+)=n\)", ctx.case.claim)
    if match is None:
        raise ValueError(f"the claim must read exact-at(FIELD=n), got {ctx.case.claim!r}")
    counts, noise = (ROWS, SHORT) if match[1] == "steps" else (ROWS,), ctx.noise("noise")
    errors = [_error_at(fitting(method), match[1], count, ctx, noise.at(index)) for index, count in enumerate(counts)]
    return Evidence(
        claim=ctx.case.claim,
        metric="violation",
        value=max(errors),
        unit="nats",
        n=_REPEATS * len(errors),
        tolerance=float(torch.finfo(ctx.dtype).eps) * CONDITION,
        note=f"|estimate - truth| / n up to {max(errors):.2g} nats, on {ROWS} eigenvalues from {1 / CONDITION:g} to 1"
        + (f", and on {SHORT} different ones" if len(counts) > 1 else ""),
    )


def _error_at(method: LogdetMethod, field: str, count: int, ctx: Context, noise: Noise) -> float:
    """Largest |estimate - truth| / n, in nats, with `count` in the field, on n = 64 rows with so many eigenvalues."""
    changes: dict[str, Any] = {field: count}
    values = torch.logspace(-6, 0, count, dtype=ctx.dtype, device=ctx.device)
    eigenvalues = values.repeat_interleave(-(-ROWS // count))[:ROWS]
    matrix = torch.diag(eigenvalues)
    if field != "steps":
        reflection = torch.eye(ROWS, dtype=ctx.dtype, device=ctx.device) - 2 / ROWS
        matrix = reflection @ matrix @ reflection
    elif any(each.name == "distribution" for each in fields(method)):  # pyright: ignore[reportArgumentType]  # methods are dataclasses
        changes["distribution"] = "rademacher"
    full: Any = replace(method, **changes)  # pyright: ignore[reportArgumentType]  # methods are dataclasses
    bounds = Bounds(low=1 / CONDITION, high=1.0, provenance="exact")
    op = Operator.of(matrix, "spd", bounds=bounds)
    budget = ROWS**2
    value = full.estimate(op.within(budget=budget, repeats=_REPEATS), budget, noise, _REPEATS).value
    return float((value - eigenvalues.double().log().sum()).abs().max()) / ROWS


@claim("small-determinant", "the logarithm of a determinant below 1 is negative", order=50)
def small_determinant(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Whether the mean of 64 draws is near a log-determinant that is negative.

    The operator has n = 64 eigenvalues from 0.2 to 0.8, the eigenvectors of a reflection, and entries for methods that
    need them. A tolerance of 15 % of the truth is six standard errors of one Gaussian probe without a preconditioner,
    and allows for no wrong sign.
    """
    eigenvalues = torch.linspace(0.2, 0.8, ROWS, dtype=ctx.dtype, device=ctx.device)
    reflection = torch.eye(ROWS, dtype=ctx.dtype, device=ctx.device) - 2 / ROWS
    matrix = (reflection * eigenvalues) @ reflection

    def entries() -> csc_array:
        from scipy.sparse import csc_array

        return csc_array(matrix.double().cpu().numpy())

    op = Operator(
        kind="spd",
        n=ROWS,
        product=lambda v: matrix @ v,
        dtype=ctx.dtype,
        device=ctx.device,
        bounds=Bounds(low=0.2, high=0.8, provenance="exact"),
        entries=entries,
    )
    budget, repeats, estimator = ROWS**3, 64, fitting(method)
    value = estimator.estimate(op.within(budget=budget, repeats=repeats), budget, ctx.noise("noise"), repeats).value
    truth, mean = float(eigenvalues.double().log().sum()), float(value.mean())
    return Evidence(
        claim="small-determinant",
        metric="violation",
        value=abs(mean / truth - 1),
        n=repeats,
        tolerance=0.15,
        note=f"mean estimate {mean:.5g} of the log-determinant {truth:.5g}, relative error",
    )


# -- bounds -----------------------------------------------------------------------------------------------------------


def _bound(problem: Sampling, method: object, ctx: Context, *, claim: str, side: int) -> Evidence:
    found = claims.bounded(problem, ctx, claim=claim, side=side)
    if decide(found) != "UNDECIDED":
        return found
    # On the task the error with a sign is too small beside that of the probes: let it be large.
    small = _Small(method, ctx, target=problem.draw.op.target if isinstance(problem.draw, Draws) else "logdet")
    where = f"on the task the truth is inside the interval of the mean of {found.n:,} draws"
    excess = small.mean_over_signs()
    if excess is not None and abs(excess) > _ROUNDING:
        return Evidence(
            claim=claim,
            metric="violation",
            value=max(0.0, -side * excess),
            n=found.n,
            tolerance=_ROUNDING,
            note=f"exact mean over every sign vector on {FEW} rows: {excess:+.2g} of |truth|; {where}",
        )
    if excess is None and (drawn := small.problem()) is not None:
        return replace(
            claims.bounded(drawn, ctx.fork("eight rows", 0), claim=claim, side=side, budget=_SMALL_DRAWS),
            note=f"distance of the mean on the wrong side in standard deviations of a draw, on {FEW} rows; {where}",
        )
    return found


class _UnknownNoiseError(Exception):
    """The method draws something else than one sign vector per repeat."""


class _Signs:
    """Noise that deals out every sign vector of a few entries once, up to an overall sign."""

    def __init__(self, like: Tensor) -> None:
        codes = torch.arange(2 ** (FEW - 1), device=like.device).unsqueeze(1)
        bits = codes >> torch.arange(FEW, device=like.device) & 1
        self.every = (2 * bits - 1).to(like.dtype)
        self._dealt = False

    def rademacher(self, *shape: int) -> Tensor:
        """The vectors, as `[128, 1, 8]`."""
        if self._dealt or shape != (len(self.every), 1, FEW):
            raise _UnknownNoiseError
        self._dealt = True
        return self.every.unsqueeze(1)

    def __getattr__(self, name: str) -> object:
        raise _UnknownNoiseError


class _Small:
    """A method on eight rows, with one probe and so few steps or terms that its error has a sign.

    Eigenvalues from 0.01 to 1.6 in geometric progression, eigenvectors of a reflection.
    """

    def __init__(self, method: object, ctx: Context, *, target: Target) -> None:
        values = torch.logspace(-2, math.log10(1.6), FEW, dtype=torch.float64, device=ctx.device)
        axis = torch.arange(1.0, FEW + 1, dtype=torch.float64, device=ctx.device)
        reflection = torch.eye(FEW).to(values) - 2 * torch.outer(axis, axis) / axis.dot(axis)
        self._matrix = (reflection * values) @ reflection
        self._target: Target = target
        self._truth = values.log().sum() if target == "logdet" else values.reciprocal().sum()
        names = {field.name for field in fields(method)}  # pyright: ignore[reportArgumentType]  # methods are dataclasses
        changes: dict[str, Any] = {"probes": 1, "distribution": "rademacher"}
        changes |= {name: min(SHORT, getattr(method, name, SHORT)) for name in ("steps", "degree")}
        changes |= dict.fromkeys(("rank", "block", "depth", "extra"), 1)
        changes = {name: value for name, value in changes.items() if name in names}
        self._method: Any = replace(method, **changes)  # pyright: ignore[reportArgumentType]  # methods are dataclasses

    def mean_over_signs(self) -> float | None:
        """E estimate - truth as a share of |truth|, over every sign vector; None if that is not the method's noise."""
        signs = _Signs(self._matrix)
        try:
            value = self._draw(cast("Noise", signs), len(signs.every))
        except (_UnknownNoiseError, ValueError):
            return None
        return float((value.mean() - self._truth) / self._truth.abs())

    def problem(self) -> Sampling | None:
        """Draws with whatever noise the method takes; None if eight rows are too few for it."""
        try:
            self._draw(Noise.seeded(0, dtype=torch.float64, device=self._matrix.device), 2)
        except ValueError:
            return None
        return Sampling(draw=self._draw, truth=self._truth, batch=1024)

    def _draw(self, noise: Noise, repeats: int) -> Tensor:
        op = Operator.of(
            self._matrix, "spd", bounds=Bounds(low=0.01, high=1.6, provenance="exact"), target=self._target
        )
        return self._method.estimate(op.within(budget=FEW**3, repeats=repeats), FEW**3, noise, repeats).value.double()
