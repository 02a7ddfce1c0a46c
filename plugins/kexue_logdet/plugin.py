"""Registration of the family. Imports neither torch nor a method."""

from __future__ import annotations

from kexue_bench import FamilySpec, discover, hookimpl

from .loops import LOOPS

FAMILY = FamilySpec(
    name="logdet",
    title="Log-determinants",
    summary="stochastic estimates of log det A and log |det(I + J)| from products with vectors",
    contract="kexue_logdet.contract:LogdetMethod",
    precision_metric="mse",
    # The simplest estimator that runs on both kinds of operator.
    baseline="power-series",
    headline=("budget-error", "estimate", "bias", "variance", "error", "work-variance", "time", "products", "memory"),
    work="products",
    judged_by="budget-error",
    uses=(1024, 16384),
    loops=LOOPS,
)


@hookimpl
def kexue_specs() -> list[object]:
    """The family and all declarations of its modules and data files."""
    return [FAMILY, *discover(__package__, family=FAMILY.name)]
