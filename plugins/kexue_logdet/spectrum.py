"""Bounds of a spectrum: known to the operator, or estimated by the method at a cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .contract import Operator
from .lanczos import krylov
from .probes import draw

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

MARGIN = 0.5
"""An estimated lower bound is at least this share of the smallest Ritz value, which is never below the true one."""


def interval(op: Operator, noise: Noise, *, repeats: int, steps: int) -> tuple[Tensor, Tensor]:
    """Lower and upper bound of the eigenvalues of an SPD operator for each repeat, `[repeats]` each, float64.

    If the operator knows both they cost nothing. Otherwise each repeat runs `steps` Lanczos steps from a separate
    vector, counted as `bounds`: the extreme Ritz values, moved outwards by the norm of the last residual, but downwards
    by at most half their value. Estimates may be violated; a polynomial built on them is then silently wrong.

    Args:
        op: an SPD operator without a batch shape.
        noise: source of the start vectors.
        repeats: number of repeats.
        steps: Lanczos steps of each repeat if a bound is missing.
    """
    low, high = op.bounds.low, op.bounds.high
    if low is not None and high is not None:
        one = torch.ones(repeats, dtype=torch.float64, device=op.device)
        return low * one, high * one
    start = draw(op, noise, "sphere", repeats=repeats, probes=1) / op.n**0.5
    with op.billing("bounds"):
        space = krylov(op, start, steps)
    theta = torch.linalg.eigvalsh(torch.diag_embed(space.diagonal) + torch.diag_embed(space.off, -1))
    smallest, largest = theta[..., 0], theta[..., -1]
    return torch.maximum(smallest - space.residual, MARGIN * smallest), largest + space.residual
