"""What the family registers. Imports neither torch nor a method."""

from __future__ import annotations

from kexue_bench.api import Case, ClaimSpec, FamilySpec, MethodSpec, MetricSpec, PublishedSpec, TaskSpec
from kexue_bench.catalog.hookspecs import hookimpl

from . import competitor_specs, method_specs, published_specs, residual_specs, skips, task_specs

FAMILY = "logdet"


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family; its baseline is the plainest estimator that runs on both kinds of operator."""
    return [
        FamilySpec(
            name=FAMILY,
            title="Log-determinants",
            summary="Stochastic estimates of log det A and log |det(I + J)| from products with vectors.",
            contract="kexue_logdet.contract:LogdetMethod",
            precision_metric="mse",
            baseline="power-series",
            headline=("estimate", "bias", "variance", "error", "work-variance", "time", "products", "memory"),
            work="products",
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Methods for either kind of operator or SPD ones, then those for residual ones, then those of other libraries."""
    return [*method_specs.METHODS, *residual_specs.METHODS, *competitor_specs.METHODS]


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Tasks in the order of their tables."""
    return [*task_specs.TASKS, *residual_specs.TASKS]


@hookimpl
def kexue_claims() -> list[ClaimSpec]:
    """Claims of this family, and the core's `unbiased` with a tolerance that suits the price of a draw."""
    checks = {
        "unbiased": ("unbiased", "the mean of the estimates is the truth"),
        "upper-bound": ("upper_bound", "the mean of the estimates is not below the truth"),
        "lower-bound": ("lower_bound", "the mean of the estimates is not above the truth"),
        "exact-at(steps=n)": ("exact_at", "with n Lanczos steps nothing is left but the noise of the probes"),
        "small-determinant": ("small_determinant", "the logarithm of a determinant below 1 comes out negative"),
        "exact-at(probes=n)": ("exact_at", "with n probes every estimate is the truth"),
    }
    spreads = {
        "error-bar": ("error_bar", "the square of the own standard error is on average the variance"),
        "closed-variance": ("closed_variance", "the variance is the task's closed form for the method's probes"),
    }
    return [
        ClaimSpec(name=name, family=FAMILY, target=f"kexue_logdet.{module}:{check}", summary=summary)
        for module, table in (("claims", checks), ("spd_claims", spreads))
        for name, (check, summary) in table.items()
    ]


@hookimpl
def kexue_published() -> list[PublishedSpec]:
    """Figures printed by others, each under its own protocol."""
    return list(published_specs.PUBLISHED)


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """Metrics beyond the core's."""
    return [
        MetricSpec(name="error", unit="nats", summary="mean of |estimate - truth| / n, nats per dimension"),
        MetricSpec(
            name="root-error", unit="nats", summary="mean of |estimate - truth| / sqrt(n), the scale of probing noise"
        ),
        MetricSpec(
            name="coverage",
            direction="target",
            scale="linear",
            summary="share of draws whose own 95 % error bar, with its bracket, holds the truth",
        ),
        MetricSpec(
            name="coverage-68",
            direction="target",
            scale="linear",
            summary="the same for one standard error, which should hold the truth 68 % of the time",
        ),
        MetricSpec(name="relative-error", summary="mean of |estimate - trace| / trace"),
        MetricSpec(
            name="rate", scale="linear", margin=0.05, summary="slope of log error over log products: -1/2 for sampling"
        ),
        MetricSpec(
            name="threshold", direction="target", summary="products from which a sketch holds a spectrum's steep part"
        ),
        MetricSpec(name="products-mean", summary="realised mean of products where the cost is random"),
        MetricSpec(
            name="products-max", summary="realised maximum of products of one estimate where the cost is random"
        ),
        MetricSpec(name="setup", summary="products spent on preparation, per estimate; part of products"),
        MetricSpec(name="bounds", summary="products spent on bounding the spectrum, per estimate; part of products"),
        MetricSpec(name="backward", summary="products spent on a gradient, per estimate; part of products"),
        MetricSpec(name="entries", summary="nonzero entries read, per estimate; not priced in products"),
        MetricSpec(name="products", summary="products of the operator with one vector, per estimate", scale="log"),
        *residual_specs.METRICS,
    ]


@hookimpl
def kexue_skip(case: Case) -> str | None:
    """Cases that a short run leaves out, and those that make no sense although every word fits."""
    if case.family != FAMILY:
        return None
    return residual_specs.skip(case) or skips.reason(case)
