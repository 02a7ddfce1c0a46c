"""Deterministic orthonormal bases: discrete cosine transforms."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def dct2(n: int) -> Tensor:
    """The orthonormal DCT-II as columns: cos(pi / n (i + 1/2) j), `[n, n]`."""
    i = torch.arange(n, dtype=torch.float64)
    matrix = torch.cos(math.pi / n * (i[:, None] + 0.5) * i) * math.sqrt(2 / n)
    matrix[:, 0] /= math.sqrt(2)
    return matrix


def dct4(n: int) -> Tensor:
    """The orthonormal DCT-IV: cos(pi / n (i + 1/2) (j + 1/2)), `[n, n]`, symmetric."""
    i = torch.arange(n, dtype=torch.float64) + 0.5
    return torch.cos(math.pi / n * i[:, None] * i) * math.sqrt(2 / n)
