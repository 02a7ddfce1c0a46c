"""The family of `doctor`: complete, and met by no other verb."""

from __future__ import annotations

import pytest

from kexue_bench.catalog.fields import fields_of
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.errors import UnknownNameError
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.selfcheck.examination import FAMILY, PLUGIN


@pytest.fixture
def registry():
    """What is registered beside the installed families when `doctor` runs."""
    return Registry([record for record in load_plugins([PLUGIN]) if record.load == PLUGIN])


def test_no_other_verb_meets_it():
    """It is not among the installed families, so that its name is unknown."""
    with pytest.raises(UnknownNameError, match="unknown family"):
        build_plan(Request(families=(FAMILY,)), Registry(load_plugins()))


def test_it_registers_without_a_complaint(registry):
    """Every name resolves, every field can be read."""
    assert list(registry.complaints) == []
    assert {spec.name: [f.name for f in fields_of(spec)] for spec in registry.methods.values()} == {
        "spin": ["times", "copy"],
        "null": [],
        "oracle": [],
    }


def test_identical_methods_are_cases_of_their_own(registry):
    """Copies differ in their key, so that each is measured; the first of them is the baseline."""
    request = Request(families=(FAMILY,), methods=("spin[copy=[1,2,3]]",), tasks=("known",), stages=("evaluate",))
    plan = build_plan(request, registry)
    assert len({case.key for case in plan.cases}) == 4
    assert plan.baselines[FAMILY].label == "spin"
