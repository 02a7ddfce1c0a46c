"""What parametrizations, projections and optimizers declare. Nothing here imports torch."""

from __future__ import annotations

from kexue_bench.api import ClaimSpec, MethodSpec

METHODS: tuple[MethodSpec, ...] = ()
CLAIMS: tuple[ClaimSpec, ...] = ()
