"""Constraints keep what they claim, and plausible mistakes are caught by the same checks."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import installed
import pytest
import torch

from kexue_bench.catalog import core_claims as claims
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.lab import stages
from kexue_bench.plan.plan import Request, build_plan

PLUGINS = Path(__file__).parents[2] / "plugins"
TASK = "gaussian-projection"
OURS = [
    "parametrization[map=[cayley,matrix_exp,householder]]",
    "newton-schulz[degree=[3,5]]",
    "bjorck",
    "polar-express",
    "riemannian-sgd[retraction=[qr,polar]]",
    "landing",
    "polar-projection[every=[1,10]]",
]
CHECKS = {
    "keeps-determinant",
    "one-lipschitz",
    "stays-on-manifold",
    "stays-within-radius",
    "converges-to-polar",
}


@pytest.fixture
def registry(monkeypatch):
    """The family's registry with the mutants in it."""
    monkeypatch.syspath_prepend(PLUGINS)
    yield Registry(load_plugins(["mutants_orthogonality_maps.plugin"]))
    for name in [name for name in sys.modules if name.startswith("mutants_orthogonality_maps")]:
        del sys.modules[name]


def built(instance):
    module, _, name = instance.target.partition(":")
    return getattr(importlib.import_module(module), name)(**instance.params)


def verdicts(registry, context, method):
    """(method, claim) -> verdict of `verify` for the claims of this module."""
    request = Request(families=("orthogonality",), methods=(method,), tasks=(TASK,), stages=("verify",))
    found = {}
    for case in build_plan(request, registry).cases:
        if case.claim not in CHECKS:
            continue
        ctx = context(
            TASK, dict(case.task.params), options=dict(case.options), stage="verify", dtype="float64", of=case.of
        )
        with torch.no_grad():
            stages.verify(built(case.task), built(case.method), ctx)
        (evidence,) = ctx.measurements
        found[case.method.plain, case.claim] = claims.decide(evidence)
    return found


@pytest.mark.parametrize("method", OURS)
def test_ours_keep_every_claim(registry, context, method):
    """Every declared claim, at the defaults and at the fields that matter."""
    found = verdicts(registry, context, method)
    assert found
    assert set(found.values()) == {"PASS"}, found


@pytest.mark.parametrize(
    ("mutant", "claim"),
    [
        ("unsigned-qr", "keeps-determinant"),
        ("no-retraction", "stays-on-manifold"),
        ("unsafe-landing", "stays-within-radius"),
        ("restless-polynomial", "converges-to-polar"),
        ("power-scaled", "one-lipschitz"),
    ],
)
def test_mutants_break_the_claim_they_were_made_to_break(registry, context, mutant, claim):
    """A check that cannot fail is a defect: each has a plausible mistake that it catches."""
    assert verdicts(registry, context, mutant) == {(mutant, claim): "FAIL"}


def test_every_claim_is_made_by_a_method():
    """Every check has a method."""
    assert {claim.name for spec in installed.methods("orthogonality") for claim in spec.claims} >= CHECKS
