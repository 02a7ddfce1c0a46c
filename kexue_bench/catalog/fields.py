"""The hyper-parameters of a spec: the fields of its class in the order of `dataclasses`, read without importing it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..api import MethodSpec, Scalar, TaskSpec
from ..errors import PluginError, UnknownNameError
from .sheets import Attribute, ClassSheet
from .source import Module, module_of

TYPES: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "FilePath": str, "CodePath": str}
PATHS = frozenset({"FilePath", "CodePath"})
"""Types of fields that name a file of the user's; an empty default means none."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A hyper-parameter of a target, read from its source without importing it.

    Args:
        type: `int`, `float`, `str`, `bool`, `FilePath` or `CodePath`.
        default: its literal default; None if it must be given.
        doc: its text in the class docstring's Args.
    """

    name: str
    type: str
    default: Scalar | None
    doc: str = ""


def fields_of(spec: MethodSpec | TaskSpec) -> tuple[Field, ...]:
    """The hyper-parameters of a method or task, read without importing its class.

    These are the fields of the dataclass and of its bases that are dataclasses, in dataclass order, without those that
    the spec fixes, and with the defaults that the spec gives. A field has a plain annotation and a literal default.

    Raises:
        PluginError: the module or class cannot be found, a field cannot be read this way, or the spec's `fixed` or
            `defaults` do not fit the fields.
    """
    declared = declared_fields(spec.target)
    if not spec.fixed and not spec.defaults:
        return declared
    by_name = {field.name: field for field in declared}
    for word, values in (("fixed", spec.fixed), ("defaults", spec.defaults)):
        for name, value in values.items():
            where = f"{word!r} of {spec.name!r}"
            if name not in by_name:
                raise PluginError(str(UnknownNameError(f"field of {spec.target} in {where}", name, by_name)))
            _fitting(value, by_name[name], where)
    if both := [name for name in spec.fixed if name in spec.defaults]:
        raise PluginError(f"the field {both[0]!r} of {spec.name!r} is in both 'fixed' and 'defaults'; leave one out")
    return tuple(
        replace(field, default=_fitting(spec.defaults[field.name], field, "")) if field.name in spec.defaults else field
        for field in declared
        if field.name not in spec.fixed
    )


def fixed_of(spec: MethodSpec | TaskSpec) -> Mapping[str, Scalar]:
    """The values that a spec fixes, each converted to its field's type.

    Raises:
        PluginError: as `fields_of`.
    """
    if not spec.fixed:
        return {}
    by_name = {field.name: field for field in declared_fields(spec.target)}
    fields_of(spec)
    return {name: _fitting(value, by_name[name], "") for name, value in spec.fixed.items()}


def _fitting(value: Scalar, field: Field, where: str) -> Scalar:
    if field.type == "float" and type(value) is int:
        return float(value)
    if type(value) is not TYPES[field.type]:
        raise PluginError(f"the field {field.name!r} in {where} must be of type {field.type}", got=repr(value))
    return value


# -- through the bases ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Known:
    """A class that was found, with its module.

    Args:
        via: modules that re-export it.
    """

    module: Module
    sheet: ClassSheet
    via: tuple[Module, ...] = ()

    def __str__(self) -> str:
        return f"{self.module.name}:{self.sheet.name}"

    @property
    def is_dataclass(self) -> bool:
        """Whether the class itself is decorated as a dataclass."""
        return any(
            self.module.meaning(decorator.name) == "dataclasses.dataclass" for decorator in self.sheet.decorators
        )


_known: dict[str, tuple[tuple[Module, ...], tuple[Field, ...]]] = {}
"""Target -> the modules that its fields were read from, and the fields."""


def declared_fields(target: str) -> tuple[Field, ...]:
    """The fields of `module:Class` as its source declares them; read again only when a source has changed.

    Raises:
        PluginError: as `fields_of`.
    """
    modules, fields = _known.get(target, ((), ()))
    if not modules or any(module_of(module.name).sheet is not module.sheet for module in modules):
        order = _linear(_find(target), ())
        modules = tuple({module.name: module for known in order for module in (known.module, *known.via)}.values())
        fields = _read(order)
        _known[target] = modules, fields
    return fields


def _find(target: str) -> _Known:
    module, _, name = target.partition(":")
    home = module_of(module)
    sheet = home.one(name)
    if sheet is None:
        raise PluginError(f"the target {target!r} names a class that its module lacks", do="write `module:Class`")
    return _Known(module=home, sheet=sheet)


def _read(order: list[_Known]) -> tuple[Field, ...]:
    """The fields of the first class, given its bases in order."""
    owner = order[0]
    docs: dict[str, str] = {}
    for known in reversed(order):
        docs |= known.sheet.documented
    fields = [(known, item) for known, item in _collected(owner, order).values() if "ClassVar" not in item.type]
    mine = {owner.module.name.partition(".")[0], "kexue_bench"}
    for known, item in fields:
        if known.module.name.partition(".")[0] not in mine:
            name = owner.sheet.name
            raise PluginError(
                f"{owner.module.at(owner.sheet.line)}: the base {known} of {name!r} is a dataclass of another package",
                do=f"declare its field {item.name!r} in {name!r} or in a base of this package",
            )
    return tuple(_field(known, item, docs.get(item.name, "")) for known, item in fields)


def _collected(known: _Known, order: list[_Known]) -> dict[str, tuple[_Known, Attribute]]:
    """Annotated names of a class and its bases, each with the class that defines it last, in `dataclasses`' order.

    As in Python, a dataclass takes the fields of each of its bases, inherited ones included; a class that is not
    decorated has those of its nearest base that is. A class without such a base is built by its own `__init__`, and
    its annotations say what that takes.
    """
    nearest = next((base for base in order if base.is_dataclass), known)
    if nearest is not known:
        return _collected(nearest, _linear(nearest, ()))
    found: dict[str, tuple[_Known, Attribute]] = {}
    for base in reversed(order[1:]):
        above = _linear(base, ())
        if any(item.is_dataclass for item in above):
            found |= _collected(base, above)
    return found | {item.name: (known, item) for item in known.sheet.attributes if not _is_marker(item)}


def _is_marker(item: Attribute) -> bool:
    return item.type in {"KW_ONLY", "dataclasses.KW_ONLY"}


def _field(known: _Known, item: Attribute, doc: str) -> Field:
    where = f"{known.module.at(item.line)}: "
    if item.type not in TYPES:
        raise PluginError(
            f"{where}the field {item.name!r} of {known.sheet.name} must be annotated int, float, str, bool, "
            "FilePath or CodePath",
            got=item.type,
        )
    default: Scalar | None = None
    match item.default:
        case None:
            pass
        case ["value", bool() | int() | float() | str() | None as default]:
            pass
        case [*_, str() as text, int()]:
            raise PluginError(
                f"{where}the default of the field {item.name!r} of {known.sheet.name} must be a literal", got=text
            )
        case _:
            raise PluginError(
                f"{where}the default of the field {item.name!r} of {known.sheet.name} must be a literal number, "
                "string or truth value"
            )
    if item.type == "float" and type(default) is int:
        default = float(default)
    return Field(name=item.name, type=item.type, default=default, doc=doc)


def _linear(known: _Known, below: tuple[str, ...]) -> list[_Known]:
    """The class and those of its bases that are found, in Python's method resolution order."""
    if str(known) in below:
        raise PluginError(f"{known.module.at(known.sheet.line)}: the class {known.sheet.name!r} is its own base")
    bases = [base for text in known.sheet.bases if (base := _find_base(known, text)) is not None]
    lines = [_linear(base, (*below, str(known))) for base in bases]
    return [known, *_merged([*lines, bases], known)]


