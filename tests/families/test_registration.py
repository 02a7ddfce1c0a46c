from collections import Counter

import pytest

from kexue_bench.analysis.published import figures
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.plan.plan import Request, build_plan


@pytest.fixture(scope="module")
def registry():
    return Registry(load_plugins())


def test_no_first_party_plugin_has_a_problem(registry):
    """No broken import, no name registered twice, no claim that nobody can check."""
    assert {record.name: record.reason for record in registry.records if record.status != "ok"} == {}
    assert registry.problems == {}


def test_every_published_figure_names_a_task_and_a_method(registry):
    """A misspelt selector would silently take the figure off every table."""
    assert figures(registry)[1] == ()


def test_published_figures_have_a_source_and_a_metric(registry):
    """A figure without a source is hearsay, one without a column is never shown."""
    for spec in registry.published.values():
        assert spec.source, spec.name
        assert registry.metric(spec.family, spec.metric.partition("[")[0]) is not None, spec.name


def test_published_figures_are_counted_by_kind(registry):
    """The counts that the documents print: 68 independent numbers, vectors and blind readings, and the rest apart."""
    specs = list(registry.published.values())
    kinds = Counter(spec.kind if spec.blind else "not blind" for spec in specs)
    assert kinds == {"number": 30, "vector": 15, "reading": 23, "not blind": 54, "order": 46}


@pytest.mark.parametrize("suite", ["quick", "standard", "full"])
def test_every_suite_can_be_planned(registry, suite):
    """Every selector of every suite resolves; every method of ours runs somewhere in `full`."""
    request = Request(suite=suite)
    plan = build_plan(request, registry)
    ran = {(case.family, case.method.name) for job in plan.jobs for case in job.cases}
    if suite == "full":
        # A competitor runs where its package is installed, and nowhere else.
        own = {key for key, spec in registry.methods.items() if not spec.requires}
        assert own - ran == set()
    assert plan.jobs
