"""Which methods the tasks of the family leave out, and that our rules never leave out methods of third parties."""

from __future__ import annotations

import sys
from pathlib import Path

import installed
import pytest

from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.plan import screen
from kexue_bench.plan.plan import Request, build_plan

PLUGINS = Path(__file__).parents[2] / "plugins"
METHODS = {spec.name for spec in installed.methods("orthogonality")}
POLYNOMIALS = {"muon", "newton-schulz", "bjorck", "polar-express"}
FLOAT32 = {"orthogonium-bjorck"}
SKIPPED = {
    "projection": FLOAT32 | {"muon"},
    "hard-projection": FLOAT32 | {"muon"},
    "gaussian-projection": FLOAT32 | {"muon"},
    "frames": FLOAT32 | {"muon"},
    "convolution": FLOAT32 | {"muon"},
    "procrustes": FLOAT32,
    "eigenvectors": FLOAT32,
    "deep-linear": FLOAT32,
    "som-estimates": FLOAT32,
    "sign-iteration": METHODS - POLYNOMIALS - {"som"},
    "convolution-spectrum": METHODS - {"none", "som"},
    "digits-mlp": set(),
    "digits-mlp-large": set(),
    "digits-cnn": set(),
    "deep-mlp": set(),
    "copy-memory": set(),
}
REASONS = {
    ("soft", "sign-iteration"): "is not a sequence of polynomials of singular values",
    ("soft", "convolution-spectrum"): "takes no part in how convolutions are measured",
    ("orthogonium-bjorck", "sign-iteration"): "is not a sequence of polynomials of singular values",
    ("orthogonium-bjorck", "procrustes"): "computes in float32 only",
    ("muon", "frames"): "makes updates orthogonal, and without a loss there are none",
}


@pytest.fixture(autouse=True)
def _complete(monkeypatch):
    """As if every package were installed: the rules are those of a machine that has them."""
    monkeypatch.setattr(screen, "absent", lambda spec: "")


def planned(registry, task, **request):
    """Method -> (status, reason) where it is settled at plan time, with every method of the family asked for."""
    plan = build_plan(
        Request(
            families=("orthogonality",),
            methods=("*",),
            tasks=(task,),
            suite="standard",
            stages=("evaluate",),
            **request,
        ),
        registry,
    )
    settled = {outcome.key: outcome for outcome in plan.settled}
    return {case.method.name: (settled[case.key].status, settled[case.key].reason) for case in plan.settled_cases}


@pytest.mark.parametrize("task", SKIPPED)
def test_methods_are_skipped_where_they_make_no_sense(task):
    """Status `skipped`; whatever else is settled lacks a word that the task would have to offer."""
    found = planned(installed.registry(), task)
    assert {name for name, (status, _) in found.items() if status == "skipped"} == SKIPPED[task]
    assert {name for name, (status, _) in found.items() if status != "skipped"} <= {"som"}


@pytest.mark.parametrize(("method", "task"), REASONS)
def test_the_reason_says_what_the_method_lacks(method, task):
    """The first rule that holds gives the reason."""
    assert planned(installed.registry(), task)[method] == ("skipped", REASONS[method, task])


def test_a_method_of_single_precision_runs_in_it():
    """The rule asks for the dtype of the case, not for that of the task."""
    assert "orthogonium-bjorck" not in planned(installed.registry(), "procrustes", dtype="float32")


def test_methods_of_third_parties_are_not_skipped(monkeypatch):
    """Our rules are declared on our methods: a third party declares what its own methods fit."""
    monkeypatch.syspath_prepend(PLUGINS)
    registry = Registry(load_plugins(["mutants_orthogonality_maps.plugin"]))
    for name in [name for name in sys.modules if name.startswith("mutants_orthogonality_maps")]:
        del sys.modules[name]
    theirs = {name for _, name in registry.methods} - METHODS
    assert "restless-polynomial" in theirs
    for task in ("sign-iteration", "convolution-spectrum", "projection"):
        assert not theirs & set(planned(registry, task))
