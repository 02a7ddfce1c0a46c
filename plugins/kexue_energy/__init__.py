"""Samplers and energy models, two families of one contract; names load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .contract import Criterion as Criterion
    from .contract import Energy as Energy
    from .contract import FunctionPotential as FunctionPotential
    from .contract import Linear as Linear
    from .contract import Potential as Potential
    from .contract import Sampler as Sampler
    from .contract import StepInfo as StepInfo
    from .energy.methods.contrastive_divergence import Cd as Cd
    from .energy.methods.denoising import Denoising as Denoising
    from .energy.methods.likelihood import Mle as Mle
    from .energy.methods.likelihood import log_z as log_z
    from .energy.methods.noise_contrastive import Nce as Nce
    from .energy.methods.persistent import Pcd as Pcd
    from .energy.methods.persistent import Replay as Replay
    from .energy.methods.recovery import RecoveryLikelihood as RecoveryLikelihood
    from .energy.methods.released import Jem as Jem
    from .energy.methods.released import LogsumexpContrast as LogsumexpContrast
    from .energy.methods.released import SoftplusContrast as SoftplusContrast
    from .energy.methods.score_matching import ScoreMatching as ScoreMatching
    from .energy.methods.score_matching import Sliced as Sliced
    from .energy.methods.score_matching import SlicedVr as SlicedVr
    from .energy.methods.short_run import ShortRunTraining as ShortRunTraining
    from .energy.networks import Mlp as Mlp
    from .energy.networks import Quadratic as Quadratic
    from .samplers.methods.annealed import AnnealedLangevin as AnnealedLangevin
    from .samplers.methods.barker import Barker as Barker
    from .samplers.methods.decoupled import Decoupled as Decoupled
    from .samplers.methods.decoupled import ShortRun as ShortRun
    from .samplers.methods.exact import ExactDraws as ExactDraws
    from .samplers.methods.hamiltonian import Hmc as Hmc
    from .samplers.methods.hamiltonian import UnadjustedHmc as UnadjustedHmc
    from .samplers.methods.mala import Mala as Mala
    from .samplers.methods.mala import Warmup as Warmup
    from .samplers.methods.microcanonical import AdjustedMclmc as AdjustedMclmc
    from .samplers.methods.microcanonical import Mclmc as Mclmc
    from .samplers.methods.preconditioned import Preconditioned as Preconditioned
    from .samplers.methods.random_walk import RandomWalk as RandomWalk
    from .samplers.methods.stochastic import Sghmc as Sghmc
    from .samplers.methods.stochastic import Sgld as Sgld
    from .samplers.methods.tempering import ParallelTempering as ParallelTempering
    from .samplers.methods.ula import Ula as Ula
    from .samplers.methods.underdamped import Underdamped as Underdamped

__getattr__, __dir__ = lazy(__name__)
