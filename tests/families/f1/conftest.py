"""Contexts and reference values shared by the tests of this family."""

from __future__ import annotations

import json
from pathlib import Path

import installed
import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.lab.context import Context


@pytest.fixture(autouse=True)
def _as_in_a_worker(one_thread):
    """One thread and no gradients, as in a worker."""
    with torch.no_grad():
        yield


@pytest.fixture
def context():
    """Make a context for a task by name and parameters, with the family's readings; keywords are passed to the case."""
    readings = json.dumps({spec.name: spec.target for spec in installed.readings("f1")})

    def make(task="toy", params=None, options=None, **case):
        instance = Instance(name=task, target="module:Class", params=params or {})
        method = Instance(name="method", target="module:Class")
        settings = {"family": "f1", "task_version": 1, "stage": "evaluate"} | case
        return Context(Case(task=instance, method=method, options={"readings": readings} | (options or {}), **settings))

    return make


@pytest.fixture(scope="session")
def reference():
    """Exact values; the file describes their derivation."""
    return json.loads((Path(__file__).parent / "reference.json").read_text())


@pytest.fixture(scope="session")
def losses():
    """Every registered loss with its default parameters: name -> instance."""
    out = {}
    for spec in installed.methods("f1"):
        module, _, name = spec.target.partition(":")
        out[spec.name] = getattr(__import__(module, fromlist=[name]), name)()
    return out
