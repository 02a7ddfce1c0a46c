"""Stochastic log-determinants: contract, methods and tasks; names load on first use, so that listing needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .contract import Bounds as Bounds
    from .contract import BudgetError as BudgetError
    from .contract import LogdetMethod as LogdetMethod
    from .contract import LogdetSample as LogdetSample
    from .contract import Operator as Operator
    from .iresnet import InvertibleBlock as InvertibleBlock
    from .iresnet import InvertibleResNet as InvertibleResNet
    from .methods.chebyshev import Chebyshev as Chebyshev
    from .methods.exact import Exact as Exact
    from .methods.golub_kahan_slq import GolubKahanSLQ as GolubKahanSLQ
    from .methods.hutchinson import Hutchinson as Hutchinson
    from .methods.hutchpp import HutchPP as HutchPP
    from .methods.krylov_deflated_slq import KrylovDeflatedSLQ as KrylovDeflatedSLQ
    from .methods.na_hutchpp import NAHutchPP as NAHutchPP
    from .methods.neumann_roulette import NeumannRoulette as NeumannRoulette
    from .methods.one_probe_slq import OneProbeSLQ as OneProbeSLQ
    from .methods.power_series import PowerSeries as PowerSeries
    from .methods.preconditioned_slq import PreconditionedSLQ as PreconditionedSLQ
    from .methods.russian_roulette import RussianRoulette as RussianRoulette
    from .methods.slq import SLQ as SLQ
    from .methods.xnystrace import XNysTrace as XNysTrace
    from .methods.xtrace import XTrace as XTrace
    from .tasks.bidiagonal_gram import BidiagonalGram as BidiagonalGram
    from .tasks.budget_sweep import BudgetSweep as BudgetSweep
    from .tasks.grid_gradient import GridGradient as GridGradient
    from .tasks.grid_laplacian import GridLaplacian as GridLaplacian
    from .tasks.ising import Ising as Ising
    from .tasks.kernel_gradient import KernelGradient as KernelGradient
    from .tasks.min_matrix import MinMatrix as MinMatrix
    from .tasks.own import OwnMatrix as OwnMatrix
    from .tasks.own import OwnOperator as OwnOperator
    from .tasks.rbf_kernel import RBFKernel as RBFKernel
    from .tasks.residual_block import ResidualBlock as ResidualBlock
    from .tasks.spectrum import Spectrum as Spectrum
    from .tasks.toeplitz import Toeplitz as Toeplitz

__getattr__, __dir__ = lazy(__name__)
