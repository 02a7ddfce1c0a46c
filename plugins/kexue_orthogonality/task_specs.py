"""The tasks of the family that train, and their metrics. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import MetricSpec, TaskSpec

TASKS: tuple[TaskSpec, ...] = ()
METRICS = (
    MetricSpec(
        name="orthogonality-error",
        heading="|W'W-I|",
        summary="largest Frobenius norm of W'W - I over the targets, W tall",
    ),
    MetricSpec(
        name="singular-spread",
        heading="smax/smin",
        summary="largest ratio of the largest to the smallest singular value over the targets",
    ),
    MetricSpec(
        name="flops", summary="operations in matrix products and factorizations of one step, 2 per multiply-add"
    ),
)
