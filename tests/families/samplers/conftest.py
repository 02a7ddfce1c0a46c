"""Contexts as a worker makes them."""

from __future__ import annotations

import pytest

from kexue_bench.api import Case, Instance
from kexue_bench.lab.context import Context


@pytest.fixture
def context():
    """Make a context of the family; keywords are passed to the case."""

    def make(task="gaussian", **case):
        instance = Instance(name=task, target="module:Class", params={})
        method = Instance(name="method", target="module:Class")
        settings = {"family": "samplers", "task_version": 1, "stage": "verify", "dtype": "float64"} | case
        return Context(Case(task=instance, method=method, **settings))

    return make
