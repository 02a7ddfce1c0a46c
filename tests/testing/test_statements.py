"""What the kit reads in declarations, against plugins that were written with one fault each."""

from dataclasses import replace

import installed
import pytest

from kexue_bench.api import FamilySpec
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.testing import kit, statements

FAMILIES = tuple(filter(installed.registry().methods_of, installed.registry().families))


def wrong(findings):
    """Check -> message of the failures."""
    return {found.check: found.message for found in findings if found.ok is False}


def test_an_honest_method_is_in_order(erring):
    """Formula, year, documented field, default on the grid."""
    assert wrong(statements.of_method(erring.methods["erring", "honest"], erring)) == {}


def test_a_method_without_words_is_told_every_one_that_is_missing(erring):
    """Docstring, formula, source and fields; and the default that no tuning would try."""
    found = wrong(statements.of_method(erring.methods["erring", "off-grid"], erring))
    assert set(found) == {"docstring", "knobs"}
    assert found["knobs"] == "put the default 3.0 of 'width' on the grid of its knob (1, 2)"
    assert all(word in found["docstring"] for word in ("formula", "references=", "describe width under Args"))


def test_a_knob_without_a_field_is_named(erring):
    """It would stop the plan of every tuned run."""
    spec = erring.methods["erring", "off-grid"]
    wild = replace(spec, knobs=(replace(spec.knobs[0], field="depth"),))
    assert "'depth' is no field" in wrong(statements.of_method(wild, erring))["knobs"]


def test_a_target_that_cannot_be_read_ends_the_checks(erring):
    """Nothing more is known of it."""
    lost = replace(erring.methods["erring", "honest"], target="erring.methods:Nowhere")
    found = list(statements.of_method(lost, erring))
    assert [each.check for each in found] == ["target"]
    assert "erring.methods:Nowhere" in found[0].message


def test_work_without_a_declared_cost_is_left_undecided():
    """The counted work of `exact` depends on the task, so that no expression in its fields gives it."""
    registry = Registry(load_plugins())
    (cost,) = [f for f in statements.of_method(registry.methods["gradients", "exact"], registry) if f.check == "cost"]
    assert cost.ok is None
    assert "evaluations" in cost.message


@pytest.mark.parametrize(
    ("task", "checks"), [("numbers", set()), ("fickle", {"suites"}), ("empty", {"suites", "docstring"})]
)
def test_tasks_need_a_suite_and_a_word_on_their_truth(erring, task, checks):
    """Without a suite nobody runs it."""
    assert set(wrong(statements.of_task(erring.tasks["erring", task], erring))) == checks


def test_a_family_names_what_exists(erring):
    """Baseline, metrics, a task in quick, title and summary; the registered families have all of it."""
    for spec in erring.families.values():
        assert wrong(statements.of_family(spec, erring)) == {}
    bare = FamilySpec(
        name="bare", title="", summary="s", contract="", precision_metric="wonder", baseline="none", headline=("mse",)
    )
    found = wrong(statements.of_family(bare, erring))
    assert set(found) == {"baseline", "metrics", "suites", "words"}
    assert "register wonder" in found["metrics"]


def test_a_plugin_that_imports_torch_to_register_is_told_so(tmp_path, monkeypatch, erring):
    """Every verb would wait for it; the light ones are in order."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "heavy_registered.py").write_text(
        "import numpy\nfrom kexue_bench import hookimpl\n@hookimpl\ndef kexue_specs(): return []\n"
    )
    registry = Registry(load_plugins(["heavy_registered", "erring.plugin"]))
    records = {record.name: record for record in registry.records}
    assert "imports numpy" in wrong(statements.of_plugin(records["heavy_registered"], registry))["import-cost"]
    assert wrong(statements.of_plugin(records["erring"], registry)) == {}


def test_a_family_that_counts_no_calls_asks_for_no_cost():
    """No method of `orthogonality` declares one, and f1 has no counter: nothing is left undecided."""
    registry = Registry(load_plugins())
    for key in (("orthogonality", "soft"), ("f1", "bce")):
        (cost,) = [found for found in statements.of_method(registry.methods[key], registry) if found.check == "cost"]
        assert (cost.ok, cost.message) == (True, "not counted by this family")


@pytest.mark.parametrize("family", FAMILIES)
def test_our_own_families_keep_what_the_kit_asks_of_others(family):
    """Docstrings with formula and source, contracts, knobs, copies: every declaration and an object of each."""
    registry = installed.registry()
    specs = [*registry.methods_of(family).values(), *registry.tasks_of(family).values()]
    found = [*statements.of_family(registry.families[family], registry)]
    found += [each for spec in specs for each in kit.declared(spec, registry)]
    assert [str(each) for each in found if each.ok is False] == []
    assert len(found) > 5 * len(specs)
