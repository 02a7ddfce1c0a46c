"""What the plugin registers is true of what it points to."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import os
import subprocess
import sys

import installed
import pytest

import kexue_gradients
from kexue_bench.api import FITTING
from kexue_bench.catalog import conditions, selectors
from kexue_bench.catalog.conditions import Scope
from kexue_bench.catalog.fields import fields_of
from kexue_bench.catalog.source import docstring_of
from kexue_bench.exports import homes

METHODS = {spec.name: spec for spec in installed.methods("gradients")}
TASKS = {spec.name: spec for spec in installed.tasks("gradients")}
SPECS = {**METHODS, **TASKS}


def test_registration_imports_no_torch():
    """Importing the plugin, with the texts of its loops, and calling its hook leaves torch and targets unloaded."""
    code = (
        "import sys; from kexue_gradients import plugin;"
        "plugin.kexue_specs();"
        "texts = {'kexue_gradients.plugin', 'kexue_gradients.loops'};"
        "own = [m for m in sys.modules if m.startswith('kexue_gradients.') and m not in texts];"
        "print(own + [m for m in sys.modules if m == 'torch'])"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=path)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", SPECS)
def test_fields_read_from_source_are_the_fields(name):
    """Names, defaults and types read by `ast` are those of the class; each is explained in its docstring."""
    module, _, cls = SPECS[name].target.partition(":")
    target = getattr(importlib.import_module(module), cls)
    read = fields_of(SPECS[name])
    declared = [(f.name, f.default) for f in dataclasses.fields(target) if f.name not in SPECS[name].fixed]
    assert [(f.name, dataclasses.MISSING if f.default is None else f.default) for f in read] == declared
    assert all(f.doc for f in read)
    assert docstring_of(SPECS[name].target)
    if all(f.default is not None for f in read):
        assert target() == target()


@pytest.mark.parametrize("name", [n for n in METHODS if METHODS[n].cost])
def test_declared_cost_is_a_number(name):
    """The declared cost evaluates over the method's defaults."""
    fields = {f.name: f.default for f in fields_of(METHODS[name])}
    assert conditions.amount(METHODS[name].cost, Scope(fields=fields)) >= 1


def test_reinmax_claims_no_bias_on_quadratics_only():
    """At temperature 1 on the toys with power 2, and only there."""
    (claim,) = (claim for claim in METHODS["reinmax"].claims if claim.name == "unbiased")

    def holds(task, temperature=1.0, **params):
        fields = {"temperature": temperature}
        return conditions.holds(claim.when, Scope(fields=fields, task=params, offers=TASKS[task].offers))

    assert holds("bernoulli-toy", power=2.0)
    assert holds("categorical-toy", power=2)
    assert not holds("bernoulli-toy", power=3.0)
    assert not holds("bernoulli-toy", temperature=1.3, power=2.0)
    assert not holds("digits-vae-frozen")


def test_needs_are_offered_somewhere():
    """Every word that a method needs is offered by some task, so none is misspelled."""
    offered = frozenset().union(*(spec.offers for spec in TASKS.values()))
    assert frozenset().union(*(spec.needs for spec in METHODS.values())) <= offered


@pytest.mark.parametrize("suite", ["quick", "standard", "full"])
def test_suites_build(suite, build):
    """Every selector of every suite, and every variant, expands to instances that their classes accept."""
    for spec in (*TASKS.values(), *METHODS.values()):
        texts = spec.suites.get(suite, ()) if spec.name in TASKS else (spec.variants or (spec.name,))
        for text in texts:
            selector = selectors.parse(text)
            assert selector.name == spec.name
            for instance in selectors.expand(selector, spec, fields_of(spec)):
                build(spec.name, **instance.params)


@pytest.mark.parametrize("name", [n for n in TASKS if TASKS[n].methods])
def test_methods_that_a_task_lists_exist_and_build(name, build):
    """Every method that a task lists for a suite expands to an instance that its class accepts."""
    for text in (text for texts in TASKS[name].methods.values() for text in texts if text != FITTING):
        selector = selectors.parse(text)
        spec = METHODS[selector.name]
        for instance in selectors.expand(selector, spec, fields_of(spec)):
            build(spec.name, **instance.params)


def test_exports_are_what_they_say():
    """`from kexue_gradients import X` works for each name it lists, and fails with AttributeError for any other."""
    for name in homes(ast.parse(inspect.getsource(kexue_gradients)), "kexue_gradients"):
        assert getattr(kexue_gradients, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        kexue_gradients.Nothing
