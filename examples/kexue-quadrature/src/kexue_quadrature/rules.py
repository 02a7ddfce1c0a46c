"""Rules with fixed nodes and weights: the integral is about `sum_i w_i f(x_i)`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kexue_bench import method

if TYPE_CHECKING:
    from kexue_bench.lab import Noise

    from .contract import Integrand


class FixedRule(ABC):
    """A rule whose nodes do not depend on f."""

    fewest = 2

    @abstractmethod
    def rule(self, points: int) -> tuple[Tensor, Tensor]:
        """Nodes and weights on [0, 1], each `[points]` and float64."""

    def degree(self, points: int) -> int:
        """Degree up to which all polynomials are integrated exactly; -1 if not even constants are."""
        return -1

    def integrate(self, f: Integrand, points: int, noise: Noise, repeats: int) -> Tensor:
        """See `Quadrature.integrate`."""
        nodes, weights = (part.to(device=f.device, dtype=f.dtype) for part in self.rule(points))
        return (weights * f(nodes)).sum().repeat(repeats)


@method(
    "trapezoid",
    "composite trapezoidal rule on an even grid",
    needs={"bounded", "deterministic"},
    claims=("exact-degree",),
    cost="task.points",
    references=("Davis and Rabinowitz, Methods of Numerical Integration, 1984, section 2.1",),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Trapezoid(FixedRule):
    """`h (f(0)/2 + f(h) + ... + f(1 - h) + f(1)/2)` with `h = 1 / (points - 1)`; its error is O(h^2).

    Examples:
        >>> Trapezoid().rule(3)[1]
        tensor([0.2500, 0.5000, 0.2500], dtype=torch.float64)
    """

    def rule(self, points: int) -> tuple[Tensor, Tensor]:
        """See `FixedRule.rule`."""
        weights = torch.full((points,), 1 / (points - 1), dtype=torch.float64)
        weights[[0, -1]] /= 2
        return torch.linspace(0, 1, points, dtype=torch.float64), weights

    def degree(self, points: int) -> int:
        """See `FixedRule.degree`."""
        return 1


@method(
    "clenshaw-curtis",
    "integral of the polynomial through Chebyshev points",
    needs={"bounded", "deterministic"},
    claims=("exact-degree",),
    cost="task.points",
    references=("Clenshaw and Curtis, Numerische Mathematik 2, 1960, 197-205",),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class ClenshawCurtis(FixedRule):
    """Nodes `x_k = (1 - cos(k pi / n)) / 2` for k = 0 .. n = points - 1, with weights that integrate the interpolant.

    `w_k = c_k / (2 n) (1 - sum_{j=1}^{n // 2} b_j cos(2 j k pi / n) / (4 j^2 - 1))`, where `c_k` is 1 at both ends and
    2 inside, and `b_j` is 1 for `2 j = n` and 2 otherwise.
    """

    def rule(self, points: int) -> tuple[Tensor, Tensor]:
        """See `FixedRule.rule`."""
        n = points - 1
        k = torch.arange(points, dtype=torch.float64)
        j = torch.arange(1, n // 2 + 1, dtype=torch.float64)
        b = torch.where(2 * j == n, 1.0, 2.0)
        inside = 1 - (torch.cos(2 * math.pi / n * torch.outer(k, j)) * (b / (4 * j.square() - 1))).sum(1)
        inside[1:-1] *= 2
        return (1 - torch.cos(math.pi / n * k)) / 2, inside / (2 * n)

    def degree(self, points: int) -> int:
        """See `FixedRule.degree`; a symmetric rule integrates one more odd polynomial."""
        return points if points % 2 else points - 1


@method(
    "gauss-legendre",
    "nodes at the roots of a Legendre polynomial, exact to the highest degree",
    needs="deterministic",
    claims=("exact-degree", "open-interval"),
    cost="task.points",
    references=("Golub and Welsch, Mathematics of Computation 23, 1969, 221-230",),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class GaussLegendre(FixedRule):
    """`sum_i w_i f(x_i)` at the roots x_i of the Legendre polynomial of degree `points` on [0, 1].

    With the P of [-1, 1] and its roots t_i, `x_i = (1 + t_i) / 2` and `w_i = 1 / ((1 - t_i^2) P'(t_i)^2)`.
    """

    fewest = 1

    def rule(self, points: int) -> tuple[Tensor, Tensor]:
        """See `FixedRule.rule`."""
        roots, weights = np.polynomial.legendre.leggauss(points)
        return torch.from_numpy((1 + roots) / 2), torch.from_numpy(weights / 2)

    def degree(self, points: int) -> int:
        """See `FixedRule.degree`."""
        return 2 * points - 1


@method(
    "tanh-sinh",
    "even grid after a substitution that flattens both ends",
    needs="deterministic",
    claims=("open-interval",),
    cost="task.points",
    references=("Takahasi and Mori, Publications of RIMS 9, 1974, 721-741",),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class TanhSinh(FixedRule):
    """`x = 1 / (1 + exp(-pi sinh t))`, `dx = pi cosh(t) x (1 - x) dt`, on an even grid of t in [-reach, reach].

    Args:
        reach: end of the grid, positive; beyond 3.2 the weights are below the rounding error of float64.
    """

    reach: float = 3.2

    def __post_init__(self) -> None:
        if not self.reach > 0:
            raise ValueError(f"reach must be > 0, got {self.reach}")

    def rule(self, points: int) -> tuple[Tensor, Tensor]:
        """See `FixedRule.rule`."""
        t = torch.linspace(-self.reach, self.reach, points, dtype=torch.float64)
        x, rest = torch.sigmoid(math.pi * t.sinh()), torch.sigmoid(-math.pi * t.sinh())
        return x, 2 * self.reach / (points - 1) * math.pi * t.cosh() * x * rest

    def integrate(self, f: Integrand, points: int, noise: Noise, repeats: int) -> Tensor:
        """See `Quadrature.integrate`; nodes that rounding would put at 1 stay below it."""
        nodes, weights = (part.to(device=f.device, dtype=f.dtype) for part in self.rule(points))
        return (weights * f(nodes.clamp(max=1 - torch.finfo(f.dtype).eps / 2))).sum().repeat(repeats)
