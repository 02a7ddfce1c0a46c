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
    MetricSpec(name="bias", scale="linear", summary="norm of (mean - truth), debiased for the noise of the mean"),
    MetricSpec(
        name="relative-bias",
        heading="rel. bias",
        scale="linear",
        margin=0.05,
        summary="bias divided by the norm of the truth",
    ),
    MetricSpec(name="variance", summary="trace of the covariance of one draw"),
    MetricSpec(name="mse", summary="mean of |draw - truth|^2: variance plus squared bias"),
    MetricSpec(
        name="cosine", direction="higher", scale="linear", summary="cosine of the mean of the draws with the truth"
    ),
    MetricSpec(
        name="work-variance",
        heading="work-var",
        summary="mse times the work of one draw: independent of averaging, so it compares methods of unequal cost",
    ),
    MetricSpec(name="time-variance", heading="time-var", unit="s", summary="mse times the seconds of one draw"),
    MetricSpec(
        name="time",
        unit="s",
        summary="seconds per unit (a draw, a step): geometric mean over processes of interleaved rounds",
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
    MetricSpec(name="memory", unit="B", summary="peak bytes of tensors allocated in one call, per unit"),
    MetricSpec(name="score", direction="higher", scale="linear", summary="score of one trial, which tuning maximizes"),
)
