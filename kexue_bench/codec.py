"""Values of `api` as JSON and back: the only form that crosses a pipe or reaches a disk.

Non-finite floats become tagged objects (`{"$f": "nan"}`, `"inf"`, `"-inf"`), so that every line is strict JSON and
every float survives the round trip bit for bit (`repr` of a float is exact).
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache

from .api import Case, Evidence, Instance, Job, Measurement, Outcome, Plan, Series

_KINDS: dict[str, type] = {
    cls.__name__: cls for cls in (Case, Evidence, Instance, Job, Measurement, Outcome, Plan, Series)
}
T = typing.TypeVar("T")
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class CodecError(ValueError):
    """A document that is not what it should be; the message names the place."""


def encode(value: object) -> object:
    """Turn a value of `api`, or plain data, into plain JSON data; fields that hold their default are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        out: dict[str, object] = {}
        if isinstance(value, Evidence):
            out["$kind"] = "Evidence"
        for f in fields(value):
            item = getattr(value, f.name)
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if item != default:
                out[f.name] = encode(item)
        return out
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(encode(v) for v in value)  # pyright: ignore[reportArgumentType]  # sets hold strings only
    if isinstance(value, (tuple, list)):
        return [encode(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$f": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise CodecError(f"cannot be stored: {type(value).__name__}")


def dumps(value: object) -> str:
    """One line of strict ASCII JSON."""
    return json.dumps(encode(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def loads(text: str | bytes) -> object:
    """Plain data from strict JSON; refuses NaN tokens, duplicate keys and numbers that overflow to infinity."""

    def no_constant(token: str) -> float:
        raise CodecError(f"the token {token} is not JSON")

    def number(token: str) -> float:
        value = float(token)
        if not math.isfinite(value):
            raise CodecError(f"the number {token[:40]} is out of range")
        return value

    def pairs(items: list[tuple[str, object]]) -> object:
        out = dict(items)
        if len(out) != len(items):
            raise CodecError("a key appears twice")
        if set(out) == {"$f"}:
            tag = out["$f"]
            if not isinstance(tag, str) or tag not in _NON_FINITE:
                raise CodecError(f"unknown number tag {tag!r}")
            return _NON_FINITE[tag]
        return out

    try:
        return json.loads(text, parse_constant=no_constant, parse_float=number, object_pairs_hook=pairs)
    except CodecError:
        raise
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from error


def decode(cls: type[T], data: object, *, where: str = "") -> T:
    """Build a value of `api` from plain data, checking every field against its annotation.

    Raises:
        CodecError: a field is unknown, missing, or of another type; the message names its path.
    """
    return typing.cast("T", _read(cls, data, where or cls.__name__))


@cache
def _hints(cls: type) -> dict[str, object]:
    return typing.get_type_hints(cls)


def _read(kind: object, data: object, where: str) -> object:
    if isinstance(kind, type) and is_dataclass(kind):
        return _read_dataclass(kind, data, where)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union or origin is types.UnionType:
        return _read_union(args, data, where)
    if origin is typing.Literal:
        if data not in args:
            raise CodecError(f"{where}: {_short(data)} is none of {', '.join(map(repr, args))}")
        return data
    if origin is not None:
        return _read_container(origin, args, data, where)
    if kind is object:
        return data
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if type(data) is kind:
        return data
    raise CodecError(f"{where}: expected {getattr(kind, '__name__', kind)}, got {_short(data)}")


def _read_container(origin: type, args: tuple[object, ...], data: object, where: str) -> object:
    if issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise CodecError(f"{where}: expected an object, got {_short(data)}")
        return {k: _read(args[1], v, f"{where}.{k}") for k, v in data.items()}
    if not isinstance(data, list):
        raise CodecError(f"{where}: expected a list, got {_short(data)}")
    items = (_read(args[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    return tuple(items) if origin is tuple else frozenset(items)


def _read_dataclass(cls: type, data: object, where: str) -> object:
    if not isinstance(data, dict):
        raise CodecError(f"{where}: expected an object, got {_short(data)}")
    data = dict(data)
    tag = data.pop("$kind", cls.__name__)
    if tag != cls.__name__:
        if tag not in _KINDS or not issubclass(_KINDS[tag], cls):
            raise CodecError(f"{where}: unknown kind {_short(tag)}")
        cls = _KINDS[tag]
    hints = _hints(cls)
    if unknown := sorted(set(data) - set(hints)):
        raise CodecError(f"{where}: unknown field {_short(unknown[0])}")
    values = {name: _read(hints[name], value, f"{where}.{name}") for name, value in data.items()}
    try:
        return cls(**values)
    except TypeError as error:
        raise CodecError(f"{where}: {error}") from error


def _read_union(args: tuple[object, ...], data: object, where: str) -> object:
    # An exact match first, so that True stays a bool and 1 an int in `bool | int | float | str`.
    for arg in args:
        if (arg is types.NoneType and data is None) or type(data) is arg:
            return data
    for arg in args:
        try:
            return _read(arg, data, where)
        except CodecError:
            continue
    raise CodecError(f"{where}: {_short(data)} fits none of the allowed types")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
