"""The source file of a module, found without importing the module or its parents."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


def find(name: str) -> ModuleSpec | None:
    """The spec of a module, found without importing it or, as `importlib.util.find_spec` would, its parents."""
    first, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    path = first
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        path += f".{part}"
        spec = PathFinder.find_spec(path, list(spec.submodule_search_locations))
    return spec


def source_of(name: str) -> Path | None:
    """The Python file of a module; None if it has none (built in, compiled, a folder without `__init__.py`)."""
    spec = find(name)
    # A file loaded by `-p` is found only by its entry in `sys.modules`.
    origin = spec.origin if spec is not None else getattr(sys.modules.get(name), "__file__", None)
    return Path(origin) if origin and origin.endswith(".py") else None
