"""How far weights are from orthogonal, as every task of the family measures it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..contract import Target


def orthogonality(targets: Sequence[Target]) -> dict[str, Tensor]:
    """`orthogonality-error` and `singular-spread`: the worst over the targets, each `[R]`, or `[1]` without a stack."""
    values = [torch.linalg.svdvals(target.matrix().double()).reshape(-1, target.shape[1]) for target in targets]
    errors = torch.stack([(v.square() - 1).square().sum(-1).sqrt() for v in values])
    spreads = torch.stack([v[:, 0] / v[:, -1] for v in values])
    # A lost rank has no finite spread; the table should say so by a number that is large, not by a missing one.
    return {
        "orthogonality-error": errors.amax(0),
        "singular-spread": spreads.clamp_max(1 / torch.finfo(torch.float64).eps).amax(0),
    }
