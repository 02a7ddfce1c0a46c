"""What the smoothing family registers: itself and every declaration below this package. Imports no torch, no method."""

from __future__ import annotations

from collections.abc import Iterable

from kexue_bench import FamilySpec, discover, hookimpl

from .loops import LOOPS

FAMILY = FamilySpec(
    name="smoothing",
    title="Smoothing",
    summary="Smooth surrogates of max, argmax, sort, rank, top-k, steps and rounding, at matched error.",
    contract="kexue_smoothing.contract:Operator",
    precision_metric="gradient-gap",
    # The one method that exists for every hard function.
    baseline="softmax",
    headline=("gradient-gap", "smooth-error", "dead-share", "wrong-sign", "softness", "time", "memory"),
    loops=LOOPS,
)


@hookimpl
def kexue_specs() -> Iterable[object]:
    """The family and every declaration below this package."""
    return [FAMILY, *discover(__package__, family=FAMILY.name)]
