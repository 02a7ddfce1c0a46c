"""The verdicts of `verify` on correct operators and on mutants that each break one thing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kexue_bench.catalog import core_claims as claims
from kexue_bench.catalog.plugins import load_plugins
from kexue_bench.catalog.registry import Registry
from kexue_bench.lab import stages
from kexue_bench.lab.context import Context
from kexue_bench.plan.plan import Request, build_plan
from kexue_bench.run import worker

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture
def registry(monkeypatch):
    """The family's registry including the mutants."""
    monkeypatch.syspath_prepend(PLUGINS)
    yield Registry(load_plugins(["mutants_smoothing.plugin"]))
    for name in [name for name in sys.modules if name.startswith("mutants_smoothing")]:
        del sys.modules[name]


def _verdicts(registry, method, task):
    """Claim -> verdict, for the claims of this family that a method makes on a task."""
    plan = build_plan(Request(families=("smoothing",), methods=(method,), tasks=(task,), stages=("verify",)), registry)
    found = {}
    for case in (case for job in plan.jobs for case in job.cases):
        check = str(case.options["check"])
        if check.startswith("kexue_smoothing"):
            ctx = Context(case)
            stages.verify(worker.build(case.task), worker.build(case.method), ctx)
            found[case.claim] = claims.decide(ctx.measurements[0])
    return found


@pytest.mark.parametrize(
    ("method", "task", "broken"),
    [
        ("overflowing-logsumexp", "max", {"stable"}),
        ("upper-boltzmann", "max", {"upper-bound", "monotone"}),
        ("loose-softsort", "sort", {"tight-bound"}),
        ("optimistic-softsort", "sort", {"error-bound"}),
        ("detached-entmax", "one-hot", {"gradient-matches-value"}),
        ("slipped-iterative", "top-k", {"hard-limit", "stable"}),
        ("counting-itself", "rank", {"hard-limit"}),
        ("uncapped-top-k", "top-k", {"unit-interval"}),
        ("exact-softmax", "one-hot", {"vertex-exact"}),
        ("monotone-swish", "relu", {"monotone", "upper-bound"}),
        ("lopsided-network", "sort", {"doubly-stochastic", "stable"}),
        ("first-of-all", "max", {"symmetric"}),
    ],
)
def test_a_mutant_fails_what_it_breaks_and_nothing_else(registry, method, task, broken):
    """A mutant fails exactly the claims that it breaks."""
    found = _verdicts(registry, method, task)
    assert {claim: verdict for claim, verdict in found.items() if verdict == "FAIL"} == dict.fromkeys(broken, "FAIL")


@pytest.mark.parametrize(
    ("method", "task"),
    [
        ("softmax", "max"),
        ("logsumexp", "max"),
        ("entmax-max[alpha=1.5]", "max"),
        ("p-norm", "max"),
        ("pair-max", "pair-max"),
        ("soft-argmax[alpha=1.5]", "argmax"),
        ("entmax[alpha=1.25]", "one-hot"),
        ("perturbed[distribution=gumbel]", "one-hot"),
        ("gumbel-softmax", "sample"),
        ("cumax", "cumax"),
        ("lapsum", "top-k"),
        ("sinkhorn-top-k", "top-k"),
        ("softmax", "top-k"),
        ("neuralsort", "sort"),
        ("sorting-network", "sort"),
        ("fast-soft-sort", "sort"),
        ("fast-soft-rank", "rank"),
        ("squareplus", "relu"),
        ("soft-abs", "abs"),
        ("soft-step", "step"),
        ("soft-round", "round"),
        ("softmax", "floor"),
    ],
)
def test_an_honest_operator_passes_all_it_claims(registry, method, task):
    """One or two operators of each kind pass every claim; `verify` runs them all."""
    found = _verdicts(registry, method, task)
    assert set(found.values()) == {"PASS"}
    assert "stable" in found
