from __future__ import annotations

import dataclasses
import importlib

import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.catalog import selectors
from kexue_bench.catalog.conditions import Scope, amount
from kexue_bench.catalog.fields import fields_of
from kexue_bench.catalog.metrics import CORE_METRICS
from kexue_bench.lab.noise import Noise
from kexue_logdet import Bounds, Operator, plugin
from kexue_logdet.method_specs import TRACES

METHODS = plugin.kexue_methods()
TASKS = plugin.kexue_tasks()
(FAMILY,) = plugin.kexue_families()


def load(target):
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("spec", [*METHODS, *TASKS], ids=lambda spec: spec.name)
def test_fields_read_from_source_are_those_of_the_class(spec):
    """What `list` reads without torch is what the dataclass has: names, defaults, and a line of documentation each."""
    read = fields_of(spec)
    assert {f.name: f.default for f in read} == {f.name: f.default for f in dataclasses.fields(load(spec.target))}
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
    known = {spec.name for spec in (*CORE_METRICS, *plugin.kexue_metrics())}
    assert {*FAMILY.headline, FAMILY.precision_metric, FAMILY.work} <= known
    baseline = next(spec for spec in METHODS if spec.name == FAMILY.baseline)
    assert all(baseline.needs <= spec.offers for spec in TASKS)


def spd_case(target):
    """An operator of 100 rows whose bounds are known, and a task that offers it, as cost formulas read it."""
    a = torch.diag(torch.arange(1.0, 101.0, dtype=torch.float64))
    op = Operator.of(a, "spd", bounds=Bounds(low=1.0, high=100.0), target=target).within(budget=480, repeats=2)
    return op, {"offers": frozenset({"spd", "bounded", "trace", "target"}), "task": {"target": target}}


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
    if (target == "trace") > (spec.name in TRACES) or (target == "logdet" and spec.name == "hutchinson"):
        pytest.skip("not a problem of this method")
    method = load(spec.target)()
    op, scope = spd_case(target)
    declared = amount(spec.cost, Scope(fields=dataclasses.asdict(method), **scope))
    method.estimate(op, 480, Noise.seeded(0, dtype=torch.float64), 2)
    images = target == "logdet" and any(field.name == "vectors" for field in dataclasses.fields(method))
    assert declared == op.spent / 2 == (480 if images else 60)


@pytest.mark.parametrize("spec", [spec for spec in TASKS if "spd" in spec.offers], ids=lambda spec: spec.name)
def test_slq_takes_every_spd_task_and_no_residual_one(spec):
    """Needs against offers says so without running."""
    slq = next(spec for spec in METHODS if spec.name == "slq")
    assert slq.needs <= spec.offers
    assert not any(slq.needs <= other.offers for other in TASKS if "residual" in other.offers)


def skip_reason(method, task, **params):
    """What the plugin says of a case whose other parameters are the defaults."""
    specs = {spec.name: spec for spec in (*METHODS, *TASKS)}
    fields = [{f.name: f.default for f in fields_of(specs[name])} for name in (method, task)]
    instances = [
        Instance(name=name, target=specs[name].target, source="logdet", params=values | overrides)
        for name, values, overrides in zip((method, task), fields, ({}, params), strict=True)
    ]
    case = Case(family="logdet", method=instances[0], task=instances[1], task_version=1, stage="evaluate")
    return plugin.kexue_skip(case)


@pytest.mark.parametrize(
    ("method", "task", "params", "message"),
    [
        ("slq", "spectrum", {"target": "trace"}, "estimates log-determinants"),
        ("slq", "spectrum", {"target": "logdet"}, None),
        ("slq", "ising", {}, "estimates log-determinants"),
        ("hutchinson", "spectrum", {"target": "logdet"}, "estimates traces"),
        ("hutchinson", "spectrum", {"target": "trace"}, None),
        ("power-series", "grid-laplacian", {"bounds": "none"}, "needs a bound"),
        ("chebyshev", "grid-laplacian", {"bounds": "none"}, None),
        ("xtrace", "grid-laplacian", {"side": 16}, "costs 480 products, and the task allows 256"),
        ("xtrace", "grid-laplacian", {"side": 32}, None),
        ("exact", "grid-laplacian", {"side": 1000, "budget": 60}, None),
        ("exact", "rbf-kernel", {"budget": 60}, "costs 569 products"),
        ("exact", "toeplitz", {"n": 10**6}, "at most 16384 rows"),
        ("chebyshev", "grid-gradient", {}, "gives no gradient"),
        ("slq", "grid-gradient", {}, None),
        ("xtrace", "budget-sweep", {"last": 20}, None),
        ("exact", "budget-sweep", {}, "costs 1000 products, and the task allows 300"),
        ("slq", "budget-sweep", {}, "a trace is wanted"),
        ("slq", "bidiagonal-gram", {"target": "inverse"}, None),
        ("chebyshev", "bidiagonal-gram", {"target": "inverse"}, "knows no trace of an inverse"),
        ("exact", "bidiagonal-gram", {"n": 10**6}, None),
        ("exact", "gram-inverse", {"n": 10**6, "target": "inverse"}, "at most 16384 rows"),
        ("slq", "residual-block", {}, None),
    ],
)
def test_what_makes_no_sense_is_skipped_with_its_reason(method, task, params, message):
    """Targets, withheld bounds, budgets and sizes are read from the parameters before anything runs."""
    reason = skip_reason(method, task, **params)
    assert reason is None if message is None else message in reason
