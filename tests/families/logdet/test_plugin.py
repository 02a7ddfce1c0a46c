from __future__ import annotations

import dataclasses
import importlib

import installed
import pytest
import torch

from kexue_bench.catalog import selectors
from kexue_bench.catalog.conditions import Scope, amount, holds
from kexue_bench.catalog.fields import fields_of
from kexue_bench.lab.noise import Noise
from kexue_bench.plan.plan import Request, build_plan
from kexue_logdet import Bounds, Operator, plugin
from kexue_logdet.words import NO_TRACE

METHODS, TASKS = installed.methods("logdet"), installed.tasks("logdet")


def load(target):
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("spec", [*METHODS, *TASKS], ids=lambda spec: spec.name)
def test_fields_read_from_source_are_those_of_the_class(spec):
    """`list` reads without torch what the dataclass has: names, defaults, and a line of documentation each."""
    read = fields_of(spec)
    declared = {f.name: f.default for f in dataclasses.fields(load(spec.target)) if f.name not in spec.fixed}
    assert {f.name: dataclasses.MISSING if f.default is None else f.default for f in read} == declared
    assert all(f.doc for f in read)


@pytest.mark.parametrize("spec", TASKS, ids=lambda spec: spec.name)
def test_every_suite_selects_instances_that_exist(spec):
    """Selectors of every suite expand, and each instance can be built."""
    for texts in spec.suites.values():
        for text in texts:
            found = selectors.expand(selectors.parse(text), spec, fields_of(spec))
            assert found
            assert all(load(spec.target)(**instance.params) for instance in found)


def test_headline_and_baseline_exist():
    """Columns are known metrics, the work is counted by the operator, and the baseline runs on every task."""
    family, registry = plugin.FAMILY, installed.registry()
    for name in (*family.headline, family.precision_metric, family.work):
        assert registry.metric("logdet", name) is not None, name
    baseline = next(spec for spec in METHODS if spec.name == family.baseline)
    assert all(baseline.needs <= spec.offers for spec in TASKS)


def spd_case(target, fields):
    """An operator of 100 rows whose bounds are known, and a task that offers it, as cost formulas read it."""
    a = torch.diag(torch.arange(1.0, 101.0, dtype=torch.float64))
    op = Operator.of(a, "spd", bounds=Bounds(low=1.0, high=100.0), target=target).within(budget=480, repeats=2)
    return op, Scope(fields=fields, offers={"spd", "bounded", "trace", "target"}, task={"target": target})


@pytest.mark.parametrize("target", ["logdet", "trace"])
@pytest.mark.parametrize(
    "spec",
    [spec for spec in METHODS if spec.cost and "residual" not in spec.needs and not spec.requires],
    ids=lambda spec: spec.name,
)
def test_the_declared_cost_is_what_is_billed(spec, target):
    """The formula over the fields equals the products of one repeat: 60 at the defaults, or 60 products with log A of 8
    each.
    """
    if (target == "trace") > (NO_TRACE not in spec.unless) or (target == "logdet" and spec.name == "hutchinson"):
        pytest.skip("not a problem of this method")
    method = load(spec.target)()
    op, scope = spd_case(target, dataclasses.asdict(method))
    declared = amount(spec.cost, scope)
    method.estimate(op, 480, Noise.seeded(0, dtype=torch.float64), 2)
    images = target == "logdet" and any(field.name == "vectors" for field in dataclasses.fields(method))
    assert declared == op.spent / 2 == (480 if images else 60)


@pytest.mark.parametrize("spec", [spec for spec in TASKS if "spd" in spec.offers], ids=lambda spec: spec.name)
def test_slq_takes_every_spd_task_and_no_residual_one(spec):
    """Needs and offers settle it without running."""
    slq = next(spec for spec in METHODS if spec.name == "slq")
    assert slq.needs <= spec.offers
    assert not any(slq.needs <= other.offers for other in TASKS if "residual" in other.offers)


def request(method, task, *, stages):
    """One method on one task; the baseline is the method itself, so that nothing joins."""
    return Request(families=("logdet",), methods=(method,), tasks=(task,), baseline=method, suite="full", stages=stages)


