"""What the desk reads of every registered class is what Python makes of it."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util

import pytest

from kexue_bench.api import MethodSpec
from kexue_bench.catalog.fields import TYPES, fields_of, fixed_of
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry

REGISTRY = Registry(load_plugins())
SPECS = [*REGISTRY.methods.values(), *REGISTRY.tasks.values()]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.family}/{spec.name}")
def test_fields_are_those_of_the_dataclass(spec):
    """Name, type and default in the order of `dataclasses`, without what the declaration holds fast, with its defaults;
    the class takes both, and every field is explained.
    """
    requires = spec.requires if isinstance(spec, MethodSpec) else ""
    if requires and importlib.util.find_spec(requires) is None:
        pytest.skip(f"{requires} is not installed")
    module, _, name = spec.target.partition(":")
    target = getattr(importlib.import_module(module), name)
    read = fields_of(spec)
    declared = {field.name: field for field in dataclasses.fields(target)}
    assert [(field.name, field.type) for field in read] == [
        (name, field.type) for name, field in declared.items() if name not in spec.fixed
    ]
    for field in read:
        default = spec.defaults.get(field.name, declared[field.name].default)
        assert (None if default is dataclasses.MISSING else default) == field.default
        assert field.default is None or type(field.default) is TYPES[field.type]
        assert field.doc
    given = {field.name: field.default for field in read if field.default is not None}
    if len(given) == len(read):
        made = target(**given, **fixed_of(spec))
        assert {name: getattr(made, name) for name in declared} == {**given, **fixed_of(spec)}
