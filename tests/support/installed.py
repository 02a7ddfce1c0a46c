"""What the installed plugins register, read once for all tests."""

from __future__ import annotations

from functools import cache

from kexue_bench.api import MethodSpec, PublishedSpec, ReadingSpec, TaskSpec
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry


@cache
def registry() -> Registry:
    """Every installed plugin."""
    return Registry(load_plugins())


def methods(family: str) -> tuple[MethodSpec, ...]:
    """The methods of a family, in order."""
    return tuple(registry().methods_of(family).values())


def tasks(family: str) -> tuple[TaskSpec, ...]:
    """The tasks of a family, in order."""
    return tuple(registry().tasks_of(family).values())


def published(family: str) -> tuple[PublishedSpec, ...]:
    """The published figures of a family, in order."""
    return tuple(spec for (owner, _), spec in registry().published.items() if owner == family)


def readings(family: str) -> tuple[ReadingSpec, ...]:
    """The readings of a family, in order."""
    return tuple(spec for (owner, _), spec in registry().readings.items() if owner == family)
