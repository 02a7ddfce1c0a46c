from __future__ import annotations

import dataclasses
import importlib

import pytest
import torch

from kexue_bench import selectors
from kexue_bench.lab.context import Noise
from kexue_bench.metrics import CORE_METRICS
from kexue_bench.registry import fields_of
from kexue_logdet import Bounds, Operator, plugin

METHODS = plugin.kexue_methods()
TASKS = plugin.kexue_tasks()
(FAMILY,) = plugin.kexue_families()


def load(target):
    module, name = target.split(":")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("spec", [*METHODS, *TASKS], ids=lambda spec: spec.name)
def test_fields_read_from_source_are_those_of_the_class(spec):
    """What `list` reads without torch is what the dataclass has: names, defaults, and a line of documentation each."""
    read = fields_of(spec.target)
    assert {f.name: f.default for f in read} == {f.name: f.default for f in dataclasses.fields(load(spec.target))}
    assert all(f.doc for f in read)


@pytest.mark.parametrize("spec", TASKS, ids=lambda spec: spec.name)
def test_every_suite_selects_instances_that_exist(spec):
    """Selectors of every suite expand, and each instance can be built."""
    for texts in spec.suites.values():
        for text in texts:
            found = selectors.expand(
                selectors.parse(text),
                name=spec.name,
                target=spec.target,
                source="logdet",
                fields=fields_of(spec.target),
                kind="task",
            )
            assert found
            assert all(load(spec.target)(**instance.params) for instance in found)


def test_headline_and_baseline_exist():
    """Columns are known metrics, the work is counted by the operator, and the baseline runs on every task."""
    known = {spec.name for spec in (*CORE_METRICS, *plugin.kexue_metrics())}
    assert {*FAMILY.headline, FAMILY.precision_metric, FAMILY.work} <= known
    baseline = next(spec for spec in METHODS if spec.name == FAMILY.baseline)
    assert all(baseline.needs <= spec.offers for spec in TASKS)


@pytest.mark.parametrize("spec", [spec for spec in METHODS if spec.cost], ids=lambda spec: spec.name)
def test_the_declared_cost_is_what_is_billed(spec):
    """The formula over the fields equals the products of one repeat; both defaults are 60, so a call is a fair pair."""
    method = load(spec.target)()
    declared = eval(spec.cost, {}, dataclasses.asdict(method))
    a = torch.diag(torch.arange(1.0, 101.0, dtype=torch.float64))
    op = Operator.of(a, "spd", bounds=Bounds(high=100.0)).within(budget=100, repeats=2)
    method.estimate(op, 100, Noise.seeded(0, dtype=torch.float64), 2)
    assert declared == op.spent / 2 == 60


def test_slq_is_unsupported_on_residual_operators_at_plan_time():
    """Needs against offers says so without running: spd tasks take it, residual ones do not."""
    slq = next(spec for spec in METHODS if spec.name == "slq")
    assert [spec.name for spec in TASKS if slq.needs <= spec.offers] == ["grid-laplacian", "rbf-kernel"]
