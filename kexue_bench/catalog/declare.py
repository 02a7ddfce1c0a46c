"""Declarations above classes and functions, and how they are read into specs without importing the file.

Example::

    from dataclasses import dataclass

    from kexue_bench import method

    @method("rloo", "REINFORCE with the leave-one-out mean as baseline", needs="discrete", claims=("unbiased",))
    @dataclass(frozen=True, kw_only=True)
    class Rloo: ...

An argument is a literal, a tuple, set or dict of such, `Knob(...)`, `Claimed(...)` or `Unless(...)` of such, or a name
that the same file or the family's `words.py` binds once to such a value; in a tuple or set a name may be starred.

`plugin.py` registers everything at once::

    @hookimpl
    def kexue_specs():
        return [FAMILY, *discover(__package__, family=FAMILY.name)]
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Required, TypedDict, TypeVar, Unpack

from ..api import (
    Claimed,
    ClaimSpec,
    Kind,
    Knob,
    MethodSpec,
    MetricSpec,
    Of,
    PublishedSpec,
    ReadingSpec,
    Scalar,
    TaskSpec,
    Unless,
)
from ..errors import PluginError, UnknownNameError
from ..modules import find
from .fields import fields_of
from .sheets import Decorator
from .source import Module, module_of, sheet_of, tables_of

Spec = MethodSpec | TaskSpec | ClaimSpec | ReadingSpec | MetricSpec | PublishedSpec
Words = str | AbstractSet[str] | tuple[str, ...]
"""Words without an order; a single one may be a plain string."""
Target = TypeVar("Target")
HOMES = ("kexue_bench", "kexue_bench.api", "kexue_bench.catalog.declare")
NOUNS: Mapping[str, type] = {f"{home}.{noun.__name__}": noun for home in HOMES for noun in (Knob, Claimed, Unless)}
WORDS = "words"
"""Name of the module that declarations of a family may import values from."""


class MethodWords(TypedDict, total=False):
    """The keywords of `method`; see `MethodSpec`."""

    needs: Words
    when: str
    unless: tuple[Unless, ...]
    claims: tuple[str | Claimed, ...]
    cost: str
    knobs: tuple[Knob, ...]
    references: tuple[str, ...]
    aliases: tuple[str, ...]
    variants: tuple[str, ...]
    suites: Mapping[str, tuple[str, ...]]
    requires: str
    install: str
    fixed: Mapping[str, Scalar]
    defaults: Mapping[str, Scalar]
    order: int


class TaskWords(TypedDict, total=False):
    """The keywords of `task`; see `TaskSpec`."""

    version: Required[int]
    kind: Kind
    offers: Words
    facts: Mapping[str, str]
    unless: tuple[Unless, ...]
    rare: Mapping[str, str]
    knobs: tuple[Knob, ...]
    suites: Mapping[str, tuple[str, ...]]
    methods: Mapping[str, tuple[str, ...] | str]
    timed: Words
    replicates: Mapping[str, int]
    stack: int
    budgets: Mapping[str, int]
    dtype: str
    primary: str
    headline: tuple[str, ...]
    baseline: str
    points: str
    fixed: Mapping[str, Scalar]
    defaults: Mapping[str, Scalar]
    order: int


class ClaimWords(TypedDict, total=False):
    """The keywords of `claim`; see `ClaimSpec`."""

    of: Of
    always: bool
    order: int


class ReadingWords(TypedDict, total=False):
    """The keywords of `reading`; see `ReadingSpec`."""

    order: int


def method(name: str, summary: str, **words: Unpack[MethodWords]) -> Callable[[Target], Target]:
    """Declare the class below as a method; at run time it is returned unchanged.

    Args:
        name: in kebab case.
        summary: what it is, in lower case without a full stop.
        words: as in `MethodSpec`; `order` sorts the methods of a package, and those without one come last.
    """
    del name, summary, words
    return _unchanged


def task(name: str, summary: str, **words: Unpack[TaskWords]) -> Callable[[Target], Target]:
    """Declare the class below as a task; at run time it is returned unchanged.

    Args:
        name: in kebab case.
        summary: one line, printed above its table.
        words: as in `TaskSpec`; `order` sorts the tasks of a package, and those without one come last.
    """
    del name, summary, words
    return _unchanged


def claim(name: str, summary: str, **words: Unpack[ClaimWords]) -> Callable[[Target], Target]:
    """Declare the function below as the check of a claim; at run time it is returned unchanged.

    Args:
        name: name of the claim.
        summary: what the claim states.
        words: as in `ClaimSpec`; `order` sorts the claims of a package, and those without one come last.
    """
    del name, summary, words
    return _unchanged


def reading(name: str, summary: str, **words: Unpack[ReadingWords]) -> Callable[[Target], Target]:
    """Declare the class below as a rule applied to trained scores; at run time it is returned unchanged.

    Args:
        name: label of its measurements.
        summary: what the rule is.
        words: `order` sorts the readings of a package, and those without one come last.
    """
    del name, summary, words
    return _unchanged


def _unchanged(target: Target) -> Target:
    return target


# -- from declarations to specs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Form:
    """What a decorator may stand above, its arguments, and the spec that it becomes."""

    above: Literal["class", "function"]
    hints: Mapping[str, object]
    required: AbstractSet[str]
    spec: type[MethodSpec | TaskSpec | ClaimSpec | ReadingSpec]


def _form(
    above: Literal["class", "function"], words: type, spec: type[MethodSpec | TaskSpec | ClaimSpec | ReadingSpec]
) -> _Form:
    full = typing.get_type_hints(words, include_extras=True)
    required = {name for name, hint in full.items() if typing.get_origin(hint) is Required}
    hints: dict[str, object] = {"name": str, "summary": str, **typing.get_type_hints(words)}
    return _Form(above=above, hints=hints, required={"name", "summary", *required}, spec=spec)


@cache
def _forms() -> Mapping[str, _Form]:
    return {
        "method": _form("class", MethodWords, MethodSpec),
        "task": _form("class", TaskWords, TaskSpec),
        "claim": _form("function", ClaimWords, ClaimSpec),
        "reading": _form("class", ReadingWords, ReadingSpec),
    }


_FAMILIES = {f"{home}.FamilySpec" for home in HOMES}
_BY_PATH = {f"{home}.{name}": name for home in HOMES for name in ("method", "task", "claim", "reading")}
_IN_SETS = ("needs", "offers", "timed")


def discover(package: str | None, *, family: str) -> tuple[Spec, ...]:
    """Every declaration in a package and the entries of its data files, read without importing anything.

    Read are the declarations above classes and functions in every module of the package, and the tables `[[metric]]` of
    `metrics.toml` and `[[figure]]` of `published.toml` beside its `__init__.py`. A declaration belongs to the family
    nearest above it: a package below this one that binds a `FamilySpec(...)` in one of its modules is left out.

    Args:
        package: `__package__` of the caller; a single file may give its `__name__`.
        family: name of the family that all of them belong to.

    Raises:
        PluginError: a file or declaration cannot be read; the message says where and what to write.
    """
    if not package:
        raise PluginError(
            "discover needs the name of a package",
            got=repr(package),
            do="write discover(__package__, ...), or discover(__name__, ...) in a plugin that is a single file",
        )
    modules = tuple(_modules(package))
    found: dict[str, list[tuple[float, str, int, Spec]]] = {name: [] for name in _forms()}
    for module in modules:
        for kind, order, line, spec in _declarations(module, family):
            found[kind].append((order, module.name, line, spec))
    declared = [entry[-1] for entries in found.values() for entry in sorted(entries, key=lambda entry: entry[:-1])]
    return (*declared, *_data(modules[0], family))


def _modules(package: str) -> Iterator[Module]:
    """A package's own module and all modules below it, sorted by path."""
    first = module_of(package)
    yield first
    spec = find(package)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        yield from _below(Path(folder), package)


