"""Registration: what the driver imports."""

from __future__ import annotations

import pluggy

from kexue_bench.api import Claimed, MethodSpec

hookimpl = pluggy.HookimplMarker("kexue_bench")


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Both declare to be unbiased."""
    return [
        MethodSpec(
            name=name,
            family="logdet",
            target=f"mutants_residual.methods:{target}",
            summary="cut at random without reweighting",
            claims=(Claimed(name="unbiased"),),
            needs=frozenset({"residual"}),
        )
        for name, target in (("unweighted-roulette", "UnweightedRoulette"), ("unweighted-neumann", "UnweightedNeumann"))
    ]
