"""Contexts shared by the tests of this family."""

from __future__ import annotations

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
    """Make a context for a task by name; keywords are passed to the case."""

    def make(task="gaussian-fit", params=None, **case):
        instance = Instance(name=task, target="module:Class", params=params or {})
        method = Instance(name="method", target="module:Class")
        settings = {"family": "energy", "task_version": 1, "stage": "evaluate", "dtype": "float64"} | case
        settings.setdefault("options", {"budget": 64})
        return Context(Case(task=instance, method=method, **settings))

    return make