def _below(folder: Path, package: str) -> Iterator[Module]:
    for path in sorted(folder.iterdir()):
        name = f"{package}.{path.stem}"
        if path.suffix == ".py" and path.stem != "__init__" and path.stem.isidentifier():
            yield Module(name=name, path=path, sheet=sheet_of(path))
        elif path.name.isidentifier() and (path / "__init__.py").is_file():
            inside = path / "__init__.py"
            first, rest = Module(name=name, path=inside, sheet=sheet_of(inside)), tuple(_below(path, name))
            if not any(_makes_family(module) for module in (first, *rest) if module.package == name):
                yield from (first, *rest)


def _makes_family(module: Module) -> bool:
    """Whether a module binds a `FamilySpec(...)`, so that its package is a family of its own."""
    terms = (binding.term for bindings in module.sheet.constants.values() for binding in bindings)
    return any(
        isinstance(term, list) and term[0] == "call" and module.meaning(str(term[1])) in _FAMILIES for term in terms
    )


def _declarations(module: Module, family: str) -> Iterator[tuple[str, float, int, Spec]]:
    sheet = module.sheet
    above = [("class", item.name, item.decorators) for item in sheet.classes]
    above += [("function", item.name, item.decorators) for item in sheet.functions]
    for what, name, decorators in above:
        for decorator in decorators:
            kind = _BY_PATH.get(module.meaning(decorator.name))
            if kind is not None:
                order, spec = _declared(kind, decorator, (what, name), module, family)
                yield kind, order, decorator.line, spec


