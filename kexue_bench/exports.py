"""Public names of a package, listed once: as the imports under `if TYPE_CHECKING:` of its `__init__.py`.

Type checkers read those imports as usual. At run time each name is imported on first use: `lazy` reads the modules of
the names from the same lines.

Example::

    from typing import TYPE_CHECKING

    from kexue_bench.exports import lazy

    if TYPE_CHECKING:
        from .rloo import Rloo as Rloo

    __getattr__, __dir__ = lazy(__name__)
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast


def lazy(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that imports its public names on first use.

    Args:
        package: the `__name__` of the calling `__init__.py`.
    """

    def get(name: str) -> object:
        home = _homes_of(package).get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, attribute = home
        if module == package:  # `from . import errors`: a module of the package itself
            return importlib.import_module(f"{package}.{attribute}")
        value = getattr(importlib.import_module(module), attribute)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *_homes_of(package)})

    return get, names


def homes(tree: ast.Module, package: str) -> Mapping[str, tuple[str, str]]:
    """Public name -> (module, name there), from the imports under `if TYPE_CHECKING:` of a package's source.

    Args:
        tree: the parsed `__init__.py`.
        package: its dotted name, which relative imports start from.
    """
    return {name: (absolute(written, package), there) for name, (written, there) in deferred(tree)}


def deferred(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each name imported under `if TYPE_CHECKING:`, with its module as written and its name there."""
    import ast

    for block in tree.body:
        if isinstance(block, ast.If) and ast.unparse(block.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for node in block.body:
                if isinstance(node, ast.ImportFrom):
                    yield from ((alias.asname or alias.name, (dotted(node), alias.name)) for alias in node.names)


def dotted(node: ast.ImportFrom) -> str:
    """The module of a `from` statement as written: `..words`, `kexue_bench.api`."""
    return "." * node.level + (node.module or "")


def absolute(written: str, package: str) -> str:
    """The absolute name of the module of a `from` statement.

    >>> absolute("..words", "family.methods")
    'family.words'

    Args:
        written: the name with its leading dots.
        package: the package that relative names start from: the module itself if it is a package.
    """
    module = written.lstrip(".")
    level = len(written) - len(module)
    if not level:
        return module
    parts = package.split(".")
    parents = parts[: len(parts) - level + 1]
    return ".".join([*parents, module] if module else parents)


@cache
def _homes_of(package: str) -> Mapping[str, tuple[str, str]]:
    import ast

    return homes(ast.parse(_source_of(package)), package)


def _source_of(package: str) -> str:
    """The source of a loaded package, whatever loaded it: pytest's loader of plugins gives none."""
    spec = sys.modules[package].__spec__
    if spec is None or spec.loader is None:
        return ""
    give = getattr(spec.loader, "get_source", None)
    if give is not None:
        return give(package) or ""
    from pathlib import Path

    return Path(spec.origin).read_text(encoding="utf-8") if spec.origin else ""
