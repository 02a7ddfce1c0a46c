"""What it registers."""

from __future__ import annotations

from kexue_bench import FamilySpec, discover, hookimpl

FAMILY = FamilySpec(
    name="erring",
    title="Means",
    summary="means of numbers",
    contract="erring.methods:Drawing",
    precision_metric="mse",
    baseline="honest",
    headline=("bias", "mse", "time"),
)


@hookimpl
def kexue_specs() -> list[object]:
    """The family, its methods and its tasks."""
    return [FAMILY, *discover(__package__ or "", family=FAMILY.name)]
