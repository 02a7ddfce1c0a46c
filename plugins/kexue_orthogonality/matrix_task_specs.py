"""The tasks of the family that are problems of matrices, and their metrics. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import MetricSpec, PublishedSpec, TaskSpec

TASKS: tuple[TaskSpec, ...] = ()
METRICS: tuple[MetricSpec, ...] = ()
PUBLISHED: tuple[PublishedSpec, ...] = ()
