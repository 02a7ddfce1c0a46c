"""options: what is wrong with a plugin is said at once, and a metric is meant in the tables that are named."""

import sys

import pytest

PLUGIN = """
from kexue_bench import FamilySpec, MethodSpec, MetricSpec, TaskSpec, hookimpl

@hookimpl
def kexue_families():
    return [
        FamilySpec(name=name, title=name, summary="", contract="", precision_metric="mse", baseline="m", headline=())
        for name in ("near", "far")
    ]

@hookimpl
def kexue_methods():
    return [MethodSpec(name="m", family="gradient", target="a:B", summary="")]

@hookimpl
def kexue_metrics():
    return [
        MetricSpec(name="wonder", family="near", unit="nats", summary="one"),
        MetricSpec(name="wonder", family="far", direction="higher", summary="another"),
    ]
"""


@pytest.fixture
def odd(tmp_path):
    """A plugin with two families that share the name of a metric, and a method of an unknown family."""
    (tmp_path / "odd.py").write_text(PLUGIN)
    yield "odd.py"
    sys.modules.pop("odd", None)


@pytest.mark.parametrize("command", [("list", "methods"), ("show", "rloo"), ("run", "gradients", "-n")])
def test_every_verb_that_loads_plugins_says_what_is_wrong_with_them(cli, odd, command):
    """On the standard error, with what was meant; the verb goes on."""
    result = cli(*command, "-p", odd)
    assert result.code == 0
    assert result.err.startswith(
        "kexue-bench: plugin odd: method 'm': its family 'gradient' is not registered; did you mean gradients"
    )
    assert "is not registered" not in result.out


def test_a_metric_is_listed_and_shown_for_each_family_that_has_it(cli, odd):
    """A bare name shows every owner, `family/name` one; the core's metrics stand beside those of a family."""
    both = cli("show", "wonder", "-p", odd).out
    assert "metric near/wonder: one" in both
    assert "metric far/wonder: another" in both
    assert "near/wonder" not in cli("show", "far/wonder", "-p", odd).out
    assert "metric time: " in cli("show", "far/time", "-p", odd).out
    rows = [line.split()[:2] for line in cli("list", "metrics", "far", "-p", odd).out.splitlines()]
    assert ["far", "wonder"] in rows
    assert ["near", "wonder"] not in rows
    assert ["every", "time"] in rows


def test_columns_may_name_the_family_they_are_meant_for(cli, odd):
    """Other families keep their own columns; an unknown one is refused with what was meant."""
    cli("run", "gradients", "-t", "bernoulli-toy", "-m", "rloo", "--stage", "evaluate", "--isolation", "none")
    usual = cli("report").out
    assert cli("report", "--columns", "logdet/error", "--sort", "logdet/error").out == usual
    assert cli("report", "--columns", "gradients/bias").out == cli("report", "--columns", "bias").out != usual
    wrong = cli("report", "--columns", "near/wondr", "-p", odd)
    assert wrong.code == 2
    assert "did you mean wonder" in wrong.err
