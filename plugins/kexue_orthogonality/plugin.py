"""What the orthogonality family registers. Imports neither torch nor a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench import FamilySpec, discover, hookimpl

from .loops import LOOPS

if TYPE_CHECKING:
    from kexue_bench.catalog.hookspecs import AnySpec

FAMILY = FamilySpec(
    name="orthogonality",
    title="Orthogonality",
    summary="penalties, parametrizations, projections and optimizers that keep weights orthogonal",
    contract="kexue_orthogonality.contract:OrthogonalityMethod",
    precision_metric="mse",
    baseline="none",
    headline=("mse", "orthogonality-error", "time", "flops", "memory"),
    work="flops",
    loops=LOOPS,
)


@hookimpl
def kexue_specs() -> list[AnySpec]:
    """The family, whose baseline leaves the weights alone, and what its modules and data files declare."""
    return [FAMILY, *discover(__package__, family=FAMILY.name)]
