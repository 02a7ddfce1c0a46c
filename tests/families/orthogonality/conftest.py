"""Contexts, reference values and builders that the tests of this family share."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import installed
import pytest

from kexue_bench.api import Case, Instance
from kexue_bench.catalog.fields import TYPES, fields_of
from kexue_bench.lab.context import Context


@pytest.fixture(autouse=True)
def _as_in_a_worker(one_thread):
    """As a worker runs a case."""


@pytest.fixture
def context():
    """Make a context for a task by name and parameters; keywords go to the case."""

    def make(task="toy", params=None, **case):
        instance = Instance(name=task, target="module:Class", params=params or {})
        method = Instance(name="method", target="module:Class")
        settings = {"family": "orthogonality", "task_version": 1, "stage": "evaluate"} | case
        return Context(Case(task=instance, method=method, **settings))

    return make


@pytest.fixture(scope="session")
def reference():
    """Values of penalties and their gradients; the file states their derivation."""
    return json.loads((Path(__file__).parent / "reference_penalties.json").read_text())


@pytest.fixture(scope="session")
def build():
    """Build a method or a task from its registered name."""
    specs = {spec.name: spec for spec in (*installed.methods("orthogonality"), *installed.tasks("orthogonality"))}

    def make(name, **params):
        module, _, cls = specs[name].target.partition(":")
        kinds = {field.name: TYPES[field.type] for field in fields_of(specs[name])}
        target = getattr(importlib.import_module(module), cls)
        return target(**{key: kinds[key](value) for key, value in params.items()})

    return make
