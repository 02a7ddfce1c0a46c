"""What scipy offers, under the contract of this family."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import method

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab import Noise

    from .contract import Integrand

_FIRST, _MORE = 21, 42
"""Evaluations of the Gauss-Kronrod pair on the first interval, and on the two halves of one that is bisected."""


@method(
    "scipy-quad",
    "adaptive Gauss-Kronrod pairs of QUADPACK, as scipy.integrate.quad",
    needs="deterministic",
    claims=("open-interval",),
    when="task.points >= 21",
    references=("Piessens et al., QUADPACK, Springer 1983", "scipy.integrate.quad"),
    requires="scipy",
    install="pip install scipy",
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class ScipyQuad:
    """Sum of 21-point Kronrod rules over subintervals; the one with the largest `|K21 - G10|` is bisected next.

    The evaluations are on the CPU and in float64.
    """

    fewest = _FIRST

    def integrate(self, f: Integrand, points: int, noise: Noise, repeats: int) -> Tensor:
        """See `Quadrature.integrate`."""
        from scipy import integrate

        def value(x: float) -> float:
            return float(f(torch.tensor(x, dtype=torch.float64)))

        intervals = 1 + (points - _FIRST) // _MORE
        # With the smallest tolerance that it takes it stops where the intervals are used up, and says so in a warning
        # unless `full_output` asks for it as a value.
        found = integrate.quad(value, 0.0, 1.0, limit=intervals, epsabs=0.0, epsrel=1.2e-14, full_output=1)[0]
        return torch.full((repeats,), found, dtype=f.dtype, device=f.device)
