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
    from .methods.controls import Nothing, OrthogonalInit, SpectralNorm, WeightDecay
    from .methods.cosine import Cosine, OrthoReg
    from .methods.divergence import LogDetDivergence, VonNeumannDivergence
    from .methods.energy import HypersphericalEnergy
    from .methods.entrywise import L1Gram
    from .methods.mutual_coherence import Coherence, McEntry, McInduced
    from .methods.ocnn import Ocnn
    from .methods.off_diagonal import OffDiagonal
    from .methods.singular_values import PolarDistance, SpectralPenalty
    from .methods.soft import DoubleSoft, Soft
    from .methods.som import SelfOrthogonality
    from .methods.srip import Srip
    from .targets import WeightTarget, polar, targets_of

_EXPORTS = {
    "Alone": "contract",
    "Coherence": "methods.mutual_coherence",
    "Cosine": "methods.cosine",
    "DoubleSoft": "methods.soft",
    "HypersphericalEnergy": "methods.energy",
    "L1Gram": "methods.entrywise",
    "LogDetDivergence": "methods.divergence",
    "McEntry": "methods.mutual_coherence",
    "McInduced": "methods.mutual_coherence",
    "Nothing": "methods.controls",
    "Ocnn": "methods.ocnn",
    "OffDiagonal": "methods.off_diagonal",
    "OrthoReg": "methods.cosine",
    "OrthogonalInit": "methods.controls",
    "OrthogonalityMethod": "contract",
    "PolarDistance": "methods.singular_values",
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
    "Coherence",
    "Cosine",
    "DoubleSoft",
    "HypersphericalEnergy",
    "L1Gram",
    "LogDetDivergence",
    "McEntry",
    "McInduced",
    "Nothing",
    "Ocnn",
    "OffDiagonal",
    "OrthoReg",
    "OrthogonalInit",
    "OrthogonalityMethod",
    "PolarDistance",
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
