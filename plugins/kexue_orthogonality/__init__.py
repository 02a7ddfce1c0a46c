"""Orthogonality: penalties, parametrizations, projections and optimizers behind one interface.

The methods work in any training loop, with or without the benchmark::

    from kexue_orthogonality import Soft, targets_of

    joins = Soft(weight=1e-2).attach(targets_of(model))
    loss = loss + joins.penalty()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kexue_bench.exports import lazy

if TYPE_CHECKING:
    from .contract import Alone as Alone
    from .contract import OrthogonalityMethod as OrthogonalityMethod
    from .contract import Session as Session
    from .contract import Surroundings as Surroundings
    from .contract import Target as Target
    from .methods.bjorck import Bjorck as Bjorck
    from .methods.controls import Nothing as Nothing
    from .methods.controls import OrthogonalInit as OrthogonalInit
    from .methods.controls import SpectralNorm as SpectralNorm
    from .methods.controls import WeightDecay as WeightDecay
    from .methods.cosine import Cosine as Cosine
    from .methods.cosine import OrthoReg as OrthoReg
    from .methods.divergence import LogDetDivergence as LogDetDivergence
    from .methods.divergence import VonNeumannDivergence as VonNeumannDivergence
    from .methods.energy import HypersphericalEnergy as HypersphericalEnergy
    from .methods.entrywise import L1Gram as L1Gram
    from .methods.geoopt_sgd import GeooptSGD as GeooptSGD
    from .methods.geotorch_stiefel import GeotorchStiefel as GeotorchStiefel
    from .methods.landing import Landing as Landing
    from .methods.muon import Muon as Muon
    from .methods.mutual_coherence import Coherence as Coherence
    from .methods.mutual_coherence import McEntry as McEntry
    from .methods.mutual_coherence import McInduced as McInduced
    from .methods.newton_schulz import NewtonSchulz as NewtonSchulz
    from .methods.ocnn import Ocnn as Ocnn
    from .methods.off_diagonal import OffDiagonal as OffDiagonal
    from .methods.orthogonium_bjorck import OrthogoniumBjorck as OrthogoniumBjorck
    from .methods.parametrization import Parametrization as Parametrization
    from .methods.polar_express import PolarExpress as PolarExpress
    from .methods.polar_projection import PolarProjection as PolarProjection
    from .methods.riemannian_sgd import RiemannianSGD as RiemannianSGD
    from .methods.singular_values import PolarDistance as PolarDistance
    from .methods.singular_values import SpectralPenalty as SpectralPenalty
    from .methods.soft import DoubleSoft as DoubleSoft
    from .methods.soft import Soft as Soft
    from .methods.som import SelfOrthogonality as SelfOrthogonality
    from .methods.srip import Srip as Srip
    from .targets import WeightTarget as WeightTarget
    from .targets import polar as polar
    from .targets import targets_of as targets_of

__getattr__, __dir__ = lazy(__name__)
