"""What this package registers. Nothing here imports torch: declarations are read, and imported by workers only."""

from __future__ import annotations

from kexue_bench import FamilySpec, discover, hookimpl

FAMILY = FamilySpec(
    name="quadrature",
    title="Quadrature",
    summary="how to integrate a function on [0, 1] with few evaluations",
    contract="kexue_quadrature.contract:Quadrature",
    precision_metric="mse",
    baseline="trapezoid",
    headline=("integration-error", "evaluations", "budget-error", "bias", "variance", "time", "memory"),
    # One draw of a random rule is priced by its evaluations, and judged by what 1,024 of them buy.
    work="evaluations",
    judged_by="budget-error",
    uses=(1024.0,),
)


@hookimpl
def kexue_specs() -> list[object]:
    """The family, every declaration of this package, and the entries of its two `.toml` files."""
    return [FAMILY, *discover(__package__, family=FAMILY.name)]
