"""`name[param=value,other=[a,b]]` -> instances: match globs, coerce values to declared types, expand grids."""

from __future__ import annotations

import fnmatch
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from ..api import Given, Instance, MethodSpec, Scalar, TaskSpec
from ..errors import UnknownNameError, UsageError
from ..store.given import NotGivenError, absolute, take
from .fields import PATHS, Field, fixed_of

_PLAIN = re.compile(r"[^,\[\]'\"]*")
_INTEGERS = 2**63
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Selector:
    """A parsed selector.

    Args:
        text: the selector as written.
        family: the part before `/`; empty if none was written.
        name: a name or a glob (`st-*`).
        params: parameter -> the values written for it; more than one makes a grid.
    """

    text: str
    family: str = ""
    name: str
    params: Mapping[str, tuple[str, ...]]

    @property
    def is_glob(self) -> bool:
        """Whether the name may match several specs."""
        return any(c in self.name for c in "*?[")


def read(values: Iterable[str | Selector]) -> tuple[Selector, ...]:
    """The selectors of texts that may hold several each, `-m rloo,disarm`; parsed selectors are kept.

    >>> [selector.text for selector in read(["rloo[n=[2,4]],disarm", "arm"])]
    ['rloo[n=[2,4]]', 'disarm', 'arm']

    Raises:
        UsageError: one of them cannot be parsed.
    """
    parts = [(value,) if isinstance(value, Selector) else map(parse, split(value)) for value in values]
    return tuple(itertools.chain.from_iterable(parts))


def one(value: str | Selector | None) -> Selector | None:
    """One selector, or None if nothing is written.

    Raises:
        UsageError: it cannot be parsed.
    """
    if isinstance(value, str):
        return parse(value) if value else None
    return value


@lru_cache(maxsize=8192)
def parse(text: str) -> Selector:
    """Parse one selector; each text is parsed once and cached.

    >>> parse("rloo[n=[2,4]]").params
    {'n': ('2', '4')}

    Raises:
        UsageError: brackets do not match, or a parameter is not `name=value`.
    """
    head, bracket, rest = text.strip().partition("[")
    family, slash, name = head.rpartition("/")
    if not name or (slash and not family):
        raise UsageError("a selector needs a name", got=repr(text), do="write name or name[param=value]")
    if not bracket:
        if "]" in name:
            raise UsageError("a selector has a closing bracket without an opening one", got=repr(text))
        return Selector(text=text, family=family, name=name, params={})
    if not rest.endswith("]"):
        raise UsageError("a selector must end with ]", got=repr(text), do="quote it: shells read [ and ] as globs")
    params: dict[str, tuple[str, ...]] = {}
    for part in split(rest[:-1]):
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if not equals or not key or not value:
            raise UsageError(f"in {text!r} a parameter must be written name=value", got=repr(part))
        if key in params:
            raise UsageError(f"in {text!r} the parameter {key!r} is given twice", do=f"write {key}=[a,b] for a grid")
        grid = value.startswith("[") and value.endswith("]")
        values = split(value[1:-1]) if grid else [value]
        if not values:
            raise UsageError(f"in {text!r} the parameter {key!r} has no value")
        params[key] = tuple(_unquote(item.strip()) for item in values)
    return Selector(text=text, family=family, name=name, params=params)


def split(text: str) -> list[str]:
    """Split at the commas outside brackets and quotes; `-m 'rloo[n=[2,4]],disarm'` holds two selectors."""
    if _PLAIN.fullmatch(text):
        return [text.strip()] if text.strip() else []
    parts, depth, quote, current = [], 0, "", ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "[]":
            depth += 1 if c == "[" else -1
        if c == "," and depth == 0 and not quote:
            parts.append(current)
            current = ""
        else:
            current += c
    if depth or quote:
        raise UsageError("brackets or quotes do not match", got=repr(text))
    parts.append(current)
    return [part.strip() for part in parts if part.strip()]


def matches(selector: Selector, names: Iterable[str]) -> list[str]:
    """The names that match the selector's name or glob, in the given order."""
    if selector.is_glob:
        return [name for name in names if fnmatch.fnmatchcase(name, selector.name)]
    return [name for name in names if name == selector.name]