def settled(method, task, *, stages):
    """Outcomes that the plan settles."""
    return build_plan(request(method, task, stages=stages), installed.registry()).settled


@pytest.mark.parametrize(
    ("method", "task", "message"),
    [
        ("slq", "spectrum[target=trace]", "estimates log-determinants"),
        ("slq", "spectrum[target=logdet]", None),
        ("slq", "ising", "estimates log-determinants"),
        ("hutchinson", "spectrum[target=logdet]", "estimates traces"),
        ("hutchinson", "spectrum[target=trace]", None),
        ("power-series", "grid-laplacian[bounds=none]", "needs a bound"),
        ("chebyshev", "grid-laplacian[bounds=none]", None),
        ("xtrace", "grid-laplacian[side=16]", "costs 480 products; the task allows 256"),
        ("xtrace", "grid-laplacian[side=32]", None),
        ("exact", "grid-laplacian[side=1000,budget=60]", None),
        ("exact", "rbf-kernel[budget=60]", "costs 569 products"),
        ("exact", "toeplitz[n=1000000]", "at most 16384 rows"),
        ("chebyshev", "grid-gradient", "provides no gradient"),
        ("slq", "grid-gradient", None),
        ("xtrace", "budget-sweep[last=20]", None),
        ("exact", "budget-sweep", "costs 1000 products; the task allows 300"),
        ("slq", "budget-sweep", "the task needs a trace"),
        ("slq", "bidiagonal-gram[target=inverse]", None),
        ("chebyshev", "bidiagonal-gram[target=inverse]", "cannot estimate the trace of an inverse"),
        ("exact", "bidiagonal-gram[n=1000000]", None),
        ("exact", "gram-inverse[n=1000000,target=inverse]", "at most 16384 rows"),
        ("slq[probes=30]", "grid-gradient", "costs 630 products; the task allows 256"),
        ("one-probe-slq[most=9]", "grid-laplacian[budget=60]", "costs 132 products; the task allows 60"),
        ("exact", "image-convolution[side=32,budget=60]", "costs 3072 products; the task allows 60"),
        ("exact", "image-convolution[side=32]", None),
        ("power-series", "image-convolution[side=32,budget=60]", None),
        ("power-series", "residual-block[bounds=none]", None),
        (
            "power-series",
            "density[steps=3000]",
            "3000 steps with 60 products per estimate take too long; use",
        ),
        ("power-series", "density[steps=299]", None),
        ("power-series[degree=10,probes=1]", "density[steps=3000]", None),
        ("russian-roulette", "density[steps=3000]", None),
    ],
)
def test_what_makes_no_sense_is_skipped_with_its_reason(method, task, message):
    """Targets, withheld bounds, budgets and sizes are read from the parameters before anything runs."""
    outcomes = settled(method, task, stages=("evaluate",))
    assert {outcome.status for outcome in outcomes} == (set() if message is None else {"skipped"})
    assert all(message in outcome.reason for outcome in outcomes)


def test_claims_on_an_operator_of_their_own_are_checked_whatever_the_budget():
    """At 10 products slq cannot estimate anything here, but the checks of exactness and sign do not use the task."""
    planned = build_plan(request("slq", "grid-laplacian[budget=10]", stages=("verify",)), installed.registry())
    left_out = {case.claim for case in planned.settled_cases}
    assert "upper-bound" in left_out
    assert {case.claim for job in planned.jobs for case in job.cases} == {"exact-at(steps=n)", "small-determinant"}


def test_the_tasks_of_third_parties_are_left_alone():
    """A rule compares facts; a task without facts makes every comparison false, whatever it offers."""
    offers = frozenset().union(*(spec.offers for spec in TASKS))
    for spec in METHODS:
        for rule in spec.unless:
            fields = {field.name: field.default for field in fields_of(spec)}
            scope = Scope(fields=fields, offers=offers, cost=spec.cost)
            assert not holds(rule.when, scope), (spec.name, rule.when)
