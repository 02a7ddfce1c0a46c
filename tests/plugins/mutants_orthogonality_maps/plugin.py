"""Registration: what the driver imports."""

from __future__ import annotations

import pluggy

from kexue_bench.api import Claimed, MethodSpec

hookimpl = pluggy.HookimplMarker("kexue_bench")

BREAKS = {
    "unsigned-qr": ("UnsignedQR", "keeps-determinant"),
    "no-retraction": ("NoRetraction", "stays-on-manifold"),
    "unsafe-landing": ("UnsafeLanding", "stays-within-radius"),
    "restless-polynomial": ("RestlessPolynomial", "converges-to-polar"),
    "power-scaled": ("PowerScaled", "one-lipschitz"),
}
"""Mutant -> its class and the claim that it breaks."""


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Each with the claim that it breaks."""
    return [
        MethodSpec(
            name=name,
            family="orthogonality",
            target=f"mutants_orthogonality_maps.methods:{target}",
            summary="wrong in one way",
            claims=(Claimed(name=claim),),
        )
        for name, (target, claim) in BREAKS.items()
    ]
