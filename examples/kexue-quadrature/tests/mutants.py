"""Rules with one fault each, as a plugin, and the claim that has to notice it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import discover, hookimpl, method
from kexue_quadrature.random_rules import MonteCarlo
from kexue_quadrature.rules import ClenshawCurtis, FixedRule, Trapezoid

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab import Noise
    from kexue_quadrature.contract import Integrand

CAUGHT_BY = {
    "greedy": "within-budget",
    "touching": "open-interval",
    "boastful": "exact-degree",
    "inexact": "exact-degree",
    "shifted": "unbiased",
    "cheaper": "declared-cost",
    "global": "own-stream",
}
"""Mutant -> the one claim that fails."""


@hookimpl
def kexue_specs() -> list[object]:
    """Every declaration of this file."""
    return list(discover(__name__, family="quadrature"))


@method("greedy", "one evaluation too many", needs="deterministic")
@dataclass(frozen=True, kw_only=True)
class Greedy(Trapezoid):
    def integrate(self, f: Integrand, points: int, noise: Noise, repeats: int) -> Tensor:
        return super().integrate(f, points + 1, noise, repeats)


@method("touching", "evaluates at the ends", needs="deterministic", claims=("open-interval",))
@dataclass(frozen=True, kw_only=True)
class Touching(ClenshawCurtis):
    pass


@method("boastful", "a degree too high", needs="deterministic", claims=("exact-degree",))
@dataclass(frozen=True, kw_only=True)
class Boastful(Trapezoid):
    def degree(self, points: int) -> int:
        return 2


@method("inexact", "weights that are off by 1e-12", needs="deterministic", claims=("exact-degree",))
@dataclass(frozen=True, kw_only=True)
class Inexact(ClenshawCurtis):
    def rule(self, points: int) -> tuple[Tensor, Tensor]:
        nodes, weights = super().rule(points)
        return nodes, weights * (1 + 1e-12)


@method("shifted", "2 % too large", needs="random", claims=("unbiased",))
@dataclass(frozen=True, kw_only=True)
class Shifted(MonteCarlo):
    def integrate(self, f: Integrand, points: int, noise: Noise, repeats: int) -> Tensor:
        return 1.02 * super().integrate(f, points, noise, repeats)


@method("cheaper", "declares half of its work", needs="random", cost="task.points / 2")
@dataclass(frozen=True, kw_only=True)
class Cheaper(MonteCarlo):
    pass


@method("global", "seeds the global generator and draws from it", needs="deterministic")
@dataclass(frozen=True, kw_only=True)
class Global(FixedRule):
    def rule(self, points: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        return torch.rand(points, dtype=torch.float64), torch.full((points,), 1 / points, dtype=torch.float64)
