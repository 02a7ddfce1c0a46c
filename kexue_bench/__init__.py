"""kexue-bench: benchmarks of estimators, regularizers and losses against exact truth.

What a plugin author needs is importable from here without importing torch; results are read by `load_run`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._version import __version__
    from .api import (
        Case,
        Claimed,
        ClaimSpec,
        CommandSpec,
        Evidence,
        FamilySpec,
        Instance,
        Knob,
        Measurement,
        MethodSpec,
        MetricSpec,
        Outcome,
        Plan,
        PublishedSpec,
        ReadingSpec,
        ReporterSpec,
        TaskSpec,
    )
    from .catalog.hookspecs import hookimpl
    from .store.results import Run, load_run

_EXPORTS = {
    "__version__": "_version",
    "hookimpl": "hookspecs",
    "Run": "results",
    "load_run": "results",
    **dict.fromkeys(
        (
            "Case",
            "ClaimSpec",
            "Claimed",
            "CommandSpec",
            "Evidence",
            "FamilySpec",
            "Instance",
            "Knob",
            "Measurement",
            "MethodSpec",
            "MetricSpec",
            "Outcome",
            "Plan",
            "PublishedSpec",
            "ReadingSpec",
            "ReporterSpec",
            "TaskSpec",
        ),
        "api",
    ),
}

__all__ = [
    "Case",
    "ClaimSpec",
    "Claimed",
    "CommandSpec",
    "Evidence",
    "FamilySpec",
    "Instance",
    "Knob",
    "Measurement",
    "MethodSpec",
    "MetricSpec",
    "Outcome",
    "Plan",
    "PublishedSpec",
    "ReadingSpec",
    "ReporterSpec",
    "Run",
    "TaskSpec",
    "__version__",
    "hookimpl",
    "load_run",
]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
