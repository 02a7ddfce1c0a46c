"""What a new method or task starts from."""

import ast

import pytest
from installed import registry

from kexue_bench.api import Claimed, Knob, Unless
from kexue_bench.catalog.selectors import parse
from kexue_bench.errors import UsageError
from kexue_bench.scaffold import models
from kexue_bench.testing import kit

FAMILIES = tuple(registry().families)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_method_starts_from_one_that_keeps_everything(family):
    """The baseline where it does; its functions are those of the contract that the class has."""
    spec = registry().families[family]
    model = models.method_model(spec, registry())
    declared = registry().methods[family, model.name]
    assert all(found.ok is not False for found in kit.declared(declared, registry()))
    assert model.functions
    assert model.task in registry().tasks_of(family)
    baseline = registry().methods[family, parse(spec.baseline).name]
    if all(found.ok is not False for found in kit.declared(baseline, registry())):
        assert model.name == baseline.name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_task_starts_from_the_simplest_of_quick(family):
    """A sampled one if there is one, with the functions of its kind."""
    model = models.task_model(registry().families[family], registry())
    tasks = registry().tasks_of(family)
    kinds = {spec.kind for spec in tasks.values() if "quick" in spec.suites}
    assert tasks[model.name].kind == next(kind for kind in models._KINDS if kind in kinds)
    assert "quick" in tasks[model.name].suites
    assert model.functions


def test_a_family_without_a_model_is_refused():
    """There is nothing to start from."""
    from dataclasses import replace

    from kexue_bench.catalog.registry import Registry

    bare = Registry([])
    family = replace(registry().families["gradients"], name="bare")
    with pytest.raises(UsageError, match="can be a model"):
        models.method_model(family, bare)
    with pytest.raises(UsageError, match="can be a model"):
        models.task_model(family, bare)


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        'with "quotes"',
        "back\\slash",
        0.5,
        True,
        ("one",),
        ("one", "two"),
        {"quick": ("a[n=1]",)},
        {f"rule-{i}": (f"a rather long selector, number {i}",) for i in range(9)},
        Claimed(name="unbiased", when="n > 1"),
        Knob(field="n", grid=(1.0, 2.0), scale="linear"),
        (Unless(when="k > 9", because="slow"),),
    ],
    ids=str,
)
def test_a_value_is_written_as_python_reads_it(value):
    """Reading it back gives an equal value."""
    names = {"Claimed": Claimed, "Knob": Knob, "Unless": Unless}
    assert eval(compile(ast.parse(models.python(value), mode="eval"), "", "eval"), names) == value


def test_a_claim_without_a_condition_is_a_plain_word():
    """As our own methods write it."""
    assert models.python((Claimed(name="unbiased"),)) == '("unbiased",)'


@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_of_a_model_has_a_default(family):
    """Also where the spec gives it, so that a new class can be built without arguments."""
    spec = registry().families[family]
    for model in (models.method_model(spec, registry()), models.task_model(spec, registry())):
        assert [field.name for field in model.fields if field.default is None] == []
