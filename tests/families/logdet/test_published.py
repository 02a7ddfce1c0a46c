"""The problems behind published figures, and that each figure names an instance some suite runs."""

from __future__ import annotations

import math

import installed
import numpy as np
import pytest
import torch
from scipy import special

from kexue_bench.analysis.published import resolve
from kexue_bench.api import Case, Instance
from kexue_bench.catalog.fields import fields_of
from kexue_bench.catalog.selectors import expand, parse, same
from kexue_bench.lab.context import Context
from kexue_bench.lab.noise import Noise
from kexue_logdet import SLQ, Bounds, Exact, Hutchinson, HutchPP, NAHutchPP, Operator, PowerSeries, XNysTrace, XTrace
from kexue_logdet.methods import slq
from kexue_logdet.tasks.bidiagonal_gram import BidiagonalGram
from kexue_logdet.tasks.budget_sweep import BudgetSweep, resized

PUBLISHED = tuple(spec for (family, _), spec in installed.registry().published.items() if family == "logdet")
IMATE = [spec for spec in PUBLISHED if spec.name.startswith("imate")]
DILOGARITHM = 0.2676526390827326
"""Li_2(1/4)."""


def seeded(seed=0):
    return Noise.seeded(seed, dtype=torch.float64)


def measured(task, method):
    """Rows of a sweep: the whole case's by metric, the curve's by point, and the reference's by point."""
    task_, method_ = Instance(name="t", target="m:T"), Instance(name="m", target="m:M")
    case = Case(family="logdet", task=task_, task_version=1, method=method_, stage="evaluate", dtype="float64")
    ctx = Context(case)
    with torch.no_grad():
        task.evaluate(method, ctx)
    rows = ctx.measurements
    return (
        {m.metric: m for m in rows if m.point is None},
        {m.point: m for m in rows if m.point is not None and not m.labels},
        {m.point: m.value for m in rows if m.point is not None and m.labels},
    )


