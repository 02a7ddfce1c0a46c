"""Plausible mistakes, registered by a third-party plugin, fail the checks that `verify` runs; correct losses pass."""

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
TASK = "minibatch-f1[batch=16]"


@pytest.fixture
def registry(monkeypatch):
    """The family's registry including the mutants."""
    monkeypatch.syspath_prepend(PLUGINS)
    yield Registry(load_plugins(["mutants_f1.plugin"]))
    for name in [name for name in sys.modules if name.startswith("mutants_f1")]:
        del sys.modules[name]


def _build(instance):
    module, _, name = instance.target.partition(":")
    return getattr(importlib.import_module(module), name)(**instance.params)


def _verdict(registry, context, method, claim):
    """The verdict that `verify` prints for one claim of a method."""
    request = Request(families=("f1",), methods=(method,), tasks=(TASK,), stages=("verify",))
    plan = build_plan(request, registry)
    (case,) = [case for case in plan.cases if case.claim == claim]
    ctx = context("minibatch-f1", dict(case.task.params), options=dict(case.options), stage="verify")
    stages.verify(_build(case.task), _build(case.method), ctx)
    (evidence,) = ctx.measurements
    return claims.decide(evidence)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("method", "claim", "verdict"),
    [
        ("batch-dice", "batch-size-invariant", "FAIL"),
        ("batch-dice", "upper-bound(f1)", "FAIL"),
        ("batch-dice", "consistent", "PASS"),
        ("batch-dice", "gradient-matches-value", "PASS"),
        ("smoothed-dice", "neutral-when-empty", "FAIL"),
        ("smoothed-dice", "vertex-exact(f1)", "FAIL"),
        ("detached-focal", "gradient-matches-value", "FAIL"),
        ("plain-entropy", "consistent", "FAIL"),
        ("plain-entropy", "vertex-exact(jaccard)", "FAIL"),
        ("plain-entropy", "batch-size-invariant", "PASS"),
        ("mixing-dice", "stacked", "FAIL"),
        ("unsorted-lovasz", "upper-bound(jaccard)", "FAIL"),
        ("lovasz-hinge", "upper-bound(jaccard)", "PASS"),
        ("eban-bound", "upper-bound(f1)", "PASS"),
        ("soft-f1", "stacked", "PASS"),
        ("soft-f1", "vertex-exact(f1)", "PASS"),
        ("soft-f1", "neutral-when-empty", "PASS"),
        ("lovasz-softmax", "vertex-exact(jaccard)", "PASS"),
        ("lovasz-softmax", "consistent", "PASS"),
        ("global-soft-f1", "batch-size-invariant", "PASS"),
    ],
)
def test_mistakes_fail_and_honest_losses_pass(registry, context, method, claim, verdict):
    """Every claim has its expected verdict; the false-alarm rate is 1e-4 for tests of a mean, 0 for identities."""
    assert _verdict(registry, context, method, claim) == verdict
