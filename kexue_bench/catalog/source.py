"""What the desk knows of a Python file without importing it: its sheet, read from the syntax tree.

A sheet holds constants, imports, classes and functions as plain data, so that it can be stored. What a constant or an
argument is made of is a *term*: a JSON array that starts with its form.

    ["value", 3]                          a string, number, bool or None
    ["tuple", [terms], line]              likewise `list` and `set`
    ["dict", [[key, value], ...], line]
    ["name", "UNBIASED", line]
    ["star", term, line]                  inside a tuple, list or set
    ["call", "Knob", [[keyword, term], ...], line]      the keyword of a positional argument is empty
    ["unreadable", "2 ** n", line]        anything else, as it is written; an error only where it is used
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import PluginError
from ..exports import deferred
from ..modules import absolute, dotted, source_of

Term = list[object]
Imported = tuple[str, str]
"""What a local name stands for: the module, as written (`..words`), and the name there; empty for a module itself."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    """One place where a name of the module is bound."""

    term: object
    line: int


@dataclass(frozen=True, kw_only=True)
class Decorator:
    """A decorator as it is written.

    Args:
        name: `method`, `dataclasses.dataclass`.
        called: whether it stands with brackets.
        arguments: keyword -> term, in order; the keyword of a positional argument is empty, that of `**x` is `**`.
    """

    name: str
    line: int
    called: bool = False
    arguments: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """An annotated name in a class body; `default` is a term, None where it has none."""

    name: str
    type: str
    line: int
    default: object = None


@dataclass(frozen=True, kw_only=True)
class ClassSheet:
    """A class of a module.

    Args:
        bases: as they are written.
        documented: parameter -> its text in the docstring's Args.
    """

    name: str
    line: int
    decorators: tuple[Decorator, ...] = ()
    bases: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    doc: str = ""
    documented: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FunctionSheet:
    """A function of a module."""

    name: str
    line: int
    decorators: tuple[Decorator, ...] = ()
    doc: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What the desk knows of one file.

    Args:
        constants: name -> every place at module level that binds it, classes, functions and imports excepted.
        imports: local name -> what it stands for.
        public: the same for imports under `if TYPE_CHECKING:`, which `exports.lazy` makes true.
    """

    constants: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)
    imports: Mapping[str, Imported] = field(default_factory=dict)
    public: Mapping[str, Imported] = field(default_factory=dict)
    classes: tuple[ClassSheet, ...] = ()
    functions: tuple[FunctionSheet, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module that was found: its name, its file and what is in it."""

    name: str
    path: Path
    sheet: Sheet

    @property
    def package(self) -> str:
        """What its relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def at(self, line: int) -> str:
        """`family/methods/rloo.py:12`."""
        inside = self.name.replace(".", "/")
        return f"{inside}/__init__.py:{line}" if self.path.name == "__init__.py" else f"{inside}.py:{line}"

    def meaning(self, written: str, *, deferred: bool = False) -> str:
        """What a name stands for by the imports of this file: `Knob` is `kexue_bench.Knob`; empty if not imported.

        Args:
            written: with what follows it (`dataclasses.dataclass`).
            deferred: whether imports for type checkers count, which `exports.lazy` makes true.
        """
        root, *rest = written.split(".")
        known = self.sheet.imports.get(root) or (self.sheet.public.get(root) if deferred else None)
        return ".".join(filter(None, (absolute(known[0], self.package), known[1], *rest))) if known else ""

    def one(self, name: str) -> ClassSheet | None:
        """Its class of that name; None where it has none.

        Raises:
            PluginError: it has two.
        """
        found = [item for item in self.sheet.classes if item.name == name]
        if len(found) > 1:
            raise PluginError(f"{self.at(found[1].line)}: the class {name!r} is defined twice")
        return found[0] if found else None


# -- what others ask --------------------------------------------------------------------------------------------------


def module_of(name: str) -> Module:
    """A module by its dotted name, read without importing it.

    Raises:
        PluginError: it cannot be found as Python source, or its source cannot be read.
    """
    path = source_of(name)
    if path is None:
        raise PluginError(f"the module {name!r} cannot be found as Python source")
    return Module(name=name, path=path, sheet=sheet_of(path))


def docstring_of(target: str) -> str:
    """The class docstring of `module:Class`, read without importing it; empty where there is no such class."""
    module, _, name = target.partition(":")
    found = module_of(module).one(name)
    return found.doc if found is not None else ""


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
    """The sheet of a file.

    Raises:
        PluginError: the file cannot be read, or is not Python.
    """
    try:
        return read(path.read_bytes())
    except OSError as error:
        raise PluginError(f"{path} cannot be read: {error.strerror}") from error
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        raise PluginError(f"{path}:{line} is not Python that can be read: {error}") from error


# -- reading ----------------------------------------------------------------------------------------------------------


def read(source: bytes) -> Sheet:
    """The sheet of a source.

    Raises:
        SyntaxError: it is not Python.
        ValueError: it holds null bytes.
    """
    tree = ast.parse(source)
    constants: dict[str, tuple[Binding, ...]] = {}
    imports: dict[str, Imported] = {}
    classes: list[ClassSheet] = []
    functions: list[FunctionSheet] = []
    for node in tree.body:
        match node:
            case ast.ClassDef():
                classes.append(_class(node))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions.append(
                    FunctionSheet(
                        name=node.name,
                        line=node.lineno,
                        decorators=_decorators(node),
                        doc=ast.get_docstring(node) or "",
                    )
                )
            case ast.ImportFrom():
                imports |= {alias.asname or alias.name: (dotted(node), alias.name) for alias in node.names}
            case ast.Import():
                imports |= {alias.asname or alias.name: (alias.name, "") for alias in node.names}
            case _:
                for name, binding in _bindings(node):
                    constants[name] = (*constants.get(name, ()), binding)
    return Sheet(
        constants=constants,
        imports=imports,
        public=dict(deferred(tree)),
        classes=tuple(classes),
        functions=tuple(functions),
    )


def _bindings(node: ast.stmt) -> Iterator[tuple[str, Binding]]:
    """Names that a statement binds, those inside loops and conditions included, which cannot be read."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, Binding(term=term(value), line=node.lineno)
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, Binding(term=term(value), line=node.lineno)
        case _:
            for part in ast.walk(node):
                if isinstance(part, ast.Name) and isinstance(part.ctx, (ast.Store, ast.Del)):
                    yield part.id, Binding(term=_unreadable(node), line=part.lineno)


def _class(node: ast.ClassDef) -> ClassSheet:
    doc = ast.get_docstring(node) or ""
    return ClassSheet(
        name=node.name,
        line=node.lineno,
        decorators=_decorators(node),
        bases=tuple(_base(base) for base in node.bases),
        attributes=tuple(
            Attribute(
                name=item.target.id,
                type=ast.unparse(item.annotation),
                line=item.lineno,
                default=None if item.value is None else term(item.value),
            )
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        ),
        doc=doc,
        documented=argument_docs(doc),
    )


def _base(node: ast.expr) -> str:
    """The name of a base, without the parameters of a generic one."""
    return ast.unparse(node.value if isinstance(node, ast.Subscript) else node)


def _decorators(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[Decorator, ...]:
    found = []
    for item in node.decorator_list:
        if isinstance(item, ast.Call):
            positional = [("", term(value)) for value in item.args]
            named = [(keyword.arg or "**", term(keyword.value)) for keyword in item.keywords]
            name = ast.unparse(item.func)
            found.append(Decorator(name=name, line=item.lineno, called=True, arguments=(*positional, *named)))
        else:
            found.append(Decorator(name=ast.unparse(item), line=item.lineno))
    return tuple(found)


def term(node: ast.expr) -> Term:
    """An expression as a term."""
    line = node.lineno
    match node:
        case ast.Constant(value=str() | int() | float() | None as value) if _storable(value):
            return ["value", value]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if _storable(value):
            return ["value", -value]
        case ast.Tuple(elts=parts):
            return ["tuple", [term(part) for part in parts], line]
        case ast.List(elts=parts):
            return ["list", [term(part) for part in parts], line]
        case ast.Set(elts=parts):
            return ["set", [term(part) for part in parts], line]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return ["dict", [[term(k), term(v)] for k, v in zip(keys, values, strict=True) if k is not None], line]
        case ast.Name(id=name):
            return ["name", name, line]
        case ast.Starred(value=value):
            return ["star", term(value), line]
        case ast.Call(func=ast.Name() | ast.Attribute() as called):
            given = [["", term(value)] for value in node.args]
            return [
                "call",
                ast.unparse(called),
                [*given, *([word.arg or "**", term(word.value)] for word in node.keywords)],
                line,
            ]
    return _unreadable(node)


def _storable(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


_LONGEST = 60


def _unreadable(node: ast.stmt | ast.expr) -> Term:
    text = ast.unparse(node).partition("\n")[0]
    return ["unreadable", text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ...", node.lineno]


def argument_docs(docstring: str) -> dict[str, str]:
    """Name -> text of the `Args:` section of a Google-style docstring."""
    docs: dict[str, str] = {}
    inside, current = False, ""
    for line in docstring.splitlines():
        text = line.strip()
        if text == "Args:":
            inside = True
        elif inside and text and not line.startswith(" "):
            break
        elif inside and line.startswith("        ") and current:
            docs[current] += " " + text
        elif inside and ":" in text:
            current, _, rest = text.partition(":")
            docs[current] = rest.strip()
    return docs
