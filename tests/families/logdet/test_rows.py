from __future__ import annotations

import math

import pytest
import torch

from kexue_bench.api import Case, Instance
from kexue_bench.lab import stages
from kexue_bench.lab.context import Context
from kexue_logdet import SLQ, Exact, GridLaplacian, PowerSeries, RBFKernel, ResidualBlock

CASES = [
    (GridLaplacian(side=8), SLQ(steps=10), 30),
    (GridLaplacian(side=8), PowerSeries(), 60),
    (GridLaplacian(side=8), Exact(via="products"), 64),
    (RBFKernel(dataset="iris", sigma2=0.1), SLQ(), 60),
    (ResidualBlock(d=16, budget=60), PowerSeries(), 60),
    (ResidualBlock(d=16), Exact(), 16),
]


def rows(task, method, *, dtype="float64"):
    options = {"precision": 0.05, "budget": 512, "work": "products"}
    if isinstance(method, Exact):
        options["deterministic"] = True
    names = (Instance(name=type(x).__name__, target="m:T") for x in (task, method))
    case = Case(
        family="logdet",
        task=next(names),
        task_version=1,
        method=next(names),
        stage="evaluate",
        dtype=dtype,
        options=options,
    )
    ctx = Context(case)
    with torch.no_grad():
        stages.evaluate(task, method, ctx)
    return {row.metric: row for row in ctx.measurements}


@pytest.mark.parametrize(("task", "method", "products"), CASES)
def test_every_case_has_the_rows_of_the_family(task, method, products):
    """The documented names, products a draw as declared, and work-variance = mse x products."""
    found = rows(task, method)
    assert set(found) >= {"estimate", "bias", "variance", "mse", "error", "products", "memory", "work-variance"}
    assert found["products"].value == products
    assert found["work-variance"].value == pytest.approx(found["mse"].value * products, rel=1e-12)


@pytest.mark.statistical
def test_the_interval_of_the_estimate_holds_the_truth():
    """At tau = 1 and 10 steps the quadrature bias is far below the noise: the 95 % interval, widened to 4 standard
    errors (false alarm 6e-5), holds the closed form, and the variance is a third of the tabled one-probe value within 4
    of its standard errors, sqrt(2 / 511).
    """
    found = rows(GridLaplacian(side=8), SLQ(steps=10))
    estimate, variance = found["estimate"], found["variance"].value
    half = (estimate.high - estimate.low) / 2
    assert abs(estimate.value - 97.5151773062869) < 4 / 1.96 * half
    assert variance == pytest.approx(25.060205927156 / 3, rel=4 * math.sqrt(2 / 511))


@pytest.mark.parametrize("method", [SLQ(steps=10), PowerSeries()])
def test_single_precision_cases_run(method):
    """In float32 the draws are still float64 and the estimate stays within a nat of the float64 one's interval."""
    single, double = rows(GridLaplacian(side=8), method, dtype="float32"), rows(GridLaplacian(side=8), method)
    assert single["estimate"].value == pytest.approx(double["estimate"].value, abs=1.0)