def _merged(lines: list[list[_Known]], owner: _Known) -> Iterator[_Known]:
    """The C3 merge of the orders of several bases."""
    waiting = [line for line in lines if line]
    while waiting:
        for line in waiting:
            head = str(line[0])
            if not any(head == str(later) for other in waiting for later in other[1:]):
                break
        else:
            place = owner.module.at(owner.sheet.line)
            raise PluginError(f"{place}: the bases of {owner.sheet.name!r} have no common order")
        yield line[0]
        waiting = [rest for line in waiting if (rest := [item for item in line if str(item) != head])]


def _find_base(known: _Known, text: str) -> _Known | None:
    """The class that a base names; None if its source is not followed (a Protocol, a compiled class)."""
    local = known.module.one(text)
    return _Known(module=known.module, sheet=local) if local is not None else _follow(known.module.meaning(text))


def _follow(path: str) -> _Known | None:
    """The class of a dotted path, followed through `from ... import`; None if it is not found."""
    seen: set[str] = set()
    via: list[Module] = []
    while path not in seen and path.partition(".")[0] not in sys.stdlib_module_names:
        seen.add(path)
        module, _, name = path.rpartition(".")
        try:
            home = module_of(module)
            sheet = home.one(name)
        except PluginError:
            return None
        if sheet is not None:
            return _Known(module=home, sheet=sheet, via=tuple(via))
        via.append(home)
        path = home.meaning(name, deferred=True)
    return None
