"""Evidence of identities: claims that hold or fail exactly, without a statistical test."""

from __future__ import annotations

from torch import Tensor

from kexue_bench.api import Evidence


def identity(claim: str, violation: float, note: str, *, tolerance: float = 0.0) -> Evidence:
    """Evidence for a claim that holds if its violation is within the tolerance.

    Args:
        violation: distance from holding, 0 if it holds exactly.
        note: one sentence on what was checked.
        tolerance: the largest violation that does not matter.
    """
    return Evidence(claim=claim, metric="violation", value=float(violation), tolerance=tolerance, note=note)


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors agree in shape, dtype and every value; NaN equals NaN."""
    return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | (a.isnan() & b.isnan())).all())
