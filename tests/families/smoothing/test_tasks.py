"""The tasks: matching, records, timed calls, and printed figures."""

from __future__ import annotations

import math

import installed
import pytest
import torch

import kexue_smoothing as ks
from kexue_bench.lab import stages
from kexue_bench.lab.noise import Noise
from kexue_smoothing.tasks.digits import DigitsNeighbours, DigitsTopK
from kexue_smoothing.tasks.matching import Bench, Setting
from kexue_smoothing.tasks.median import ConstantMedian
from kexue_smoothing.tasks.operators import Matched
from kexue_smoothing.tasks.printed import Printed
from kexue_smoothing.tasks.speed import SortSpeed

TASKS = {spec.name: spec for spec in installed.tasks("smoothing")}


def matched(name, **params):
    """The task declared under a name, built as in a worker."""
    spec = TASKS[name]
    return Matched(**{**spec.defaults, **params, **spec.fixed})


def values(ctx, point=None):
    return {m.metric: m.value for m in ctx.measurements if m.point == point}


@pytest.mark.parametrize(
    ("task", "method"),
    [
        ("max", ks.LogSumExp()),
        ("max", ks.PNorm()),
        ("one-hot", ks.Sparsemax()),
        ("top-k", ks.LapSum()),
        ("top-k", ks.Perturbed()),
        ("sort", ks.FastSoftSort()),
    ],
)
def test_every_operator_is_brought_to_the_asked_error(context, task, method):
    """The mean error on new rows is the level, up to the sampling error of 512 and 2,048 rows."""
    ctx, task = context("task"), matched(task)
    stages.evaluate(task, method, ctx)
    assert values(ctx)["smooth-error"] == pytest.approx(task.level, rel=0.15)


def test_matching_at_a_known_scale_gives_the_closed_form():
    """For the entries 0 and 1 the matched softness solves s log(1 + exp(-1 / s)) = 0.1, found here by bisection."""
    rows = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    setting = Setting(kind="max", rows=lambda _, n: rows.expand(n, 2), n=2, k=1, match="error", level=0.1)
    low, high = 1e-3, 1e3
    for _ in range(200):
        s = math.sqrt(low * high)
        low, high = (s, high) if s * math.log1p(math.exp(-1 / s)) < 0.1 else (low, s)
    found = Bench(ks.LogSumExp(), setting, Noise.seeded(0, dtype=torch.float64)).softness
    assert found == pytest.approx(low, rel=1e-3)


def test_operators_meet_at_one_gradient(context):
    """The mean gradient gap is the level of 50, within the spread of its heavy tails."""
    for method in (ks.Softmax(), ks.FastSoftRank()):
        ctx = context("rank-at-gradient")
        stages.evaluate(matched("rank-at-gradient"), method, ctx)
        assert values(ctx)["gradient-gap"] == pytest.approx(50, rel=0.3)


def test_a_level_out_of_reach_is_an_error(context):
    """A level above 2, the maximum sum of errors of an indicator, raises an error."""
    task = matched("one-hot", level=2.5)
    with pytest.raises(ValueError, match=r"gives Entmax a mean error of 2\.5; choose another level"):
        stages.evaluate(task, ks.Entmax(), context("one-hot"))


def test_the_hard_function_is_the_reference_and_no_contestant(context):
    """The hard function has no error, gradient gap or softness, and its indicator has no gradient anywhere."""
    ctx = context("one-hot")
    stages.evaluate(matched("one-hot"), ks.Hard(), ctx)
    found = values(ctx)
    assert found["dead-share"] == 1
    assert not {"smooth-error", "gradient-gap", "softness"} & set(found)


def test_curves_hold_softness_error_gradient_and_a_bound_that_holds(context):
    """A curve has thirteen octaves around the matched softness, and no mean error exceeds its mean bound."""
    ctx = context("max")
    stages.evaluate(matched("max", curve=True), ks.LogSumExp(), ctx)
    points = [values(ctx, point) for point in range(13)]
    assert all(point["smooth-extent"] <= point["smooth-bound"] for point in points)
    assert points[12]["softness"] == pytest.approx(2**12 * points[0]["softness"])
    assert points[0]["smooth-error"] < points[6]["smooth-error"] < points[12]["smooth-error"]


def test_what_is_timed_is_the_operator_alone(context):
    """A sampling task with its own workload is timed on that, not on a batch of draws."""
    workload = stages.workload(matched("top-k"), ks.LapSum(), context("top-k", stage="time"))
    assert workload.unit == "call"
    assert workload.call().shape == (64, 16)


