"""Inputs for the checks of claims about operators: random rows, ties, and the rows with the largest errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .contract import SCALARS, Smoothing, arguments

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

_DISTANCES = (*(i / 8 for i in range(24)), 3, 4, 5, 7, 10, 20)
"""In softnesses; dense where errors peak."""


def battery(operator: Smoothing, n: int, k: int, softness: float, noise: Noise) -> Tensor:
    """Rows `[m, n]` in float64, on the scale of the softness.

    Random rows of several spreads; all entries tied; j entries above or below all others by 0 to 20 softnesses; equal
    steps; the largest entry at one end and the m farthest others below it. For scalar kinds, a grid in rows.
    """
    if operator.kind in SCALARS:
        reach = 2.0 if operator.kind in {"round", "floor"} else 12 * softness
        x = torch.linspace(-reach, reach, 80 * n, dtype=torch.float64).reshape(-1, n)
        # Next to the jump, where the error of a soft step is largest.
        x[0] = 1e-9 * softness + 0.5 * (operator.kind == "round")
        return x
    u = torch.tensor(_DISTANCES, dtype=torch.float64).unsqueeze(-1) * softness
    first = torch.arange(n)
    rows = [noise.normal(6, n).double() * spread * softness for spread in (0.1, 1.0, 10.0)]
    # The largest entry comes first because hard functions take the first of ties.
    rows += [torch.where(first < above, u, 0.0) for above in sorted({1, k, n - 1})]
    rows += [u * torch.arange(n, dtype=torch.float64), -u * (first == 0)]
    rows += [torch.where(first == 0, 0.0, torch.where(first >= n - m, -u, -1e3 * softness)) for m in range(1, n)]
    x = torch.cat(rows)
    return x - x.amin(-1, keepdim=True) + 1 if getattr(operator, "nonnegative", False) else x


def generic(operator: Smoothing, n: int, count: int, noise: Noise) -> Tensor:
    """Random rows `[count, n]` in float64, away from ties and kinks with probability 1."""
    x = noise.normal(count, n).double()
    return x.abs() if getattr(operator, "nonnegative", False) else x


def applied(operator: Smoothing, x: Tensor, softness: float, k: int, noise: Noise) -> Tensor:
    """The soft value, with the noise restarted so that every call uses the same noise."""
    return operator.apply(x, **arguments(operator, softness=softness, k=k, noise=noise.at(0)))
