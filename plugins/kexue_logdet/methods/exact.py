"""Dense LU after n products with the identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..contract import LogdetSample, Operator, afford

if TYPE_CHECKING:
    from kexue_bench.lab.context import Noise


@dataclass(frozen=True, kw_only=True)
class Exact:
    """log |det M| from the LU factors of the dense matrix M = A (`spd`) or I + J (`residual`).

    A repeat costs n products and O(n^3) work; the factorisation is in float64 whatever the dtype of the products.
    """

    def estimate(self, op: Operator, budget: int, noise: Noise, repeats: int) -> LogdetSample:
        """See `LogdetMethod.estimate`; draws nothing from `noise`."""
        del noise
        afford(op.n, budget)
        matrix = torch.stack([op.dense() for _ in range(repeats)]).to(torch.float64)
        if op.kind == "residual":
            matrix = matrix + torch.eye(op.n, dtype=matrix.dtype, device=matrix.device)
        return LogdetSample(value=torch.linalg.slogdet(matrix).logabsdet)
