"""Registration of the family of samplers. Imports neither torch nor a method."""

from __future__ import annotations

from kexue_bench import FamilySpec, discover, hookimpl

from .loops import LOOPS

FAMILY = FamilySpec(
    name="samplers",
    title="Samplers",
    summary="Markov chains on exp(-U): error of their averages, bias included, at equal cost",
    contract="kexue_energy.contract:Sampler",
    precision_metric="mse",
    baseline="ula",
    headline=("budget-error", "mse", "bias", "variance", "worst-mse", "work-variance", "time", "evaluations"),
    work="evaluations",
    judged_by="budget-error",
    # 16, 1 and 256 chains of 100 gradients.
    uses=(3200, 200, 51200),
    oracle="exact",
    loops=LOOPS,
)


@hookimpl
def kexue_specs() -> list[object]:
    """The family and all declarations of its modules and data files."""
    return [FAMILY, *discover(__package__, family=FAMILY.name)]