def test_an_operator_that_writes_to_its_input_is_refused(context):
    """An operator that modifies its input raises an error."""

    class Greedy:
        kind = "one-hot"

        def apply(self, x, *, softness):
            soft = torch.softmax(x / softness, -1)
            x.data.mul_(0.5)
            return soft

        def bound(self, n, gap, softness, *, x=None, k=1):
            return None

    with pytest.raises(ValueError, match="must not modify x"):
        stages.evaluate(matched("one-hot"), Greedy(), context("one-hot"))


@pytest.mark.parametrize("n", [5, 9, 15])
def test_the_median_of_labels_has_its_exact_expectation(context, n):
    """The expectation is 1e4 / (4 (n + 2)) up to the grid of the labels, and sampling agrees."""
    task = ConstantMedian(n=n)
    assert task.truth() == pytest.approx(1e4 / (4 * (n + 2)), rel=1e-6)
    ctx = context("constant-median", {"n": n})
    task.evaluate(ks.Hard(), ctx)
    (row,) = ctx.measurements
    assert row.low < task.truth() < row.high
    assert row.high - row.low < 0.01 * row.value


def test_printed_rows_are_recorded_entry_by_entry(context):
    """The first row of fast-soft-sort's README is reproduced, with the derivative of its first entry."""
    ctx = context("printed-sort")
    Printed(function="sort", row="three").evaluate(ks.FastSoftSort(), ctx)
    rows = {m.labels.get("entry", m.metric): m.value for m in ctx.measurements}
    assert rows == pytest.approx({"0": 5 / 3, "1": 8 / 3, "2": 11 / 3, "soft-slope": 1 / 3})


def test_the_speed_of_sorting_counts_a_step(context):
    """The memory of a step includes the matrix; a method without a matrix raises an error."""
    task, ctx = SortSpeed(n=32, batch=2), context("sort-speed")
    task.evaluate(ks.NeuralSort(), ctx)
    assert values(ctx)["memory"] > 2 * 32 * 32 * 8
    with pytest.raises(ValueError, match="no soft permutation matrix"):
        task.workload(ks.FastSoftSort(), context("sort-speed"))


@pytest.mark.parametrize(("task", "metric"), [(DigitsTopK, "top-k-accuracy"), (DigitsNeighbours, "neighbour-accuracy")])
def test_digits_are_learned_through_a_soft_mask_and_not_through_the_hard_one(context, task, metric):
    """In forty steps the hard mask does not change the accuracy, and a soft one gains more than 10 points."""
    found = {}
    for method in (ks.Hard(), ks.LogisticTopK()):
        ctx = context("digits", dtype="float32", replicates=(0, 1), options={})
        stages.evaluate(task(steps=40), method, ctx)
        rows = [m for m in ctx.measurements if m.metric == metric]
        found[type(method)] = {p: sum(m.value for m in rows if m.point == p) / 2 for p in (0, None)}
    assert found[ks.Hard][0] == found[ks.Hard][None]
    assert found[ks.LogisticTopK][None] > found[ks.LogisticTopK][0] + 0.1


def test_a_stack_of_trainings_equals_its_singles(context):
    """Replicate 1 has the same accuracies at every mark alone and in a stack with replicate 0."""
    alone, stacked = (
        context("digits", dtype="float64", replicates=replicates, options={}) for replicates in ((1,), (0, 1))
    )
    for ctx in (alone, stacked):
        stages.evaluate(DigitsTopK(steps=5), ks.LapSum(), ctx)
    one, two = (
        {(m.metric, m.point): m.value for m in ctx.measurements if m.replicate == 1} for ctx in (alone, stacked)
    )
    assert one == two
    assert one


def test_every_method_has_a_task():
    """Some task offers what the method needs."""
    for spec in installed.methods("smoothing"):
        assert any(spec.needs <= task.offers for task in TASKS.values()), spec.name


def test_published_figures_belong_to_instances_that_a_suite_runs():
    """The task of every figure is in the full suite, with its method or the baseline."""
    figures = installed.published("smoothing")
    assert figures
    for figure in figures:
        task = TASKS[figure.task.partition("[")[0]]
        assert task.suites["full"]
        methods = " ".join(task.methods["full"]).replace("[alpha=[1.5,1.33]]", "[alpha=1.5] entmax[alpha=1.33]").split()
        assert figure.method in {*methods, "softmax"}


def test_a_subject_is_the_operator_that_the_problem_draws_from(context):
    """The subject of the claims is the operator of the task's function in the task's setting."""
    task = matched("top-k", n=8)
    subject = task.subject(ks.Softmax(), context("top-k"))
    assert isinstance(subject.operator, ks.ThresholdSigmoid)
    assert (subject.setting.n, subject.setting.k) == (8, 4)
    assert task.problem(ks.Softmax(), context("top-k")).batch == 256