# -- the gram matrix --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "a", "b"), [(2, 2.0, 1.0), (17, 3.0, -1.3), (30, 0.7, 0.2)])
def test_the_gram_matrix_is_its_definition(n, a, b):
    """B^T B formed densely: products, entries, eigenvalues within the bounds, log-determinant and trace of inverse."""
    factor = a * torch.eye(n, dtype=torch.float64) + b * torch.diag(torch.ones(n - 1, dtype=torch.float64), 1)
    dense = factor.mT @ factor
    task = BidiagonalGram(n=n, diagonal=a, upper=b)
    op = task.operator()
    torch.testing.assert_close(op.dense(), dense, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(torch.tensor(task.matrix().toarray()), dense, rtol=1e-13, atol=1e-13)
    values = torch.linalg.eigvalsh(dense)
    assert op.bounds.low <= float(values[0])
    assert float(values[-1]) <= op.bounds.high
    assert task.truth() == pytest.approx(float(dense.logdet()), rel=1e-12)
    inverse = BidiagonalGram(n=n, diagonal=a, upper=b, target="inverse")
    assert inverse.truth() == pytest.approx(float(torch.linalg.inv(dense).trace()), rel=1e-12)
    assert float(Exact().estimate(inverse.operator(), n, seeded(), 1).value) == pytest.approx(inverse.truth())


def test_the_printed_size_has_the_printed_inverse():
    """It is n / 3 - 1 / 9 at n = 65,536: 21845.22."""
    assert BidiagonalGram(n=65536, target="inverse").truth() == pytest.approx(65536 / 3 - 1 / 9, rel=1e-14)


@pytest.mark.parametrize("target", ["logdet", "inverse"])
def test_the_spread_of_a_run_has_its_closed_form(target):
    """One Rademacher probe at n = 400 by the dense f(G): 4 Li_2(1/4) n and 4 n / 27 within the O(1) of the ends."""
    n = 400
    values, vectors = torch.linalg.eigh(BidiagonalGram(n=n).operator().dense())
    f = (vectors * (values.log() if target == "logdet" else 1 / values)) @ vectors.mT
    exact = 2 * float(f.square().sum() - f.diagonal().square().sum())
    want = 4 * DILOGARITHM * n if target == "logdet" else 4 * n / 27
    assert exact == pytest.approx(want, rel=0.01)
    assert pytest.approx(float(special.spence(0.75)), rel=1e-12) == DILOGARITHM


# -- the trace of an inverse ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lap1d6", "kms6", "lehmer6"])
def test_slq_of_an_inverse_over_all_sign_vectors(name, matrix, signs, dealt):
    """For k = 1..6 Gauss <= v^T A^-1 v <= Radau, vector by vector; at k = n the mean is tr A^-1 by numpy's inverse."""
    inverse = torch.linalg.inv(matrix[name])
    form = (signs @ inverse * signs).sum(1)
    low = float(torch.linalg.eigvalsh(matrix[name])[0]) * (1 - 1e-9)
    op = Operator.of(matrix[name], "spd", target="inverse", bounds=Bounds(low=low, provenance="exact"))
    for steps in range(1, 7):
        sample = SLQ(steps=steps, probes=1).estimate(op, 6, dealt(signs), 64)
        assert sample.bracket is not None
        below, above = sample.bracket
        assert bool((below <= form + 1e-9).all() and (form <= above + 1e-9).all())
    assert float(sample.value.mean()) == pytest.approx(float(inverse.trace()), rel=1e-10)


@pytest.mark.parametrize("method", [HutchPP, NAHutchPP, XTrace, XNysTrace])
def test_low_rank_methods_estimate_the_trace_of_an_inverse(method):
    """Six eigenvalues far below the others dominate A^-1: with 40 steps the trace is found to 2 %."""
    values = torch.cat([torch.full((6,), 1e-3), torch.linspace(5.0, 9.0, 54)]).double()
    q = torch.linalg.qr(seeded(3).normal(60, 60)).Q
    op = Operator.of((q * values) @ q.mT, "spd", target="inverse")
    sample = method(vectors=48, steps=40).estimate(op, 48 * 40, seeded(1), 3)
    assert sample.value.tolist() == pytest.approx([float((1 / values).sum())] * 3, rel=0.02)


def test_methods_that_know_no_inverse_say_so():
    """Neither method returns another quantity instead."""
    op = BidiagonalGram(n=20, target="inverse").operator()
    for method in (PowerSeries(), Hutchinson()):
        with pytest.raises(ValueError, match="got the target 'inverse'"):
            method.estimate(op, 100, seeded(), 1)


# -- probes block by block --------------------------------------------------------------------------------------------


class Kept:
    """A stream that records its draws."""

    def __init__(self):
        self.source, self.dealt = seeded(4), []

    def rademacher(self, *shape):
        self.dealt.append(self.source.rademacher(*shape))
        return self.dealt[-1]


@pytest.mark.parametrize("numbers", [1, 30, 10**6])
def test_blocks_of_probes_make_one_estimate(numbers, matrix, monkeypatch):
    """However the five probes of two repeats are split, each repeat is the mean over its own, with its error bar."""
    monkeypatch.setattr(slq, "BLOCK", {"cpu": numbers})
    kept = Kept()
    op = Operator.of(matrix["kms6"], "spd").within(budget=30, repeats=2)
    sample = SLQ(steps=6, probes=5).estimate(op, 30, kept, 2)
    v = torch.cat(kept.dealt, dim=1)
    values, vectors = torch.linalg.eigh(matrix["kms6"])
    form = ((v @ vectors).square() * values.log()).sum(-1)
    torch.testing.assert_close(sample.value, form.mean(1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(sample.stderr, form.std(1) / 5**0.5, rtol=1e-10, atol=1e-12)
    assert op.spent == 60


# -- budget sweeps ----------------------------------------------------------------------------------------------------


def test_the_grids_of_budgets():
    """Multiples, or powers of two; budgets that the grid does not reach are refused."""
    assert BudgetSweep().budgets() == list(range(20, 301, 20))
    assert BudgetSweep(first=30, last=480, grid="doubling").budgets() == [30, 60, 120, 240, 480]
    with pytest.raises(ValueError, match="last must be reached from 30"):
        BudgetSweep(first=30, last=470, grid="doubling")
    with pytest.raises(ValueError, match="trials must be a multiple of 10"):
        BudgetSweep(trials=25)
    with pytest.raises(ValueError, match="first must be even"):
        BudgetSweep(first=5)


@pytest.mark.parametrize("method", [Hutchinson(), HutchPP(), NAHutchPP(), XTrace(), XNysTrace()])
def test_a_sweep_spends_its_budget_to_the_product(method):
    """What `resized` makes of 34 products costs 34."""
    op = Operator.of(torch.diag(torch.linspace(1, 2, 90, dtype=torch.float64)), "spd", target="trace")
    metered = op.within(budget=34, repeats=2)
    resized(method, 34).estimate(metered, 34, seeded(), 2)
    assert metered.spent == 68


def test_a_method_without_a_size_is_refused():
    """A dense factorization has no budget to set."""
    with pytest.raises(ValueError, match="got Exact with neither"):
        resized(Exact(), 20)


@pytest.mark.statistical
def test_hutchinson_follows_its_closed_curve():
    """On 0.9^i, n = 200, 800 trials: every mean error within 4 standard errors of sqrt(2 / pi) sigma / (sqrt(m) tr A),
    sigma the sphere's (the tabled formula), and the slope -1/2 within 4 of its own (false alarm below 1e-3 together).
    """
    task = BudgetSweep(n=200, first=40, last=160, grid="doubling", trials=800)
    whole, curve, known = measured(task, Hutchinson())
    values = 0.9 ** torch.arange(200, dtype=torch.float64)
    sigma = math.sqrt(2 * 200 / 202 * float(values.square().sum() - values.sum() ** 2 / 200))
    for m, row in curve.items():
        want = math.sqrt(2 / math.pi / m) * sigma / float(values.sum())
        assert known[m] == pytest.approx(want, rel=1e-9)
        assert row.value == pytest.approx(want, abs=4 / 1.96 * (row.high - row.low) / 2)
    rate = whole["rate"]
    assert rate.value == pytest.approx(-0.5, abs=4 / 1.96 * (rate.high - rate.low) / 2)
    assert whole["relative-error"].value == curve[160].value


@pytest.mark.statistical
def test_the_thresholds_of_a_step():
    """On 50 ones and 950 times 1e-8 XTrace finds the step above 100 products and not below, XNysTrace above 50 and not
    below, Hutch++ above 150: errors differ by at least 1e4 across each, so that 20 trials suffice.
    """
    for method, last, threshold in ((XTrace(), 120, 100), (XNysTrace(), 60, 50), (HutchPP(), 168, 150)):
        found = {}
        for budget in (threshold - 12, last):
            task = BudgetSweep(name="bigstep", first=budget, last=budget, trials=20)
            whole, curve, _ = measured(task, method)
            assert whole["threshold"].value == threshold
            found[budget] = curve[budget].value
        assert found[threshold - 12] > 1e4 * found[last]


@pytest.mark.statistical
def test_xtrace_leads_where_the_spectrum_decays():
    """On 0.9^i at 120 products Hutch++'s error is at least 3 times XTrace's (about 7.5; 50 trials put the ratio within
    half of that), and on the flat spectrum it is not.
    """
    for name, low, high in (("slowexp", 3, 20), ("flat", 0.5, 3)):
        task = BudgetSweep(name=name, first=120, last=120, trials=50)
        errors = [measured(task, method)[0]["relative-error"].value for method in (HutchPP(), XTrace())]
        assert low < errors[0] / errors[1] < high


# -- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", PUBLISHED, ids=lambda spec: spec.name)
def test_a_figure_belongs_to_an_instance_of_a_suite(spec):
    """Its selectors name one instance each, its column is a known metric, and some suite runs that task."""
    registry = installed.registry()
    figure = resolve(spec, registry)
    assert registry.metric(spec.family, spec.metric) is not None
    task = registry.tasks["logdet", figure.task.name]
    fields = fields_of(task)
    runs = [
        instance for texts in task.suites.values() for text in texts for instance in expand(parse(text), task, fields)
    ]
    assert any(same(figure.task, instance) for instance in runs)


def test_the_ranges_of_imate_are_those_of_its_own_runs():
    """99 % intervals from the printed mean and spread of 10 runs (20 for the inverse), by numpy's quantiles of
    simulated runs instead of the t and chi-square tables; the closed forms lie inside, so the source is sound.
    """
    runs = np.random.default_rng(7).standard_normal((400_000, 10))
    spread = runs.std(1, ddof=1)
    student = np.quantile(np.abs(runs.mean(1)) / spread, 0.99)
    least, most = 1 / np.quantile(spread**2, [0.995, 0.005])
    assert len(IMATE) == 17
    for spec in IMATE:
        if spec.name.startswith("imate-mean"):
            n = int(spec.name.rpartition("-")[2])
            (variance,) = [other.value for other in IMATE if other.name == f"imate-variance-{n}"]
            half = student * math.sqrt(variance)
            assert (spec.low, spec.high) == pytest.approx((spec.value - half, spec.value + half), abs=0.03 * half)
            assert spec.low < 2 * n * math.log(2) < spec.high
        elif spec.name.startswith("imate-variance"):
            n = int(spec.name.rpartition("-")[2])
            assert (spec.low, spec.high) == pytest.approx((spec.value * least, spec.value * most), rel=0.03)
            assert spec.low < 4 * DILOGARITHM * n / 200 < spec.high
        else:
            assert spec.low < spec.value < spec.high
            assert spec.low < 65536 / 3 - 1 / 9 < spec.high
