"""Plausible mistakes, registered by a third-party plugin, fail the checks that `verify` runs."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from kexue_bench.catalog import core_claims as claims
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.lab import stages
from kexue_bench.plan.plan import Request, build_plan

PLUGINS = Path(__file__).parents[2] / "plugins"
BROKEN = {
    "honest": set(),
    "half-gradient": {"gradient-matches-value"},
    "forgotten-diagonal": {"zero-only-on-orthogonal", "right-invariant"},
    "forgotten-absolute": {"zero-only-on-orthogonal", "right-invariant"},
    "wrong-side": {"zero-on-orthogonal"},
    "entrywise": {"right-invariant"},
    "stray-probe": {"gradient-matches-value", "left-invariant", "right-invariant", "own-stream", "repeatable"},
}


@pytest.fixture
def registry(monkeypatch):
    """The family's registry with the mutants in it."""
    monkeypatch.syspath_prepend(PLUGINS)
    yield Registry(load_plugins(["mutants_orthogonality.plugin"]))
    for name in [name for name in sys.modules if name.startswith("mutants_orthogonality")]:
        del sys.modules[name]


def _build(instance):
    module, _, name = instance.target.partition(":")
    return getattr(importlib.import_module(module), name)(**instance.params)


@pytest.mark.parametrize("method", BROKEN)
def test_a_mistake_fails_the_claims_it_breaks_and_no_other(registry, context, method):
    """The verdicts of `verify`: a correct third-party method passes everything."""
    request = Request(
        families=("orthogonality",), methods=(method,), tasks=("gaussian-projection",), stages=("verify",)
    )
    failed = set()
    with torch.no_grad():
        for case in build_plan(request, registry).cases:
            # A random draw per row costs seconds and has its own tests.
            if case.method.name != method or case.claim == "independent-rows":
                continue
            case_context = context(
                case.task.name, dict(case.task.params), options=dict(case.options), stage="verify", of=case.of
            )
            stages.verify(_build(case.task), _build(case.method), case_context)
            (evidence,) = case_context.measurements
            if claims.decide(evidence) == "FAIL":
                failed.add(case.claim)
    assert failed == BROKEN[method]
