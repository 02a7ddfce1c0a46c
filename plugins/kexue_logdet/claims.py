"""Checks of what methods of this family claim: bounds of the mean, and exactness when a hyper-parameter reaches n."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import torch

from kexue_bench import claim
from kexue_bench.api import Evidence
from kexue_bench.lab import claims

from .contract import Bounds, Operator
from .tasks.sampling import fitting

if TYPE_CHECKING:
    from scipy.sparse import csc_array

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling

TOLERANCE = 0.2
"""A bias or violation below this share of an estimate's standard deviation does not matter: draws are expensive."""
ROWS, CONDITION = 64, 1e6
"""Size and condition number of the operator for the check of exactness."""


@claim("unbiased", "the mean of the estimates is the truth", order=10)
def unbiased(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """The core's check with this family's tolerance."""
    return claims.unbiased(problem, method, ctx, tolerance=TOLERANCE)


@claim("upper-bound", "the mean of the estimates is not below the truth", order=20)
def upper_bound(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A one-sided test, with this family's tolerance."""
    return claims.one_sided(problem, ctx, claim="upper-bound", side=1, tolerance=TOLERANCE)


@claim("lower-bound", "the mean of the estimates is not above the truth", order=30)
def lower_bound(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """A one-sided test, with this family's tolerance."""
    return claims.one_sided(problem, ctx, claim="lower-bound", side=-1, tolerance=TOLERANCE)


@claim("exact-at(steps=n)", "with n Lanczos steps the probes are the only source of error", order=40)
@claim("exact-at(probes=n)", "with n probes every estimate equals the truth", order=60)
def exact_at(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Whether every draw equals the truth if the field in the claim, `exact-at(FIELD=n)`, is n.

    The operator has n = 64 eigenvalues from 1e-6 to 1 in geometric progression: hard enough for Lanczos to lose its
    orthogonality. For `steps` it is diagonal, so that v^T log(A) v is the log-determinant for every Rademacher v, and
    the remaining error is that of the method; for any other field it is full, so that the probes have variance.
    The tolerance is rounding: eps times condition number, for an eigenvalue known to eps ||A||.
    """
    match = re.fullmatch(r"exact-at\((\w+)=n\)", ctx.case.claim)
    if match is None:
        raise ValueError(f"the claim must read exact-at(FIELD=n), got {ctx.case.claim!r}")
    changes: dict[str, Any] = {match[1]: ROWS}
    eigenvalues = torch.logspace(-6, 0, ROWS, dtype=ctx.dtype, device=ctx.device)
    matrix = torch.diag(eigenvalues)
    if match[1] != "steps":
        reflection = torch.eye(ROWS, dtype=ctx.dtype, device=ctx.device) - 2 / ROWS
        matrix = reflection @ matrix @ reflection
    elif any(field.name == "distribution" for field in fields(method)):  # pyright: ignore[reportArgumentType]  # methods are dataclasses
        changes["distribution"] = "rademacher"
    full: Any = replace(method, **changes)  # pyright: ignore[reportArgumentType]  # methods are dataclasses
    bounds = Bounds(low=1 / CONDITION, high=1.0, provenance="exact")
    op = Operator.of(matrix, "spd", bounds=bounds)
    budget, repeats = ROWS**2, 8
    value = full.estimate(op.within(budget=budget, repeats=repeats), budget, ctx.noise("noise"), repeats).value
    error = float((value - eigenvalues.double().log().sum()).abs().max()) / ROWS
    return Evidence(
        claim=ctx.case.claim,
        metric="violation",
        value=error,
        unit="nats",
        n=repeats,
        tolerance=float(torch.finfo(ctx.dtype).eps) * CONDITION,
        note=f"|estimate - truth| / n up to {error:.2g} nats, on n = {ROWS} eigenvalues from {1 / CONDITION:g} to 1",
    )


@claim("small-determinant", "the logarithm of a determinant below 1 is negative", order=50)
def small_determinant(problem: Sampling, method: object, ctx: Context) -> Evidence:
    """Whether the mean of eight draws is near a log-determinant that is negative.

    The operator has n = 64 eigenvalues from 0.2 to 0.8, the eigenvectors of a reflection, and entries for methods that
    need them. A tolerance of a quarter of the truth allows for noise but not for a wrong sign.
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
    budget, repeats, estimator = ROWS**3, 8, fitting(method)
    value = estimator.estimate(op.within(budget=budget, repeats=repeats), budget, ctx.noise("noise"), repeats).value
    truth, mean = float(eigenvalues.double().log().sum()), float(value.mean())
    return Evidence(
        claim="small-determinant",
        metric="violation",
        value=abs(mean / truth - 1),
        n=repeats,
        tolerance=0.25,
        note=f"mean estimate {mean:.5g} of the log-determinant {truth:.5g}, relative error",
    )