def _declared(
    kind: str, decorator: Decorator, target: tuple[str, str], module: Module, family: str
) -> tuple[float, Spec]:
    """The order and the spec that one decorator declares."""
    form, place = _forms()[kind], module.at(decorator.line)
    what, name = target
    if what != form.above:
        raise PluginError(f"{place}: @{kind} stands above a {form.above}", got=f"the {what} {name!r}")
    if not decorator.called:
        raise PluginError(f"{place}: @{kind} needs a name and a summary", do=f'write @{kind}("name", "summary")')
    reader = _Reader(module=module)
    given: dict[str, Any] = {}
    positional = iter(("name", "summary"))
    for keyword, term in decorator.arguments:
        word = keyword or next(positional, "")
        if not word:
            raise PluginError(f"{place}: @{kind} takes two positional arguments, a name and a summary")
        if word in given:
            raise PluginError(f"{place}: @{kind} is given {word!r} twice")
        given[word] = _checked(form, kind, word, reader.value(term), place)
    if missing := sorted(form.required - set(given)):
        raise PluginError(f"{place}: @{kind} of {name!r} lacks {missing[0]!r}", do=f"write {missing[0]}=...")
    order = given.pop("order", None)
    for word in _IN_SETS:
        if word in given:
            words: str | tuple[str, ...] = given[word]
            given[word] = frozenset({words} if isinstance(words, str) else words)
    spec: Spec = form.spec(family=family, target=f"{module.name}:{name}", **given)
    if isinstance(spec, (MethodSpec, TaskSpec)) and (spec.fixed or spec.defaults):
        try:
            fields_of(spec)
        except PluginError as error:
            raise PluginError(f"{place}: {error}") from error
    return (float("inf") if order is None else order), spec


def _checked(form: _Form, kind: str, word: str, value: object, place: str) -> object:
    if word not in form.hints:
        raise PluginError(f"{place}: {UnknownNameError(f'argument of @{kind}', word, form.hints)}")
    if not _fits(value, form.hints[word]):
        raise PluginError(
            f"{place}: {word!r} of @{kind} must be {_described(form.hints[word])}", got=_short(value),
            do=f"write ({value!r},)" if _is_alone(value, form.hints[word]) else "",
        )  # fmt: skip
    return value


def _is_alone(value: object, hint: object) -> bool:
    """Whether a tuple is missing around a single value."""
    return typing.get_origin(hint) is tuple and _fits((value,), hint)


