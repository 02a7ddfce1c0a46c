"""Stochastic log-determinants: contract, methods and tasks; names load on first use, so that listing needs no torch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import Bounds, BudgetError, LogdetMethod, LogdetSample, Operator
    from .iresnet import InvertibleBlock, InvertibleResNet
    from .methods.chebyshev import Chebyshev
    from .methods.exact import Exact
    from .methods.golub_kahan_slq import GolubKahanSLQ
    from .methods.hutchinson import Hutchinson
    from .methods.hutchpp import HutchPP
    from .methods.krylov_deflated_slq import KrylovDeflatedSLQ
    from .methods.na_hutchpp import NAHutchPP
    from .methods.neumann_roulette import NeumannRoulette
    from .methods.one_probe_slq import OneProbeSLQ
    from .methods.power_series import PowerSeries
    from .methods.preconditioned_slq import PreconditionedSLQ
    from .methods.russian_roulette import RussianRoulette
    from .methods.slq import SLQ
    from .methods.xnystrace import XNysTrace
    from .methods.xtrace import XTrace
    from .tasks.bidiagonal_gram import BidiagonalGram
    from .tasks.budget_sweep import BudgetSweep
    from .tasks.grid_gradient import GridGradient
    from .tasks.grid_laplacian import GridLaplacian
    from .tasks.ising import Ising
    from .tasks.kernel_gradient import KernelGradient
    from .tasks.min_matrix import MinMatrix
    from .tasks.rbf_kernel import RBFKernel
    from .tasks.residual_block import ResidualBlock
    from .tasks.spectrum import Spectrum
    from .tasks.toeplitz import Toeplitz

_HOMES = {
    "Chebyshev": "methods.chebyshev",
    "HutchPP": "methods.hutchpp",
    "Hutchinson": "methods.hutchinson",
    "KrylovDeflatedSLQ": "methods.krylov_deflated_slq",
    "NAHutchPP": "methods.na_hutchpp",
    "OneProbeSLQ": "methods.one_probe_slq",
    "PreconditionedSLQ": "methods.preconditioned_slq",
    "XNysTrace": "methods.xnystrace",
    "XTrace": "methods.xtrace",
    "BidiagonalGram": "tasks.bidiagonal_gram",
    "BudgetSweep": "tasks.budget_sweep",
    "GridGradient": "tasks.grid_gradient",
    "Ising": "tasks.ising",
    "KernelGradient": "tasks.kernel_gradient",
    "MinMatrix": "tasks.min_matrix",
    "Spectrum": "tasks.spectrum",
    "Toeplitz": "tasks.toeplitz",
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
    "BidiagonalGram",
    "Bounds",
    "BudgetError",
    "BudgetSweep",
    "Chebyshev",
    "Exact",
    "GolubKahanSLQ",
    "GridGradient",
    "GridLaplacian",
    "HutchPP",
    "Hutchinson",
    "InvertibleBlock",
    "InvertibleResNet",
    "Ising",
    "KernelGradient",
    "KrylovDeflatedSLQ",
    "LogdetMethod",
    "LogdetSample",
    "MinMatrix",
    "NAHutchPP",
    "NeumannRoulette",
    "OneProbeSLQ",
    "Operator",
    "PowerSeries",
    "PreconditionedSLQ",
    "RBFKernel",
    "ResidualBlock",
    "RussianRoulette",
    "Spectrum",
    "Toeplitz",
    "XNysTrace",
    "XTrace",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
