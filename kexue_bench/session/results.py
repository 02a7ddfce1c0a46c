"""Stored runs, read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from ..analysis.comparison import read
from ..analysis.published import figures
from ..analysis.tables import Tabulation
from ..api import FamilySpec, TaskSpec
from ..catalog.registry import Registry
from ..store.results import Run
from .options import ReadOptions

Spec = TypeVar("Spec", FamilySpec, TaskSpec)


def tabulate(runs: Sequence[Run], registry: Registry, options: ReadOptions) -> Tabulation:
    """Read runs statistically; `notes` of the tabulation say what a reader must know of them.

    Raises:
        UnknownNameError: a metric or the baseline is unknown.
        UsageError: a margin or a level that makes no sense.
    """
    options.check(registry)
    known, unresolved = figures(registry)
    tabulation = read(
        runs,
        metrics=registry.metrics,
        families={name: _shown(spec, options.columns) for name, spec in registry.families.items()},
        tasks={key: _shown(_sorted(spec, options.sort), options.columns) for key, spec in registry.tasks.items()},
        baseline=options.baseline or None,
        margin=options.margin,
        alpha=options.alpha,
        correction=options.correction,
        published=known,
    )
    return replace(tabulation, notes=(*(f"{run.path.name}: {note}" for run in runs for note in run.notes), *unresolved))


def _shown(spec: Spec, columns: tuple[str, ...]) -> Spec:
    return replace(spec, headline=columns) if columns else spec


def _sorted(spec: TaskSpec, metric: str) -> TaskSpec:
    return replace(spec, primary=metric) if metric else spec
