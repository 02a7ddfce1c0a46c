"""Registration of the family of weight averages. Imports neither torch nor a method."""

from __future__ import annotations

from kexue_bench import FamilySpec, discover, hookimpl

from .loops import LOOPS

FAMILY = FamilySpec(
    name="averaging",
    title="Averaging",
    summary="averages of the weights of a training: their bias, variance and nats beside the last iterate",
    contract="kexue_averaging.contract:Averager",
    precision_metric="mse",
    baseline="raw",
    headline=("mse", "bias", "variance", "excess-loss", "test-nll", "time", "memory"),
    loops=LOOPS,
)


@hookimpl
def kexue_specs() -> list[object]:
    """The family and every declaration below this package."""
    return [FAMILY, *discover(__package__, family=FAMILY.name)]
