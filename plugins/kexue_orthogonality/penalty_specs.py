"""What controls and penalties declare: claims, knobs and sources. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import ClaimSpec, MethodSpec

_FAMILY = "orthogonality"
_METHODS = "kexue_orthogonality.methods"

METHODS = (
    MethodSpec(
        name="none",
        family=_FAMILY,
        target=f"{_METHODS}.controls:Nothing",
        summary="leave the weights alone; what everything is compared with",
    ),
)

CLAIMS: tuple[ClaimSpec, ...] = ()
