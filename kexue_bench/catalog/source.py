"""What the desk knows about a module without importing it: its location, and the sheet of its file."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import PluginError
from ..exports import absolute
from ..modules import source_of
from ..store.cache import Cache, Stamp, stamp_of
from . import sheets
from .sheets import ClassSheet, Sheet, Term, pack, read, unpack


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module that was found: its name, its file and what is in it."""

    name: str
    path: Path
    sheet: Sheet

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def at(self, line: int) -> str:
        """`family/methods/rloo.py:12`."""
        inside = self.name.replace(".", "/")
        return f"{inside}/__init__.py:{line}" if self.path.name == "__init__.py" else f"{inside}.py:{line}"

    def meaning(self, written: str, *, deferred: bool = False) -> str:
        """What a name refers to through the imports of this file (`Knob` is `kexue_bench.Knob`); empty if not imported.

        Args:
            written: the name, with its attributes (`dataclasses.dataclass`).
            deferred: whether imports for type checkers count, which `exports.lazy` resolves at run time.
        """
        root, *rest = written.split(".")
        known = self.sheet.imports.get(root) or (self.sheet.public.get(root) if deferred else None)
        return ".".join(filter(None, (absolute(known[0], self.package), known[1], *rest))) if known else ""

    def one(self, name: str) -> ClassSheet | None:
        """The class of that name in this module; None if it has none.

        Raises:
            PluginError: it has two.
        """
        found = [item for item in self.sheet.classes if item.name == name]
        if len(found) > 1:
            raise PluginError(f"{self.at(found[1].line)}: the class {name!r} is defined twice")
        return found[0] if found else None


# -- queries ----------------------------------------------------------------------------------------------------------


def module_of(name: str) -> Module:
    """A module by its dotted name, read without importing it.

    Raises:
        PluginError: it cannot be found as Python source, or its source cannot be read.
    """
    path = _place(name, tuple(sys.path))
    if path is None or not path.exists():
        _place.cache_clear()
        path = source_of(name)
    if path is None:
        raise PluginError(f"the module {name!r} cannot be found as Python source")
    return Module(name=name, path=path, sheet=sheet_of(path))


@cache
def _place(name: str, path: tuple[str, ...]) -> Path | None:  # noqa: ARG001 - another path, another answer
    """The location of a module under one import path."""
    return source_of(name)


def docstring_of(target: str) -> str:
    """The docstring of `module:Class`, or of a decorated function, read without importing it; empty without one."""
    name = target.partition(":")[2]
    module = module_of(target.partition(":")[0])
    found = module.one(name) or next((item for item in module.sheet.functions if item.name == name), None)
    return found.doc if found is not None else ""


def code_of(target: str) -> str:
    """The source of `module:Class`, read without importing it; empty if there is no such class."""
    module, _, name = target.partition(":")
    text = module_of(module).path.read_text(encoding="utf-8")
    found = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name]
    return ast.get_source_segment(text, found[0]) or "" if found else ""


def exports_of(module: str) -> frozenset[str]:
    """The public names of a package, read without importing it: its imports for type checkers and its `__all__`."""
    sheet = module_of(module).sheet
    listed = [term for binding in sheet.constants.get("__all__", ()) for term in _parts(binding.term)]
    return frozenset(sheet.public) | {str(term[1]) for term in listed if term[0] == "value"}


def _parts(term: object) -> list[Term]:
    match term:
        case ["tuple" | "list", [*parts], _]:
            return [part for part in parts if isinstance(part, list)]
    return []


def sheet_of(path: Path) -> Sheet:
    """The sheet of a file, read again only if its size or times have changed.

    Raises:
        PluginError: the file cannot be read, or is not Python.
    """
    key = str(path.absolute())
    try:
        stamp = stamp_of(path)
        known = _read.get(key)
        if known is not None and known[0] == stamp:
            return known[1]
        sheet = _stored(key, stamp)
        if sheet is None:
            sheet = read(path.read_bytes())
            _cache().put(key, stamp, pack(sheet))
    except OSError as error:
        raise PluginError(f"{path} cannot be read: {error.strerror}") from error
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        raise PluginError(f"{path}:{line} is not Python that can be read: {error}") from error
    _read[key] = stamp, sheet
    return sheet


def tables_of(path: Path) -> dict[str, object]:
    """The content of a TOML file, parsed again only if its size or times have changed.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not TOML.
    """
    key, stamp = str(path.absolute()), stamp_of(path)
    stored = _cache().get(key, stamp)
    if isinstance(stored, dict):
        return stored
    import tomllib

    content = tomllib.loads(path.read_text(encoding="utf-8"))
    # Dates and infinite numbers are TOML and not JSON.
    with suppress(TypeError, ValueError):
        json.dumps(content, allow_nan=False)
        _cache().put(key, stamp, content)
    return content


_read: dict[str, tuple[Stamp, Sheet]] = {}


def _stored(key: str, stamp: Stamp) -> Sheet | None:
    data = _cache().get(key, stamp)
    if data is None:
        return None
    try:
        return unpack(data)
    except (ValueError, TypeError, RecursionError):
        return None


@cache
def _cache() -> Cache:
    """Sheets of earlier processes; they are valid only for this version of the reader and of Python.

    Each installation has a file of its own: several would throw away each other's entries, or read all of them.
    """
    reader, python = Path(sheets.__file__), repr(sys.version_info[:2]).encode()
    place = hashlib.sha256(str(reader.absolute()).encode() + python).hexdigest()
    digest = hashlib.sha256(reader.read_bytes() + python).hexdigest()
    return Cache(f"sheets-{place[:8]}", version=digest[:16])
