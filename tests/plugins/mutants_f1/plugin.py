"""Registration: what the driver imports."""

from __future__ import annotations

import pluggy

from kexue_bench.api import Claimed, MethodSpec

hookimpl = pluggy.HookimplMarker("kexue_bench")

_CLAIMS = {
    "batch-dice": ("BatchDice", ("batch-size-invariant", "upper-bound(f1)", "consistent", "gradient-matches-value")),
    "smoothed-dice": ("SmoothedDice", ("neutral-when-empty", "vertex-exact(f1)")),
    "detached-focal": ("DetachedFocal", ("gradient-matches-value",)),
    "plain-entropy": ("PlainEntropy", ("consistent", "vertex-exact(jaccard)", "batch-size-invariant")),
    "mixing-dice": ("MixingDice", ()),
    "unsorted-lovasz": ("UnsortedLovasz", ("upper-bound(jaccard)",)),
}


@hookimpl
def kexue_methods() -> list[MethodSpec]:
    """Each with claims that it breaks, and some that it keeps."""
    return [
        MethodSpec(
            name=name,
            family="f1",
            target=f"mutants_f1.methods:{target}",
            summary="a mistake",
            claims=tuple(Claimed(name=claim) for claim in claims),
        )
        for name, (target, claims) in _CLAIMS.items()
    ]
