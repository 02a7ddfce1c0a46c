"""Registration of the family of training criteria of energy models. Imports neither torch nor a method."""

from __future__ import annotations

from kexue_bench import FamilySpec, discover, hookimpl

from .loops import LOOPS

FAMILY = FamilySpec(
    name="energy",
    title="Energy models",
    summary="criteria that train an unnormalised density: how far exp(-E) / Z is from the data, and the samples beside",
    contract="kexue_energy.contract:Criterion",
    precision_metric="mse",
    baseline="pcd",
    headline=("kl", "sampler-gap", "temperature", "bias", "variance", "evaluations", "time"),
    work="evaluations",
    loops=LOOPS,
)


@hookimpl
def kexue_specs() -> list[object]:
    """The family and all declarations of its modules and data files."""
    return [FAMILY, *discover(__package__, family=FAMILY.name)]
