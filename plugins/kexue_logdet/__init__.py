"""Stochastic log-determinants: contract, methods and tasks; names load on first use, so that listing needs no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import Bounds, BudgetError, LogdetMethod, LogdetSample, Operator
    from .iresnet import InvertibleBlock, InvertibleResNet
    from .methods.exact import Exact
    from .methods.golub_kahan_slq import GolubKahanSLQ
    from .methods.neumann_roulette import NeumannRoulette
    from .methods.power_series import PowerSeries
    from .methods.russian_roulette import RussianRoulette
    from .methods.slq import SLQ
    from .tasks.grid_laplacian import GridLaplacian
    from .tasks.rbf_kernel import RBFKernel
    from .tasks.residual_block import ResidualBlock

_HOMES = {
    "Bounds": "contract",
    "BudgetError": "contract",
    "LogdetMethod": "contract",
    "LogdetSample": "contract",
    "Operator": "contract",
    "InvertibleBlock": "iresnet",
    "InvertibleResNet": "iresnet",
    "Exact": "methods.exact",
    "GolubKahanSLQ": "methods.golub_kahan_slq",
    "NeumannRoulette": "methods.neumann_roulette",
    "PowerSeries": "methods.power_series",
    "RussianRoulette": "methods.russian_roulette",
    "SLQ": "methods.slq",
    "GridLaplacian": "tasks.grid_laplacian",
    "RBFKernel": "tasks.rbf_kernel",
    "ResidualBlock": "tasks.residual_block",
}

__all__ = [
    "SLQ",
    "Bounds",
    "BudgetError",
    "Exact",
    "GolubKahanSLQ",
    "GridLaplacian",
    "InvertibleBlock",
    "InvertibleResNet",
    "LogdetMethod",
    "LogdetSample",
    "NeumannRoulette",
    "Operator",
    "PowerSeries",
    "RBFKernel",
    "ResidualBlock",
    "RussianRoulette",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