# -- terms ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Converts the terms of a module to values.

    Args:
        waiting: names that are being resolved, to detect one that is bound to itself.
    """

    module: Module
    waiting: tuple[str, ...] = ()

    def value(self, term: object) -> object:
        """The value of a term.

        Raises:
            PluginError: its form is not allowed in declarations.
        """
        match term:
            case ["value", value]:
                return value
            case ["tuple", [*parts], _]:
                return tuple(self._items(parts))
            case ["list", [*parts], _]:
                return list(self._items(parts))
            case ["set", [*parts], int() as line]:
                return frozenset(self._hashable(item, line) for item in self._items(parts))
            case ["dict", [*pairs], int() as line]:
                return {self._hashable(self.value(key), line): self.value(value) for key, value in pairs}
            case ["name", str() as name, int() as line]:
                return self.lookup(name, line)
            case ["call", str() as name, [*arguments], int() as line]:
                return self._noun(name, arguments, line)
            case ["star", _, int() as line]:
                raise self._error(line, "a starred name must stand inside a tuple, list or set")
            case [_, str() as text, int() as line]:
                raise self._unreadable(text, line)
        raise PluginError(f"{self.module.at(1)}: a value cannot be read", got=_short(term))

    def _items(self, parts: list[object]) -> Iterator[object]:
        for part in parts:
            match part:
                case ["star", ["name", *_] as inner, int() as line]:
                    values = self.value(inner)
                    if not isinstance(values, (tuple, list, frozenset)):
                        raise self._error(line, "a starred name must be bound to a tuple or set", got=_short(values))
                    # A set has no order; sorting makes every process read the same.
                    yield from sorted(values, key=str) if isinstance(values, frozenset) else values
                case ["star", _, int() as line]:
                    raise self._error(line, "only a name may be starred", do="bind the value to a name first")
                case _:
                    yield self.value(part)

    def _hashable(self, value: object, line: int) -> Hashable:
        try:
            hash(value)
        except TypeError:
            raise self._error(line, "a list or dict cannot stand in a set or be a key", got=_short(value)) from None
        return value

    def lookup(self, name: str, line: int) -> object:
        """What a name of the module is bound to.

        Args:
            line: where it is used.

        Raises:
            PluginError: as `value`.
        """
        sheet = self.module.sheet
        bound = [binding.line for binding in sheet.constants.get(name, ())]
        bound += [item.line for item in (*sheet.classes, *sheet.functions) if item.name == name]
        bindings = sheet.constants.get(name, ())
        imported = self.module.meaning(name)
        if name in self.waiting:
            raise self._error(line, f"{name} is bound to itself", do="bind it to a literal")
        if len(bound) + bool(imported) > 1:
            lines = " and ".join(map(str, sorted(bound)))
            raise self._error(line, f"{name} is bound more than once (line {lines})", do="bind it once, to a literal")
        if bindings:
            inside = _Reader(module=self.module, waiting=(*self.waiting, name))
            return inside.value(bindings[0].term)
        home, _, there = imported.rpartition(".")
        if home.rpartition(".")[2] == WORDS and self._is_mine(home):
            return self._words(home).lookup(there, line)
        raise self._error(
            line,
            f"{name} cannot be read: it is not bound to a value at the top of this file, nor imported from {WORDS}.py",
            do=f"write the value here, or bind it in the family's {WORDS}.py and import it from there",
        )

    def _is_mine(self, home: str) -> bool:
        return home.partition(".")[0] == self.module.name.partition(".")[0]

    def _words(self, home: str) -> _Reader:
        """The reader of the family's words, which may import nothing but the nouns that it calls."""
        words = module_of(home)
        for local in words.sheet.imports:
            meaning = words.meaning(local)
            if meaning not in NOUNS and not meaning.startswith("__future__."):
                raise PluginError(
                    f"{words.at(1)}: {WORDS}.py may import Knob, Claimed and Unless from kexue_bench only",
                    got=meaning,
                    do="bind its names to literals, and move whatever computes to another file",
                )
        return _Reader(module=words)

    def _noun(self, name: str, arguments: list[object], line: int) -> object:
        noun = NOUNS.get(self.module.meaning(name))
        if noun is None:
            raise self._unreadable(f"{name}(...)", line)
        hints = _hints(noun)
        given: dict[str, object] = {}
        for argument in arguments:
            match argument:
                case [str() as keyword, term] if keyword in hints:
                    given[keyword] = self.value(term)
                    if not _fits(given[keyword], hints[keyword]):
                        raise self._error(
                            line,
                            f"{keyword!r} of {noun.__name__} must be {_described(hints[keyword])}",
                            got=_short(given[keyword]),
                        )
                case _:
                    written = ", ".join(f"{hint}=..." for hint in hints)
                    raise self._error(
                        line, f"{noun.__name__} takes named arguments", do=f"write {noun.__name__}({written})"
                    )
        try:
            return noun(**given)
        except TypeError as error:
            raise self._error(line, f"{noun.__name__} cannot be made: {error}") from error

    def _unreadable(self, text: str, line: int) -> PluginError:
        return self._error(
            line,
            "a declaration is read without running the file, so it cannot contain this",
            got=text,
            do="write a literal, Knob(...), Claimed(...), Unless(...), a tuple, set or dict of such, or a name bound "
            f"to one in this file or in {WORDS}.py",
        )

    def _error(self, line: int, what: str, *, got: str = "", do: str = "") -> PluginError:
        return PluginError(f"{self.module.at(line)}: {what}", got=got, do=do)


