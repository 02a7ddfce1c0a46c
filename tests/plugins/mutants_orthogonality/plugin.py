"""Registers the mistakes, each with the claims that it breaks."""

from __future__ import annotations

from kexue_bench.api import Claimed, MethodSpec
from kexue_bench.catalog.hookspecs import hookimpl

_ALL = ("gradient-matches-value", "zero-on-orthogonal", "zero-only-on-orthogonal", "left-invariant", "right-invariant")


@hookimpl
def kexue_methods():
    """All of them claim what the honest one keeps."""
    names = {
        "honest": "Honest",
        "half-gradient": "HalfGradient",
        "forgotten-diagonal": "ForgottenDiagonal",
        "forgotten-absolute": "ForgottenAbsolute",
        "wrong-side": "WrongSide",
        "entrywise": "Entrywise",
        "stray-probe": "StrayProbe",
    }
    return [
        MethodSpec(
            name=name,
            family="orthogonality",
            target=f"mutants_orthogonality.methods:{cls}",
            summary="see its module",
            claims=tuple(Claimed(name=claim) for claim in _ALL),
        )
        for name, cls in names.items()
    ]
