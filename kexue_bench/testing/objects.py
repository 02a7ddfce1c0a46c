"""What an object of a method or a task must be able to do, before any of it is measured."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import pickle
from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, get_args

from ..api import MethodSpec, TaskSpec
from ..catalog.fields import fields_of, fixed_of
from ..plan.kinds import refusal
from .findings import Finding, finding


def target(text: str) -> Any:
    """The class or Protocol that `module:Name` names."""
    module, _, name = text.partition(":")
    return reduce(getattr, name.split("."), importlib.import_module(module))


def build(spec: MethodSpec | TaskSpec) -> object:
    """An object of a spec with its defaults."""
    defaults = {field.name: field.default for field in fields_of(spec)}
    return target(spec.target)(**defaults, **fixed_of(spec))


def of_method(method: object, contract: str, subject: str) -> Iterator[Finding]:
    """Contract, frozen fields, pickling and deepcopy of a method.

    Args:
        contract: that of its family; of a union, the Protocol of which it lacks least.
    """
    faults = [list(_broken(method, part)) for part in parts(target(contract))]
    yield finding("contract", subject, *min(faults, key=len))
    yield from _value(method, subject)


def of_task(task: object, spec: TaskSpec, subject: str) -> Iterator[Finding]:
    """The functions of its kind, frozen fields, pickling and deepcopy of a task."""
    yield finding("contract", subject, refusal(spec.kind, task))
    yield from _value(task, subject)


def _value(thing: object, subject: str) -> Iterator[Finding]:
    frozen = dataclasses.is_dataclass(thing) and thing.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]  # every dataclass has it
    yield finding("frozen", subject, "" if frozen else "write @dataclass(frozen=True, kw_only=True) above the class")
    yield finding("pickling", subject, _lost(thing, lambda: pickle.loads(pickle.dumps(thing))))  # noqa: S301  # its own bytes
    yield finding("deepcopy", subject, _lost(thing, lambda: copy.deepcopy(thing)))


def _lost(thing: object, duplicate: Callable[[], object]) -> str:
    """What a copy lacks; empty if it equals the original."""
    try:
        twin = duplicate()
    except Exception as error:  # noqa: BLE001  # a third-party object may raise anything
        return f"{type(error).__name__}: {error}; define the class at the top of its module, with plain fields"
    if type(twin) is not type(thing) or _fields(twin) != _fields(thing):
        return f"the copy differs: {_fields(twin)}; keep nothing but the fields"
    return ""


def _fields(thing: object) -> dict[str, object]:
    if not dataclasses.is_dataclass(thing):
        return dict(getattr(thing, "__dict__", {}))
    return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}


def _broken(method: object, contract: type) -> Iterator[str]:
    """What a method lacks of the Protocol of its family."""
    for name, promised in members(contract):
        own = getattr(method, name, None)
        if own is None:
            yield f"write `{name}`, as {contract.__name__} in {contract.__module__} has it"
        elif callable(promised) and not callable(own):
            yield f"`{name}` must be a function, got {type(own).__name__}"
        elif callable(promised):
            yield _misfit(name, promised, own)


def parts(contract: Any) -> tuple[type, ...]:
    """The Protocols of a union, one of which a method must fulfil; a Protocol alone is its only part."""
    return get_args(contract) or (contract,)


def members(contract: type) -> Iterator[tuple[str, object]]:
    """Public functions, properties and annotated names of a Protocol and of those that it extends."""
    for part in reversed(contract.__mro__):
        if getattr(part, "_is_protocol", False):
            names = dict.fromkeys([*vars(part).get("__annotations__", ()), *vars(part)])
            yield from ((name, vars(part).get(name)) for name in names if not name.startswith("_"))


def _misfit(name: str, promised: Callable[..., object], own: Callable[..., object]) -> str:
    """Why a function cannot be called as the contract says; empty if it can."""
    _, *wanted = inspect.signature(promised).parameters.values()
    positional = [item.name for item in wanted if item.kind in {item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD}]
    keywords = {item.name: None for item in wanted if item.kind is item.KEYWORD_ONLY}
    try:
        inspect.signature(own).bind(*positional, **keywords)
    except TypeError as error:
        return f"`{name}` must take ({', '.join(item.name for item in wanted)}): {error}"
    return ""
