"""Values of `api` as JSON and back: the only form that crosses a pipe or reaches a disk.

Non-finite floats become tagged objects (`{"$f": "nan"}`, `"inf"`, `"-inf"`), so that every line is strict JSON and
every float survives the round trip bit for bit (`repr` of a float is exact).
"""

from __future__ import annotations

import json
import math
import types
import typing
import zlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache

from ..api import Case, Evidence, Instance, Job, Measurement, Moments, Outcome, Plan, Series

_KINDS: dict[str, type] = {
    cls.__name__: cls for cls in (Case, Evidence, Instance, Job, Measurement, Moments, Outcome, Plan, Series)
}
T = typing.TypeVar("T")
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


_MOST = 2**63 - 1


class CodecError(ValueError):
    """A document that does not have the expected form; the message names the place."""


def _fits(value: int) -> bool:
    """Whether an integer has 64 bits with its sign, as in frames and Parquet."""
    return -_MOST - 1 <= value <= _MOST


def encode(value: object) -> object:
    """Turn a value of `api`, or plain data, into plain JSON data; fields with their default value are left out."""
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$f": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, int) and not _fits(value):
        raise CodecError(f"cannot be stored: an integer of {value.bit_length()} bits; 64 with the sign are the most")
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (tuple, list)):
        return [encode(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        out: dict[str, object] = {"$kind": "Evidence"} if isinstance(value, Evidence) else {}
        for name, default in _defaults(type(value)):
            item = getattr(value, name)
            if item != default:
                out[name] = encode(item)
        return out
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(encode(v) for v in value)  # pyright: ignore[reportArgumentType]  # sets hold strings only
    raise CodecError(f"cannot be stored: {type(value).__name__}")


@cache
def _defaults(cls: type) -> tuple[tuple[str, object], ...]:
    """Fields of a dataclass with their defaults."""
    return tuple((f.name, f.default_factory() if f.default_factory is not MISSING else f.default) for f in fields(cls))


_ENCODER = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def dumps(value: object) -> str:
    """One line of strict ASCII JSON."""
    return _ENCODER.encode(encode(value))


def seal(value: object) -> str:
    """A message: its JSON behind 8 hex digits of its CRC-32, so that damage in transit is detected."""
    text = dumps(value)
    return f"{zlib.crc32(text.encode('ascii')):08x}{text}"


def unseal(message: str) -> object:
    """Plain data from a message.

    Raises:
        CodecError: the message was damaged, or is not JSON.
    """
    digits, text = message[:8], message[8:]
    if digits != f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}":
        raise CodecError("the message was damaged in transit")
    return loads(text)


def loads(text: str | bytes) -> object:
    """Plain data from strict JSON; refuses NaN tokens, duplicate keys and numbers out of range."""

    def no_constant(token: str) -> float:
        raise CodecError(f"the token {token} is not JSON")

    def number(token: str) -> float:
        value = float(token)
        if not math.isfinite(value):
            raise CodecError(f"the number {token[:40]} is out of range")
        return value

    def integer(token: str) -> int:
        if len(token) > 20 or not _fits(value := int(token)):
            raise CodecError(f"the integer {token[:40]} has more than 64 bits")
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
        return json.loads(
            text, parse_constant=no_constant, parse_float=number, parse_int=integer, object_pairs_hook=pairs
        )
    except CodecError:
        raise
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from error


_WEIGHTS = {b"{": 200, b"[": 100, b":": 100, b",": 64}
_SLACK = 16 << 20
_DENSEST = 16
_HEAVIEST = 2 << 30


def check_weight(text: bytes) -> None:
    """Refuse a document that would take far more memory than its size suggests, before it is parsed.

    The estimate is an upper bound: bytes of an object, a list, a member and an item with its container's growth. What
    this program writes takes 5 to 11 times its size.

    Raises:
        CodecError: the estimate is above 16 times the size, or 2 GiB.
    """
    weight = sum(text.count(mark) * cost for mark, cost in _WEIGHTS.items())
    if weight > min(_HEAVIEST, _SLACK + _DENSEST * len(text)):
        raise CodecError(f"{len(text)} bytes hold so many values that reading them could take {weight >> 20} MiB")


def decode(cls: type[T], data: object, *, where: str = "") -> T:
    """Build a value of `api` from plain data, checking every field against its annotation.

    Raises:
        CodecError: a field is unknown, missing, or of the wrong type; the message names its path.
    """
    try:
        return typing.cast("T", _reader(cls)(data))
    except _MisfitError as misfit:
        raise CodecError(f"{where or cls.__name__}{misfit.path}: {misfit.text}") from misfit


class _MisfitError(Exception):
    """Data that does not fit; the path is completed while unwinding, so that fitting data costs nothing extra."""

    def __init__(self, text: str, path: str = "") -> None:
        super().__init__(text)
        self.text, self.path = text, path

    def inside(self, step: str) -> _MisfitError:
        return _MisfitError(self.text, step + self.path)


Reader = Callable[[object], object]


@cache
def _reader(kind: object) -> Reader:
    """The function that checks data against an annotation, made once."""
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_reader(kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union or origin is types.UnionType:
        return _union_reader(args)
    if origin is typing.Literal:
        return _literal_reader(args)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_reader(_reader(args[1]))
    if origin is not None:
        return _list_reader(origin, _reader(args[0]), _plain(args[0]))
    if kind is object:
        return lambda data: data
    return _float_reader if kind is float else _exact_reader(typing.cast("type", kind))


def _dataclass_reader(cls: type) -> Reader:
    hints = typing.get_type_hints(cls)
    readers = {name: _reader(hint) for name, hint in hints.items()}

    def read(data: object) -> object:
        if not isinstance(data, dict):
            raise _MisfitError(f"expected an object, got {_short(data)}")
        if "$kind" in data:
            data = dict(data)
            tag = data.pop("$kind")
            if tag != cls.__name__:
                if not isinstance(tag, str) or tag not in _KINDS or not issubclass(_KINDS[tag], cls):
                    raise _MisfitError(f"unknown kind {_short(tag)}")
                return _reader(_KINDS[tag])(data)
        values: dict[str, object] = {}
        for name, value in data.items():
            if name not in readers:
                raise _MisfitError(f"unknown field {_short(name)}")
            try:
                values[name] = readers[name](value)
            except _MisfitError as misfit:
                raise misfit.inside(f".{name}") from None
        try:
            return cls(**values)
        except TypeError as error:
            raise _MisfitError(str(error)) from error

    return read


def _plain(kind: object) -> frozenset[object]:
    """Types whose values an annotation accepts unchanged: `float` and `None` for `float | None`."""
    args = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return frozenset(args) & {bool, int, float, str, types.NoneType}


def _list_reader(origin: type, read_item: Reader, plain: frozenset[object]) -> Reader:
    def read(data: object) -> object:
        if not isinstance(data, list):
            raise _MisfitError(f"expected a list, got {_short(data)}")
        # Long lists are series of numbers: one check of their types instead of a call for each.
        if plain and plain.issuperset(map(type, data)) and (int not in plain or all(map(_in_range, data))):
            return tuple(data) if origin is tuple else frozenset(data)
        out: list[object] = []
        try:
            out.extend(map(read_item, data))
        except _MisfitError as misfit:
            # `extend` keeps the items before the one that did not fit.
            raise misfit.inside(f"[{len(out)}]") from None
        return tuple(out) if origin is tuple else frozenset(out)

    return read


def _mapping_reader(read_item: Reader) -> Reader:
    def read(data: object) -> object:
        if not isinstance(data, dict):
            raise _MisfitError(f"expected an object, got {_short(data)}")
        out: dict[str, object] = {}
        for key, value in data.items():
            try:
                out[key] = read_item(value)
            except _MisfitError as misfit:
                raise misfit.inside(f".{key}") from None
        return out

    return read


def _union_reader(args: tuple[object, ...]) -> Reader:
    # An exact match first, so that True stays a bool and 1 an int in `bool | int | float | str`.
    exact = frozenset(arg for arg in args if isinstance(arg, type) and not is_dataclass(arg))
    readers = tuple(_reader(arg) for arg in args if arg is not types.NoneType)

    def read(data: object) -> object:
        if type(data) in exact:
            return _limited(data)
        if len(readers) == 1:
            return readers[0](data)
        for reader in readers:
            try:
                return reader(data)
            except _MisfitError:
                continue
        raise _MisfitError(f"{_short(data)} has none of the allowed types")

    return read


def _literal_reader(args: tuple[object, ...]) -> Reader:
    def read(data: object) -> object:
        if data not in args:
            raise _MisfitError(f"{_short(data)} is not one of {', '.join(map(repr, args))}")
        return data

    return read


def _float_reader(data: object) -> object:
    if type(data) is float:
        return data
    if type(data) is int:
        try:
            return float(data)
        except OverflowError:
            raise _MisfitError(f"the number {_short(data)} is out of range") from None
    raise _MisfitError(f"expected float, got {_short(data)}")


def _exact_reader(kind: type) -> Reader:
    def read(data: object) -> object:
        if type(data) is kind:
            return _limited(data)
        raise _MisfitError(f"expected {kind.__name__}, got {_short(data)}")

    return read


def _in_range(data: object) -> bool:
    return type(data) is not int or _fits(data)


def _limited(data: object) -> object:
    if _in_range(data):
        return data
    raise _MisfitError(f"the integer {_short(data)} has more than 64 bits")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
