"""What the orthogonality family registers. Imports neither torch nor a method."""

from __future__ import annotations

from kexue_bench.api import Case, ClaimSpec, FamilySpec, MethodSpec, MetricSpec, PublishedSpec, TaskSpec
from kexue_bench.catalog.hookspecs import hookimpl

from . import matrix_task_specs, parametrization_specs, penalty_specs, published_specs, task_specs

FAMILY = "orthogonality"


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family; its baseline leaves the weights alone."""
    return [
        FamilySpec(
            name=FAMILY,
            title="Orthogonality",
            summary="Penalties, parametrizations, projections and optimizers that keep weights orthogonal.",
            contract="kexue_orthogonality.contract:OrthogonalityMethod",
            precision_metric="mse",
            baseline="none",
            headline=("mse", "orthogonality-error", "time", "flops", "memory"),
            work="flops",
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Controls and penalties, then parametrizations, projections and optimizers."""
    return [*penalty_specs.METHODS, *parametrization_specs.METHODS]


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Problems of matrices with known optima, then training."""
    return [*matrix_task_specs.TASKS, *task_specs.TASKS]


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """Metrics beyond the core's."""
    return [*matrix_task_specs.METRICS, *task_specs.METRICS]


@hookimpl
def kexue_claims() -> list[ClaimSpec]:
    """What methods of this family may claim."""
    return [*penalty_specs.CLAIMS, *parametrization_specs.CLAIMS]


@hookimpl
def kexue_published() -> list[PublishedSpec]:
    """Figures that were printed."""
    return [*published_specs.PUBLISHED]


@hookimpl
def kexue_skip(case: Case) -> str | None:
    """Cases that make no sense although every word fits."""
    return parametrization_specs.skip(case)
