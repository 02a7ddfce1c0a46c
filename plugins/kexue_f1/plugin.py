"""What the f1 family registers. Nothing here imports torch: targets are strings, imported by workers only."""

from __future__ import annotations

from kexue_bench.api import Case, ClaimSpec, FamilySpec, MethodSpec, MetricSpec, PublishedSpec, ReadingSpec, TaskSpec
from kexue_bench.catalog.hookspecs import hookimpl

from .method_specs import METHODS
from .mulan_files import missing
from .published_specs import PUBLISHED
from .task_specs import DEMONSTRATIONS, DOWNLOADED, METRICS, TASKS

_FAMILY = "f1"
_LARGEST_PAIRS = 1024


@hookimpl
def kexue_families() -> list[FamilySpec]:
    """The family; its baseline is cross-entropy, which every table reads at a tuned threshold."""
    return [
        FamilySpec(
            name=_FAMILY,
            title="F1 losses",
            summary="Differentiable stand-ins for F1, each under every reading of the trained score.",
            contract="kexue_f1.contract:F1Loss",
            precision_metric="mse",
            baseline="bce",
            headline=("f1", "f1-regret", "average-precision", "calibration-error", "zero-gradient", "time", "memory"),
        )
    ]


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Weighted cross-entropies, ratios of soft counts, bounds, and rivals that rank."""
    return list(METHODS)


@hookimpl
def kexue_tasks() -> list[TaskSpec]:
    """Frozen batches, populations with a known optimum, data sets, and published demonstrations."""
    return [*TASKS, *DOWNLOADED, *DEMONSTRATIONS]


@hookimpl
def kexue_readings() -> list[ReadingSpec]:
    """Rules from a trained score to decisions; a stranger's plugin adds its own beside them."""
    rules = {
        "0.5": ("Half", "the threshold that the loss itself decides at"),
        "tuned": ("Tuned", "the threshold of the largest F1 on validation data"),
        "half-f": ("HalfF", "a probability of half the largest F1, right for calibrated probabilities"),
        "gfm": ("Gfm", "the set of labels of largest expected F1; for several labels"),
    }
    return [
        ReadingSpec(name=name, family=_FAMILY, target=f"kexue_f1.readings:{target}", summary=summary)
        for name, (target, summary) in rules.items()
    ]


@hookimpl
def kexue_claims() -> list[ClaimSpec]:
    """What a loss can say of itself, and that problems of a stack do not mix, which every loss promises."""
    checks = {
        "batch-size-invariant": ("batch_size_invariant", "the mean gradient of batches is the gradient on all data"),
        "gradient-matches-value": ("gradient_matches_value", "the gradient is that of the value, by differences"),
        "upper-bound(f1)": ("above_f1", "never below one minus F1"),
        "upper-bound(jaccard)": ("above_jaccard", "never below one minus Jaccard, nor so below one minus F1"),
        "vertex-exact(f1)": ("is_f1_at_vertices", "one minus F1 where every decision is certain"),
        "vertex-exact(jaccard)": ("is_jaccard_at_vertices", "one minus Jaccard where every decision is certain"),
        "consistent": ("consistent", "on all data, the smallest loss decides as the best F1 does"),
        "neutral-when-empty": ("neutral_when_empty", "a batch without positives has no gradient"),
    }
    promises = {"stacked": ("stacked", "a problem in a stack has the loss that it has alone")}
    return [
        ClaimSpec(
            name=name,
            family=_FAMILY,
            target=f"kexue_f1.claims:{check}",
            summary=summary,
            always=name in promises,
        )
        for name, (check, summary) in (checks | promises).items()
    ]


@hookimpl
def kexue_metrics() -> list[MetricSpec]:
    """Metrics beyond the core's."""
    return list(METRICS)


@hookimpl
def kexue_published() -> list[PublishedSpec]:
    """Figures that were read at their source."""
    return list(PUBLISHED)


@hookimpl
def kexue_skip(case: Case) -> str | None:
    """What needs files that are not here, and what compares all positives with all items at once."""
    if case.family != _FAMILY:
        return None
    if case.task.name in {spec.name for spec in DOWNLOADED}:
        return missing(case.task.name.removesuffix("-f1"))
    if case.method.name != "smooth-ap" or case.task.name not in {"gaussian-f1", "misspecified-f1"}:
        return None
    batch = case.task.params["batch"]
    if isinstance(batch, int) and 0 < batch <= _LARGEST_PAIRS:
        return None
    return f"a step of smooth-ap on more than {_LARGEST_PAIRS:,} items takes a fifth of a second"
