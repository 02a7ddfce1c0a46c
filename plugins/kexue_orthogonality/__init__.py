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
    from .methods.controls import Nothing
    from .targets import WeightTarget, polar, targets_of

_EXPORTS = {
    "Alone": "contract",
    "Nothing": "methods.controls",
    "OrthogonalityMethod": "contract",
    "Session": "contract",
    "Surroundings": "contract",
    "Target": "contract",
    "WeightTarget": "targets",
    "polar": "targets",
    "targets_of": "targets",
}

__all__ = [
    "Alone",
    "Nothing",
    "OrthogonalityMethod",
    "Session",
    "Surroundings",
    "Target",
    "WeightTarget",
    "polar",
    "targets_of",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
