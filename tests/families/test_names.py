"""The names of the families: each registers all that it brings, and none takes a name of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry

MODULES = [f"kexue_{name}.plugin" for name in ("averaging", "f1", "gradients", "logdet", "orthogonality", "smoothing")]


@pytest.fixture(scope="module")
def records():
    """The plugins of the project, each loaded by its module, installed or not."""
    return [record for record in load_plugins(MODULES) if record.name.startswith("kexue_")]


def test_no_plugin_of_the_project_loses_a_name(records):
    """Loaded together, none collides with another and none claims what nobody checks."""
    assert len(records) == len(MODULES)
    assert {record.name: record.status for record in records if record.status != "ok"} == {}
    assert Registry(records).problems == {}


def test_a_collision_is_a_problem_of_the_later_plugin(records):
    """What the check above would see: the same plugin under a second name loses every name it brings."""
    logdet = next(record for record in records if record.name == "kexue_logdet")
    problems = Registry([logdet, replace(logdet, name="twin")]).problems
    assert set(problems) == {"twin"}
    assert any("metric 'logdet/entropy-gap'" in text for text in problems["twin"])
