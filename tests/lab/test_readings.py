"""How a worker learns of registered readings, and how a measured column says under which one it stands."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kexue_bench.api import Case, FamilySpec, Instance, MethodSpec, ReadingSpec, TaskSpec
from kexue_bench.catalog.plugins import PluginRecord
from kexue_bench.catalog.registry import Registry
from kexue_bench.lab.context import Context
from kexue_bench.lab.stages import parse_column
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.store.environment import fingerprint

READINGS = {"plain": "fractions:Fraction"}
TARGET = "kexue_bench.selfcheck.work:Nothing"


def _registry(*, readings=READINGS, kind="record"):
    """One family with a method, a task and readings."""
    specs = {
        FamilySpec: (
            FamilySpec(
                name="toy", title="t", summary="s", contract="c", precision_metric="mse", baseline="m", headline=()
            ),
        ),
        MethodSpec: (MethodSpec(name="m", family="toy", target=TARGET, summary="s"),),
        TaskSpec: (TaskSpec(name="t", family="toy", target=TARGET, summary="s", version=1, kind=kind),),
        ReadingSpec: tuple(
            ReadingSpec(name=name, family="toy", target=target, summary="s") for name, target in readings.items()
        ),
    }
    return Registry([PluginRecord(name="toy", origin="toy", specs=specs)])


def _cases(registry, stage="evaluate"):
    return build_plan(Request(families=("toy",), tasks=("t",), stages=(stage,)), registry).cases


def _case(**options):
    instance = Instance(name="t", target="fractions:Fraction")
    return Case(family="toy", task=instance, task_version=1, method=instance, stage="evaluate", options=options)


def test_readings_of_the_family_travel_in_the_case():
    """Name -> target as JSON, for what is trained, in the stage that measures; part of the key."""
    (case,) = _cases(_registry())
    assert json.loads(case.options["readings"]) == READINGS
    (other,) = _cases(_registry(readings=READINGS | {"more": "decimal:Decimal"}))
    assert other.key != case.key
    assert all("readings" not in case.options for case in _cases(_registry(), stage="time"))


def test_families_without_readings_keep_their_keys():
    """No option is added where nothing is registered, nor to sampling tasks, which train no score."""
    (case,) = _cases(_registry(readings={}))
    assert "readings" not in case.options
    (case,) = _cases(_registry(kind="sampling"))
    assert "readings" not in case.options


def test_the_context_builds_each_reading():
    """Once, without arguments; none where the case names none."""
    ctx = Context(_case(readings=json.dumps(READINGS)))
    assert ctx.readings == {"plain": 0}
    assert ctx.readings is ctx.readings
    assert Context(_case()).readings == {}


@pytest.mark.parametrize("target", ["no_such_module:Rule", "fractions:NoSuchRule", "decimal:Context.nothing"])
def test_a_reading_that_cannot_be_built_is_named(target):
    """The message says which reading and which target."""
    ctx = Context(_case(readings=json.dumps({"odd": target})))
    with pytest.raises(ImportError, match=f"the reading 'odd' cannot be built from '{target}'"):
        _ = ctx.readings


def test_the_code_of_a_reading_is_part_of_the_fingerprint(tmp_path, monkeypatch):
    """Another line in its module: another fingerprint, so that a resume measures again."""
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "a_rule_for_tests.py"
    file.write_text("class Rule:\n    level = 1\n")
    case = _case(readings=json.dumps({"mine": "a_rule_for_tests:Rule"}))
    before = fingerprint(case)
    assert before != fingerprint(replace(case, options={}))
    file.write_text("class Rule:\n    level = 2\n")
    assert fingerprint(case) != before


def test_columns_carry_labels():
    """As tables write them; a bare metric has none."""
    assert parse_column("f1") == ("f1", {})
    assert parse_column("f1[reading=tuned]") == ("f1", {"reading": "tuned"})
    assert parse_column("f1[reading=0.5,weights=raw]") == ("f1", {"reading": "0.5", "weights": "raw"})


@pytest.mark.parametrize("name", ["f1[", "f1[tuned]", "f1[reading=]", "f1[reading=tuned", "f1[]"])
def test_labels_that_are_none_are_refused(name):
    """A ValueError that says how a column is named."""
    with pytest.raises(ValueError, match="a measured column must be named"):
        parse_column(name)
