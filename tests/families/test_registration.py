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


def test_published_figures_have_a_source_and_a_range(registry):
    """A figure without a source is hearsay, one without a range cannot fail."""
    for spec in registry.published.values():
        assert spec.source, spec.name
        assert spec.low is not None or spec.high is not None, spec.name
        assert spec.value is not None or spec.statement, spec.name


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
