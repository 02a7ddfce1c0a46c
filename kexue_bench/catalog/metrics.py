"""The metrics that the core itself records or derives; families register theirs beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..api import MetricSpec

Metrics = Mapping[tuple[str, str], MetricSpec]
"""(family, name) -> spec; the core's metrics, which every family has, are stored under the empty family."""


def keyed(specs: Iterable[MetricSpec]) -> dict[tuple[str, str], MetricSpec]:
    """Specs by (family, name)."""
    return {(spec.family, spec.name): spec for spec in specs}


def lookup(metrics: Metrics, family: str, column: str) -> MetricSpec:
    """The spec of a column of a family's tables, ignoring labels (`f1[reading=tuned]`): the family's or the core's.

    A metric that is not registered counts as lower-is-better on the log scale.
    """
    name = column.partition("[")[0]
    return metrics.get((family, name)) or metrics.get(("", name)) or MetricSpec(name=name, family=family)


CORE_METRICS: tuple[MetricSpec, ...] = (
    MetricSpec(name="estimate", direction="target", scale="linear", summary="mean of the draws of a scalar estimator"),
    MetricSpec(
        name="progress-loss",
        heading="loss",
        summary="share of the exact step's guaranteed progress that B units of work do not buy, each method with its "
        "own best step",
        ignores="the length of the estimate, which an optimizer's step size corrects",
    ),
    MetricSpec(
        name="own-loss",
        heading="own loss",
        summary="relative squared error of the mean of the draws that B units of work buy, shrunk by its own noise",
        ignores="that an optimizer's step size corrects a wrong length",
    ),
    MetricSpec(
        name="length",
        direction="target",
        scale="linear",
        summary="component of the mean of the draws along the truth, over the norm of the truth: 1 if unbiased",
    ),
    MetricSpec(
        name="budget-error",
        heading="rms error",
        summary="root mean square error of the mean of the draws that B units of work buy",
        ignores="what an estimate costs in seconds and memory",
    ),
    MetricSpec(
        name="bias",
        scale="linear",
        summary="norm of (mean - truth), debiased for the noise of the mean",
        ignores="noise and cost",
    ),
    MetricSpec(
        name="relative-bias",
        heading="rel. bias",
        scale="linear",
        margin=0.05,
        summary="bias divided by the norm of the truth",
        ignores="noise and cost",
    ),
    MetricSpec(
        name="variance",
        summary="trace of the covariance of one draw",
        ignores="bias and cost, and an estimator that is always zero has none",
    ),
    MetricSpec(
        name="mse",
        summary="mean of |draw - truth|^2: variance plus squared bias",
        ignores="cost and averaging, so that shrinking is rewarded: an estimator that is always zero can win",
    ),
    MetricSpec(
        name="worst-mse",
        summary="largest mse of a coordinate of the truth, in units in which mse is the mean of the coordinates'",
        ignores="cost and averaging",
    ),
    MetricSpec(
        name="cosine",
        direction="higher",
        scale="linear",
        summary="cosine of the mean of the draws with the truth",
        ignores="noise, length and cost",
    ),
    MetricSpec(
        name="work-variance",
        heading="work-var",
        summary="mse times the work of one draw",
        ignores="averaging, so that shrinking is rewarded: an estimator that is always zero can win",
    ),
    MetricSpec(
        name="time-variance",
        heading="time-var",
        unit="s",
        summary="mse times the seconds of one draw",
        ignores="averaging, so that shrinking is rewarded: an estimator that is always zero can win",
    ),
    MetricSpec(
        name="time",
        unit="s",
        summary="seconds per unit (a draw, a step): geometric mean over processes of interleaved rounds",
        ignores="accuracy",
    ),
    MetricSpec(
        name="first-call",
        unit="s",
        direction="target",
        summary="seconds of the first call in a fresh process, set-up and compilation included; never a verdict",
    ),
    MetricSpec(
        name="device-memory",
        unit="B",
        summary="peak bytes of the device's allocator during one call, beyond those allocated before",
    ),
    MetricSpec(
        name="memory",
        unit="B",
        summary="peak bytes of tensors allocated in one call, per unit",
        ignores="accuracy",
    ),
    MetricSpec(name="score", direction="higher", scale="linear", summary="score of one trial, which tuning maximizes"),
)
