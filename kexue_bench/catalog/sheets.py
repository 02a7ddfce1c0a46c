"""The sheet of a Python file: what its syntax tree says without running it.

A sheet holds constants, imports, classes and functions as plain data, so that it can be stored. The value of a constant
or an argument is a *term*: a JSON array that starts with its form.

    ["value", 3]                          a string, number, bool or None
    ["tuple", [terms], line]              likewise `list` and `set`
    ["dict", [[key, value], ...], line]
    ["name", "UNBIASED", line]
    ["star", term, line]                  inside a tuple, list or set
    ["call", "Knob", [[keyword, term], ...], line]      the keyword of a positional argument is empty
    ["unreadable", "2 ** n", line]        anything else, as written; an error only if it is used
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..exports import deferred, dotted

T = TypeVar("T")
Term = list[object]
Imported = tuple[str, str]
"""What a local name refers to: the module, as written (`..words`), and the name there (empty for the module itself)."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    """One place where a name of the module is bound."""

    term: object
    line: int


@dataclass(frozen=True, kw_only=True)
class Decorator:
    """A decorator as written.

    Args:
        name: `method`, `dataclasses.dataclass`.
        called: whether it is called.
        arguments: keyword -> term, in order; the keyword of a positional argument is empty, that of `**x` is `**`.
    """

    name: str
    line: int
    called: bool = False
    arguments: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """An annotated name in a class body; `default` is a term, None if there is none."""

    name: str
    type: str
    line: int
    default: object = None


@dataclass(frozen=True, kw_only=True)
class ClassSheet:
    """A class of a module.

    Args:
        bases: as written.
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
    """A function of a module; its docstring is kept only if it is decorated."""

    name: str
    line: int
    decorators: tuple[Decorator, ...] = ()
    doc: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What the desk knows about one file.

    Args:
        constants: name -> every place at module level that binds it, except classes, functions and imports.
        imports: local name -> what it refers to.
        public: the same for imports under `if TYPE_CHECKING:`, which `exports.lazy` resolves at run time.
    """

    constants: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)
    imports: Mapping[str, Imported] = field(default_factory=dict)
    public: Mapping[str, Imported] = field(default_factory=dict)
    classes: tuple[ClassSheet, ...] = ()
    functions: tuple[FunctionSheet, ...] = ()


# -- reading ----------------------------------------------------------------------------------------------------------


def read(source: bytes) -> Sheet:
    """The sheet of a source file.

    Raises:
        SyntaxError: it is not Python.
        ValueError: it contains null bytes.
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
                functions.append(_function(node))
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
    """Names that a statement binds, including those inside loops and conditions, which cannot be read."""
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


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> FunctionSheet:
    doc = ast.get_docstring(node) if node.decorator_list else None
    return FunctionSheet(name=node.name, line=node.lineno, decorators=_decorators(node), doc=doc or "")


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


# -- as plain data ----------------------------------------------------------------------------------------------------


def pack(sheet: Sheet) -> object:
    """A sheet as JSON arrays, without the names of its fields."""
    return [
        {name: [[binding.term, binding.line] for binding in bindings] for name, bindings in sheet.constants.items()},
        {name: list(meaning) for name, meaning in sheet.imports.items()},
        {name: list(meaning) for name, meaning in sheet.public.items()},
        [
            [
                *(item.name, item.line, _packed(item.decorators), list(item.bases)),
                [[part.name, part.type, part.line, part.default] for part in item.attributes],
                *(item.doc, dict(item.documented)),
            ]
            for item in sheet.classes
        ],
        [[item.name, item.line, _packed(item.decorators), item.doc] for item in sheet.functions],
    ]


def _packed(decorators: tuple[Decorator, ...]) -> list[object]:
    return [[item.name, item.line, item.called, [list(pair) for pair in item.arguments]] for item in decorators]


def unpack(data: object) -> Sheet:
    """The sheet that was packed.

    Raises:
        ValueError: it is not one.
    """
    match data:
        case [dict(constants), dict(imports), dict(public), [*classes], [*functions]]:
            return Sheet(
                constants={
                    name: tuple(Binding(term=_term(term), line=_of(int, line)) for term, line in _of(list, bindings))
                    for name, bindings in constants.items()
                },
                imports={name: _meaning(meaning) for name, meaning in imports.items()},
                public={name: _meaning(meaning) for name, meaning in public.items()},
                classes=tuple(map(_unpacked_class, classes)),
                functions=tuple(map(_unpacked_function, functions)),
            )
    raise ValueError("not a sheet")


def _unpacked_class(data: object) -> ClassSheet:
    match data:
        case [str() as name, int() as line, decorators, [*bases], [*attributes], str() as doc, dict(documented)]:
            return ClassSheet(
                name=_identifier(name),
                line=line,
                decorators=_decorators_of(decorators),
                bases=tuple(_of(str, base) for base in bases),
                attributes=tuple(map(_unpacked_attribute, attributes)),
                doc=doc,
                documented={key: _of(str, text) for key, text in documented.items()},
            )
    raise ValueError("not a class")


def _unpacked_attribute(data: object) -> Attribute:
    match data:
        case [str() as name, str() as kind, int() as line, default]:
            checked = None if default is None else _term(default)
            return Attribute(name=_identifier(name), type=kind, line=line, default=checked)
    raise ValueError("not an attribute")


def _unpacked_function(data: object) -> FunctionSheet:
    match data:
        case [str() as name, int() as line, decorators, str() as doc]:
            return FunctionSheet(name=_identifier(name), line=line, decorators=_decorators_of(decorators), doc=doc)
    raise ValueError("not a function")


def _decorators_of(data: object) -> tuple[Decorator, ...]:
    found = []
    for item in _of(list, data):
        match item:
            case [str() as name, int() as line, bool() as called, [*arguments]]:
                pairs = tuple((_of(str, word), _term(value)) for word, value in arguments)
                found.append(Decorator(name=name, line=line, called=called, arguments=pairs))
            case _:
                raise ValueError("not a decorator")
    return tuple(found)


def _meaning(data: object) -> Imported:
    match data:
        case [str() as module, str() as name]:
            return module, name
    raise ValueError("not an import")


def _term(data: object) -> Term:
    """A term whose form is valid at every level."""
    match data:
        case ["value", str() | int() | float() | None as value] if _storable(value):
            pass
        case ["tuple" | "list" | "set", [*parts], int()]:
            for part in parts:
                _term(part)
        case ["dict", [*pairs], int()]:
            for key, value in pairs:
                _term(key)
                _term(value)
        case ["name" | "unreadable", str(), int()]:
            pass
        case ["star", part, int()]:
            _term(part)
        case ["call", str(), [*words], int()]:
            for word, value in words:
                _of(str, word)
                _term(value)
        case _:
            raise ValueError("not a term")
    return _of(list, data)


def _of(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise ValueError(f"not of type {kind.__name__}")  # noqa: TRY004 - every mismatch is the same error
    return value


def _identifier(name: str) -> str:
    if not name.isidentifier():
        raise ValueError("not a name")
    return name
