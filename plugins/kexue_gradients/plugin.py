"""What this plugin registers. Nothing here imports torch: targets are strings, imported by workers only."""

from __future__ import annotations

from kexue_bench import FamilySpec, discover, hookimpl

from .loops import LOOPS

FAMILY = FamilySpec(
    name="gradients",
    title="gradient estimators",
    summary="estimators of the gradient of E f(x) with respect to the parameters of the distribution of x",
    contract="kexue_gradients.contract:GradientMethod",
    precision_metric="mse",
    baseline="reinforce",
    headline=(
        "progress-loss",
        "own-loss",
        "length",
        "bias",
        "variance",
        "work-variance",
        "time-variance",
        "time",
        "evaluations",
        "backwards",
        "memory",
    ),
    work="evaluations",
    judged_by="progress-loss",
    uses=(16, 256, 4096),
    loops=LOOPS,
)


@hookimpl
def kexue_specs() -> list[object]:
    """The family, and what its modules and data files declare."""
    return [FAMILY, *discover(__package__ or "", family=FAMILY.name)]