# -- data files -------------------------------------------------------------------------------------------------------

_FILES: Mapping[str, tuple[str, type[MetricSpec | PublishedSpec]]] = {
    "metrics.toml": ("metric", MetricSpec),
    "published.toml": ("figure", PublishedSpec),
}


def _data(home: Module, family: str) -> Iterator[MetricSpec | PublishedSpec]:
    """The entries of the data files beside a package's `__init__.py`."""
    if home.path.name != "__init__.py":
        return
    for file, (table, spec) in _FILES.items():
        path = home.path.with_name(file)
        place = f"{home.name.replace('.', '/')}/{file}"
        try:
            content = dict(tables_of(path))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise PluginError(f"{place}: cannot be read: {error}") from error
        entries = content.pop(table, [])
        if content or not isinstance(entries, list):
            raise PluginError(f"{place}: must hold tables [[{table}]] only", got=", ".join(content) or _short(entries))
        for number, entry in enumerate(entries, 1):
            yield _entry(entry, spec, family, f"{place}, {table} {number}")


def _entry(
    entry: object, spec: type[MetricSpec | PublishedSpec], family: str, place: str
) -> MetricSpec | PublishedSpec:
    if not isinstance(entry, dict):
        raise PluginError(f"{place}: must be a table", got=_short(entry))
    place += f" ({entry['name']!r})" if "name" in entry else ""
    hints = {name: hint for name, hint in _hints(spec).items() if name != "family"}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    for name, value in values.items():
        if name not in hints:
            raise PluginError(f"{place}: {UnknownNameError('key', name, hints)}")
        if not _fits(value, hints[name]):
            raise PluginError(f"{place}: {name!r} must be {_described(hints[name])}", got=_short(value))
    try:
        return spec(family=family, **values)
    except TypeError as error:
        lacking = [name for name in hints if f"{name!r}" in str(error)]
        raise PluginError(f"{place}: the key {' and '.join(map(repr, lacking))} is missing") from error


# -- types ------------------------------------------------------------------------------------------------------------


@cache
def _hints(cls: type) -> Mapping[str, object]:
    return typing.get_type_hints(cls)


def _fits(value: object, hint: object) -> bool:
    """Whether a value read from a declaration has an annotated type; an int is accepted for a float."""
    return _check(hint)(value)


@cache
def _check(hint: object) -> Callable[[object], bool]:
    """The function that checks whether a value has an annotated type; cached."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        checks = tuple(map(_check, inside))
        return lambda value: any(check(value) for check in checks)
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in inside
    if origin is tuple:
        item = _check(inside[0])
        return lambda value: isinstance(value, tuple) and all(map(item, value))
    if origin is not None and issubclass(origin, AbstractSet):
        item = _check(inside[0])
        return lambda value: isinstance(value, frozenset) and all(map(item, value))
    if origin is not None and issubclass(origin, Mapping):
        key, item = map(_check, inside)
        return lambda value: isinstance(value, dict) and all(map(key, value)) and all(map(item, value.values()))
    if hint is float:
        return lambda value: type(value) in {float, int}
    return lambda value: type(value) is hint


def _described(hint: object) -> str:
    """An annotated type in words: `a string or a set of strings`."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(dict.fromkeys(_described(part) for part in inside))
    if origin is Literal:
        return "one of " + ", ".join(map(repr, inside))
    if origin is tuple:
        return f"a tuple, each item {_described(inside[0])}"
    if origin is not None and issubclass(origin, AbstractSet):
        return f"a set, each item {_described(inside[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"a dict, each value {_described(inside[1])}"
    if isinstance(hint, type) and is_dataclass(hint):
        return f"{hint.__name__}(...)"
    names: Mapping[object, str] = {str: "a string", int: "an integer", float: "a number", bool: "True or False"}
    return names.get(hint, "nothing")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
