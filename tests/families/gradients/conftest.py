"""Contexts and the exact moments that the tests of this family share."""

from __future__ import annotations

import json
from pathlib import Path

import installed
import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.catalog.fields import fields_of
from kexue_bench.lab.context import Context


@pytest.fixture(autouse=True)
def _as_in_a_worker(one_thread):
    """One thread and no grad, as a worker runs a case."""
    with torch.no_grad():
        yield


@pytest.fixture
def context():
    """Make a context for a task by name and parameters; keywords go to the case."""

    def make(task="toy", params=None, **case):
        instance = Instance(name=task, target="module:Class", params=params or {})
        method = Instance(name="method", target="module:Class")
        settings = {"family": "gradients", "task_version": 1, "stage": "evaluate"} | case
        return Context(Case(task=instance, method=method, **settings))

    return make


@pytest.fixture(scope="session")
def reference():
    """Exact moments of one call of each method on the toys; the file states their derivation."""
    return json.loads((Path(__file__).parent / "reference.json").read_text())["entries"]


@pytest.fixture(scope="session")
def build():
    """Build a method or a task from its registered name."""
    specs = {spec.name: spec for spec in (*installed.methods("gradients"), *installed.tasks("gradients"))}

    def make(name, **params):
        module, _, cls = specs[name].target.partition(":")
        types = {"bool": bool, "int": int, "float": float, "str": str}
        kinds = {field.name: types[field.type] for field in fields_of(specs[name])}
        target = getattr(__import__(module, fromlist=[cls]), cls)
        return target(**{key: kinds[key](value) for key, value in params.items()})

    return make
