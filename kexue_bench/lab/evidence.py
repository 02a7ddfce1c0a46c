"""Evidence of identities: what either holds or does not, without a test."""

from __future__ import annotations

from torch import Tensor

from kexue_bench.api import Evidence


def identity(claim: str, violation: float, note: str, *, tolerance: float = 0.0) -> Evidence:
    """Evidence that a claim holds where nothing violates it.

    Args:
        violation: how far it is from holding, 0 where it holds exactly.
        note: one sentence on what was looked at.
        tolerance: the largest violation that does not matter.
    """
    return Evidence(claim=claim, metric="violation", value=float(violation), tolerance=tolerance, note=note)


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors agree in shape, dtype and every value; NaN equals NaN."""
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | (a.isnan() & b.isnan())).all())
