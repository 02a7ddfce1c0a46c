"""Plausible mistakes, registered by a third-party plugin, fail the checks that `verify` runs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from kexue_bench.catalog import core_claims as claims
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.lab import stages
from kexue_bench.plan.plan import Request, build_plan

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture
def registry(monkeypatch):
    """The family's registry with the mutants in it."""
    monkeypatch.syspath_prepend(PLUGINS)
    yield Registry(load_plugins(["mutants_gradients.plugin"]))
    for name in [name for name in sys.modules if name.startswith("mutants_gradients")]:
        del sys.modules[name]


def _build(instance):
    module, _, name = instance.target.partition(":")
    return getattr(importlib.import_module(module), name)(**instance.params)


def _verdict(registry, context, method, task, claim):
    """The verdict of `verify` for one claim of a method on a task."""
    request = Request(families=("gradients",), methods=(method,), tasks=(task,), stages=("verify",))
    plan = build_plan(request, registry)
    (case,) = [case for case in plan.cases if case.method.name == method and case.claim == claim]
    case_context = context(task, dict(case.task.params), options=dict(case.options), stage="verify")
    stages.verify(_build(case.task), _build(case.method), case_context)
    (evidence,) = case_context.measurements
    return claims.decide(evidence)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("method", "verdict"),
    [
        ("rebar-without-slope", "FAIL"),
        ("arm-independent", "FAIL"),
        ("rloo-own-sample", "FAIL"),
        ("rloo-honest", "PASS"),
        ("rebar", "PASS"),
        ("arm", "PASS"),
    ],
)
def test_biased_mutants_fail_and_the_originals_pass(registry, context, method, verdict):
    """On the toy of REBAR. A FAIL of a correct method: 1e-4 each, fixed seed."""
    assert _verdict(registry, context, method, "bernoulli-toy[theta=0.5]", "unbiased") == verdict


def test_mutants_declare_their_true_cost(registry, context):
    """Their mistake is only in the mean: the counted evaluations are the declared ones."""
    for method in ("rebar-without-slope", "arm-independent", "rloo-own-sample"):
        assert _verdict(registry, context, method, "bernoulli-toy[theta=0.5]", "declared-cost") == "PASS"
