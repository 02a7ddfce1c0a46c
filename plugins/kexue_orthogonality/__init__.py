"""Orthogonality: penalties, parametrizations, projections and optimizers behind one interface.

The methods work in any training loop, with or without the benchmark::

    from kexue_orthogonality import Soft, targets_of

    joins = Soft(weight=1e-2).attach(targets_of(model))
    loss = loss + joins.penalty()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import Alone, OrthogonalityMethod, Session, Surroundings, Target
    from .methods.bjorck import Bjorck
    from .methods.controls import Nothing, OrthogonalInit, SpectralNorm, WeightDecay
    from .methods.cosine import Cosine, OrthoReg
    from .methods.divergence import LogDetDivergence, VonNeumannDivergence
    from .methods.energy import HypersphericalEnergy
    from .methods.entrywise import L1Gram
    from .methods.geoopt_sgd import GeooptSGD
    from .methods.geotorch_stiefel import GeotorchStiefel
    from .methods.landing import Landing
    from .methods.muon import Muon
    from .methods.mutual_coherence import Coherence, McEntry, McInduced
    from .methods.newton_schulz import NewtonSchulz
    from .methods.ocnn import Ocnn
    from .methods.off_diagonal import OffDiagonal
    from .methods.orthogonium_bjorck import OrthogoniumBjorck
    from .methods.parametrization import Parametrization
    from .methods.polar_express import PolarExpress
    from .methods.polar_projection import PolarProjection
    from .methods.riemannian_sgd import RiemannianSGD
    from .methods.singular_values import PolarDistance, SpectralPenalty
    from .methods.soft import DoubleSoft, Soft
    from .methods.som import SelfOrthogonality
    from .methods.srip import Srip
    from .targets import WeightTarget, polar, targets_of

_EXPORTS = {
    "Alone": "contract",
    "Bjorck": "methods.bjorck",
    "Coherence": "methods.mutual_coherence",
    "Cosine": "methods.cosine",
    "DoubleSoft": "methods.soft",
    "GeooptSGD": "methods.geoopt_sgd",
    "GeotorchStiefel": "methods.geotorch_stiefel",
    "HypersphericalEnergy": "methods.energy",
    "L1Gram": "methods.entrywise",
    "Landing": "methods.landing",
    "LogDetDivergence": "methods.divergence",
    "McEntry": "methods.mutual_coherence",
    "McInduced": "methods.mutual_coherence",
    "Muon": "methods.muon",
    "NewtonSchulz": "methods.newton_schulz",
    "Nothing": "methods.controls",
    "Ocnn": "methods.ocnn",
    "OffDiagonal": "methods.off_diagonal",
    "OrthoReg": "methods.cosine",
    "OrthogonalInit": "methods.controls",
    "OrthogonalityMethod": "contract",
    "OrthogoniumBjorck": "methods.orthogonium_bjorck",
    "Parametrization": "methods.parametrization",
    "PolarDistance": "methods.singular_values",
    "PolarExpress": "methods.polar_express",
    "PolarProjection": "methods.polar_projection",
    "RiemannianSGD": "methods.riemannian_sgd",
    "SelfOrthogonality": "methods.som",
    "Session": "contract",
    "Soft": "methods.soft",
    "SpectralNorm": "methods.controls",
    "SpectralPenalty": "methods.singular_values",
    "Srip": "methods.srip",
    "Surroundings": "contract",
    "Target": "contract",
    "VonNeumannDivergence": "methods.divergence",
    "WeightDecay": "methods.controls",
    "WeightTarget": "targets",
    "polar": "targets",
    "targets_of": "targets",
}

__all__ = [
    "Alone",
    "Bjorck",
    "Coherence",
    "Cosine",
    "DoubleSoft",
    "GeooptSGD",
    "GeotorchStiefel",
    "HypersphericalEnergy",
    "L1Gram",
    "Landing",
    "LogDetDivergence",
    "McEntry",
    "McInduced",
    "Muon",
    "NewtonSchulz",
    "Nothing",
    "Ocnn",
    "OffDiagonal",
    "OrthoReg",
    "OrthogonalInit",
    "OrthogonalityMethod",
    "OrthogoniumBjorck",
    "Parametrization",
    "PolarDistance",
    "PolarExpress",
    "PolarProjection",
    "RiemannianSGD",
    "SelfOrthogonality",
    "Session",
    "Soft",
    "SpectralNorm",
    "SpectralPenalty",
    "Srip",
    "Surroundings",
    "Target",
    "VonNeumannDivergence",
    "WeightDecay",
    "WeightTarget",
    "polar",
    "targets_of",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
