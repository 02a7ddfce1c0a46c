"""What the family registers. Imports neither torch nor a method."""

from __future__ import annotations

from kexue_bench.api import ClaimSpec, FamilySpec, MethodSpec, MetricSpec, PublishedSpec, TaskSpec
from kexue_bench.catalog.hookspecs import hookimpl

from . import method_specs, published_specs, task_specs, trained_specs

FAMILY = method_specs.FAMILY


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family; its baseline is the one method that stands for every hard function."""
    return [
        FamilySpec(
            name=FAMILY,
            title="Smoothing",
            summary="Smooth stand-ins for max, argmax, sort, rank, top-k, steps and rounding, at matched error.",
            contract="kexue_smoothing.contract:Smoothing",
            precision_metric="gradient-gap",
            baseline="softmax",
            headline=task_specs.TASKS[0].headline,
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Those that exist for many hard functions, then by kind."""
    return list(method_specs.METHODS)


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Tasks in the order of their tables."""
    return [*task_specs.TASKS, *trained_specs.TASKS, *published_specs.TASKS]


@hookimpl
def kexue_claims() -> list[ClaimSpec]:
    """What operators can claim of themselves, and the stability that all must keep."""
    checks = {
        "error-bound": "no input errs by more than is declared for its gap",
        "tight-bound": "some input errs by as much as is declared",
        "upper-bound": "the soft value is nowhere below the hard one",
        "lower-bound": "the soft value is nowhere above the hard one",
        "vertex-exact": "it is the hard function, at no small softness, wherever no error is declared",
        "hard-limit": "errors vanish as the softness does",
        "gradient-matches-value": "derivatives are those of the value, by central differences",
        "unit-interval": "weights lie between 0 and 1",
        "sums-to-k": "weights sum to the number that is chosen",
        "row-stochastic": "the soft permutation is non-negative, with rows that sum to 1",
        "doubly-stochastic": "the same, with columns that sum to 1",
        "monotone": "no entry that grows makes the soft value smaller",
        "symmetric": "the order of the entries does not matter",
        "expected-softmax": "the mean over its noise is softmax(x / s)",
        "stable": "values are numbers and gradients finite at infinities, ties, one entry, many, and any softness",
    }
    return [
        ClaimSpec(
            name=name,
            family=FAMILY,
            target=f"kexue_smoothing.claims:{name.replace('-', '_')}",
            summary=summary,
            always=name == "stable",
        )
        for name, summary in checks.items()
    ]


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """Metrics beyond the core's."""
    return [*task_specs.METRICS, *trained_specs.METRICS, *published_specs.METRICS]


@hookimpl
def kexue_published() -> list[PublishedSpec]:
    """Figures that were printed, each under its own protocol."""
    return list(published_specs.PUBLISHED)
