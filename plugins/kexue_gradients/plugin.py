"""What this plugin registers. Nothing here imports torch: targets are strings, imported by workers only."""

from __future__ import annotations

from kexue_bench.api import FamilySpec, MethodSpec, MetricSpec, PublishedSpec, TaskSpec
from kexue_bench.catalog.hookspecs import hookimpl

from .method_specs import METHODS
from .published_specs import PUBLISHED
from .task_specs import FROZEN_TASKS
from .trained_specs import METRICS, TRAINED_TASKS

_FAMILY = "gradients"


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family."""
    return [
        FamilySpec(
            name=_FAMILY,
            title="gradient estimators",
            summary="estimators of the gradient of E f(x) with respect to the parameters of the law of x",
            contract="kexue_gradients.contract:GradientMethod",
            precision_metric="mse",
            baseline="reinforce",
            headline=("bias", "variance", "work-variance", "time", "evaluations", "memory"),
            work="evaluations",
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Score-function methods first, then those that need the gradient of f."""
    return list(METHODS)


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Toys with closed forms, real data at frozen parameters, and training."""
    return [*FROZEN_TASKS, *TRAINED_TASKS]


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """Metrics of this family beside the core's."""
    return list(METRICS)


@hookimpl
def kexue_published() -> list[PublishedSpec]:
    """Figures that papers print, under their own protocols."""
    return list(PUBLISHED)