def expand(
    selector: Selector, spec: MethodSpec | TaskSpec, fields: Sequence[Field], *, source: str = ""
) -> tuple[Instance, ...]:
    """Every instance a selector stands for: the grid's product, defaults filled in.

    Args:
        fields: those of the spec (`fields_of`).
        source: name of the plugin that registered it.

    Raises:
        UsageError: unknown parameter, a value of the wrong type, a parameter without default left out, or a file that
            cannot be read.
    """
    name, kind = spec.name, "task" if isinstance(spec, TaskSpec) else "method"
    common = {"name": name, "target": spec.target, "source": source, "fixed": fixed_of(spec)}
    if isinstance(spec, TaskSpec):
        common["kind"] = spec.kind
    by_name = {field.name: field for field in fields}
    for key in selector.params:
        if key not in by_name:
            raise UnknownNameError(f"parameter of {kind} {name!r}", key, by_name)
    for field in fields:
        if field.default is None and field.name not in selector.params:
            raise UsageError(
                f"{kind} {name!r} needs the parameter {field.name!r}", do=f"write {name}[{field.name}=...]"
            )
    grid = [
        [coerce(value, by_name[key], where=f"{kind} {name!r}") for value in values]
        for key, values in selector.params.items()
    ]
    instances = []
    for values in itertools.product(*grid):
        given = dict(zip(selector.params, values, strict=True))
        params = {field.name: given.get(field.name, field.default) for field in fields}
        files = {
            key: _taken(value, by_name[key], where=f"{kind} {name!r}")
            for key, value in params.items()
            if value and by_name[key].type in PATHS
        }
        params |= {key: Path(file.place).name for key, file in files.items()}
        shown = [key for key in params if key in given]
        label = f"{name}[{','.join(f'{key}={text(params[key])}' for key in shown)}]" if shown else name
        instances.append(Instance(params=params, label=label, files=files, **common))  # pyright: ignore[reportArgumentType]  # a missing default was refused above
    return tuple(instances)


def coerce(value: str, field: Field, *, where: str) -> Scalar:
    """A written value as the field's declared type; `1` for a float is 1.0.

    Raises:
        UsageError: it is not a value of that type, or infinite although the field's default is finite.
    """
    try:
        if field.type == "str" or field.type in PATHS:
            return value
        if field.type == "bool":
            return _BOOLEANS[value.lower()]
        if field.type == "int" and abs(number := int(value)) < _INTEGERS:
            return number
        if field.type == "int":
            raise UsageError(f"parameter {field.name!r} of {where} must fit into 64 bits", got=value)
        number = float(value)
        if math.isfinite(number) or (math.isinf(number) and _unbounded(field)):
            return number
        if math.isinf(number):
            raise UsageError(f"parameter {field.name!r} of {where} must be finite", got=repr(value))
    except (KeyError, ValueError):
        pass
    raise UsageError(f"parameter {field.name!r} of {where} must be of type {field.type}", got=repr(value))


def _taken(value: Scalar | None, field: Field, *, where: str) -> Given:
    """The file that a field names, as it is now."""
    try:
        return take(str(value), code=field.type == "CodePath")
    except NotGivenError as error:
        raise UsageError(f"the parameter {field.name!r} of {where} {error.what}", got=error.got, do=error.do) from error


def anchored(selector: Selector, fields: Iterable[Field]) -> Selector:
    """The selector with the paths in it made absolute, so that it means the same in every folder."""
    paths = {field.name for field in fields if field.type in PATHS} & set(selector.params)
    if not paths:
        return selector
    params = {key: tuple(map(absolute, values)) if key in paths else values for key, values in selector.params.items()}
    head = f"{selector.family}/{selector.name}" if selector.family else selector.name
    written = (f"{key}=[{','.join(map(text, values))}]" for key, values in params.items())
    return replace(selector, text=f"{head}[{','.join(written)}]", params=params)


def _unbounded(field: Field) -> bool:
    """Whether a field may be infinite: it says so by a default that is."""
    return isinstance(field.default, float) and math.isinf(field.default)


def text(value: Scalar | None) -> str:
    """A value as it is written in a selector."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, str) and (not value or value != value.strip() or any(c in value for c in ",[]='\" ")):
        quote = '"' if "'" in value else "'"
        return f"{quote}{value}{quote}"
    return str(value)


def unique(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Instances without duplicates: `rloo` and `rloo[n=2]` are the same; the first label is kept.

    Raises:
        UsageError: two files of one name differ, so that their results could not be told apart.
    """
    seen: dict[tuple[str, tuple[tuple[str, Scalar], ...]], Instance] = {}
    for instance in instances:
        known = seen.setdefault((instance.name, tuple(sorted(instance.params.items()))), instance)
        for key, file in instance.files.items():
            if known.files[key].digest != file.digest:
                raise UsageError(
                    f"two different files of {instance.name!r} have the same name, which is all that tables print",
                    got=f"{known.files[key].place} and {file.place}",
                    do="rename one of them",
                )
    return tuple(seen.values())


def same(one: Instance, other: Instance) -> bool:
    """Whether two instances are the same, ignoring their labels."""
    return one.name == other.name and dict(one.params) == dict(other.params)


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text
