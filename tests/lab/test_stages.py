"""The stages: each kind of task is evaluated, verified and timed as the table of kinds says."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from kexue_bench.api import Case, Evidence, Instance
from kexue_bench.errors import NotOffered
from kexue_bench.lab.context import Context
from kexue_bench.lab.problems import Sampling, Workload
from kexue_bench.lab.stages import evaluate, parse_column, verify, workload
from kexue_bench.lab.training import Diverged, Training, adam
from kexue_bench.run.failures import classify

CASE = Case(
    family="gradients",
    task=Instance(name="toy", target="toys:Toy", kind="sampling"),
    task_version=1,
    method=Instance(name="mean", target="methods:Mean"),
    stage="evaluate",
    dtype="float64",
    options={"precision": 0.1, "budget": 10_000, "work": "evaluations"},
)
TRAINED = replace(CASE, replicates=(0, 1, 2), options={}, task=replace(CASE.task, kind="trained"))
RECORD = replace(CASE, task=replace(CASE.task, kind="record"))
SUBJECT = replace(CASE, task=replace(CASE.task, kind="subject"))


class Toy:
    """Mean of `method` standard normals, at a price of one evaluation each; truth 0, mse 1 / method."""

    def problem(self, method, ctx):
        def draw(noise, n):
            ctx.counter.add(evaluations=n * method)
            return noise.normal(n, method).mean(1)

        truth = torch.zeros((), dtype=torch.float64)
        return Sampling(draw=draw, truth=truth, batch=32, metrics=("estimate", "bias", "variance", "mse"))


class Descent:
    """Adam on |w - target|^2 for three replicates; a method of nan loses the second one."""

    steps = 20

    def build(self, method, ctx):
        module, kept = torch.nn.Module(), []
        module.w = torch.nn.Parameter(torch.ones(len(ctx.replicates), 4, dtype=ctx.dtype))
        target = torch.zeros(len(ctx.replicates), 1, dtype=ctx.dtype)
        if len(ctx.replicates) > 1:
            target[1] = method

        def loss(batch, state, noise):
            ctx.counter.add(evaluations=len(ctx.replicates))
            if not kept:
                kept.append(torch.zeros(1000))
            return (module.w - target).square().sum(1), state

        return Training(
            model=module,
            batches=lambda step: step,
            loss=loss,
            make_optimizer=lambda p: adam(p, 0.1),
            noise=ctx.noise("noise"),
            replicates=len(ctx.replicates),
        )

    def measure(self, training, ctx):
        return lambda: {"nll": training.model.w.square().sum(1), "size": torch.tensor(4.0)}


class Operator:
    """Twice the method, with an estimate of zero where it samples."""

    def __init__(self, *, stops=True):
        self.stops, self.built, self.evaluated = stops, 0, 0

    def subject(self, method, ctx):
        self.built += 1
        return 2 * method

    def evaluate(self, subject, ctx):
        self.evaluated += 1
        truth = torch.zeros((), dtype=torch.float64)
        found = ctx.estimate(Sampling(draw=lambda noise, n: noise.normal(n), truth=truth, batch=32, metrics=("bias",)))
        ctx.add(found.measurements(("bias",)))
        ctx.record("error", subject)
        return "precision" if self.stops else None


class Bare:
    calls = 0

    def evaluate(self, method, ctx):
        self.calls += 1
        ctx.record("error", float(ctx.noise("noise").normal(1)))


class Free:
    def evaluate(self, method, ctx):
        ctx.record("error", method)

    def workload(self, method, ctx):
        return Workload(call=lambda: method, units=3, unit="solve")


def rows(ctx, metric):
    return [m for m in ctx.measurements if m.metric == metric]


def test_sampling_task_is_estimated_and_priced():
    """The rows are the problem's metrics, then the deterministic cost of one draw, and mse times work."""
    ctx = Context(CASE)
    assert evaluate(Toy(), 4, ctx) == "precision"
    metrics = [m.metric for m in ctx.measurements]
    assert metrics == ["estimate", "bias", "variance", "mse", "evaluations", "memory", "work-variance"]
    mse, (work,) = rows(ctx, "mse")[0], rows(ctx, "work-variance")
    assert mse.low < 0.25 < mse.high
    assert ctx.costs == {"evaluations": 4, "memory": (32 * 4 + 32) * 8 / 32}
    assert (work.value, work.low, work.high) == (4 * mse.value, 4 * mse.low, 4 * mse.high)
    assert work.series.values == tuple(4 * v for v in mse.series.values)
    assert rows(ctx, "memory")[0].unit == "B"


def test_cost_does_not_touch_the_estimation():
    """The instrumented call draws and counts on a fork: the counts are those of the estimation alone."""
    ctx = Context(CASE)
    evaluate(Toy(), 4, ctx)
    assert ctx.counter.units == {"evaluations": 4 * rows(ctx, "mse")[0].n}


def test_work_variance_needs_its_counter():
    """Without the option, or where nothing was counted under that name, there is no such row."""
    for options in ({"budget": 1000}, {"budget": 1000, "work": "products"}):
        ctx = Context(replace(CASE, options=options))
        evaluate(Toy(), 1, ctx)
        assert not rows(ctx, "work-variance")


def test_same_case_gives_the_same_rows():
    """Evaluation is bit for bit the same in any order, and does not know the name of the method."""
    found = []
    for name in ("mean", "other", "mean"):
        ctx = Context(replace(CASE, method=replace(CASE.method, name=name)))
        evaluate(Toy(), 2, ctx)
        found.append(ctx.measurements)
        torch.rand(3, generator=torch.Generator().manual_seed(1))
    assert found[0] == found[1] == found[2]


def test_trained_task_records_its_curve_and_its_end():
    """Every mark gives a row a replicate with its step, the end one without; a scalar measure is each one's."""
    ctx = Context(TRAINED)
    assert evaluate(Descent(), 0.0, ctx) == ""
    nll = rows(ctx, "nll")
    final = [m for m in nll if m.point is None]
    assert [m.replicate for m in final] == [0, 1, 2]
    assert [m.value for m in nll if m.point == 0] == [4.0, 4.0, 4.0]
    assert [m.value for m in nll if m.point == 20] == [m.value for m in final]
    assert all(m.value < 4 for m in final)
    assert {m.value for m in rows(ctx, "size")} == {4.0}


def test_cost_of_a_step_is_that_of_a_later_step():
    """The counts of one step, and the bytes of a later one: the first also makes what is kept, as optimizers do."""
    ctx = Context(TRAINED)
    evaluate(Descent(), 0.0, ctx)
    assert ctx.costs["evaluations"] == 3
    assert 96 < ctx.costs["memory"] < 4000
    assert ctx.counter.units == {"evaluations": 60}


def test_divergence_keeps_what_was_measured():
    """The lost replicate has rows without a value, the others their scores, and the stage ends with `Diverged`."""
    ctx = Context(TRAINED)
    with pytest.raises(Diverged) as lost:
        evaluate(Descent(), float("nan"), ctx)
    assert lost.value.replicates == (1,)
    final = {m.replicate: m.value for m in rows(ctx, "nll") if m.point is None}
    assert final[1] is None
    assert final[0] == final[2] < 4
    assert "evaluations" in ctx.costs


def test_a_record_task_records_for_itself():
    """It is called as it is and gives its own workload."""
    ctx = Context(RECORD)
    assert evaluate(Free(), 1.5, ctx) == ""
    assert [(m.metric, m.value) for m in ctx.measurements] == [("error", 1.5)]
    assert workload(Free(), 1.5, ctx).unit == "solve"


def test_a_subject_is_built_from_the_method_and_measured():
    """What `subject` returns is what `evaluate` measures; why sampling stopped is passed on."""
    ctx = Context(SUBJECT)
    assert evaluate(Operator(), 2.0, ctx) == "precision"
    assert [m.metric for m in ctx.measurements] == ["bias", "error"]
    assert evaluate(Operator(stops=False), 2.0, Context(SUBJECT)) == ""


def test_a_task_without_a_workload_is_timed_by_evaluating_once():
    """Each call has streams of its own, as one context gives a stream once; the subject is built beforehand."""
    ctx, operator = Context(SUBJECT), Operator()
    timed = workload(operator, 2.0, ctx)
    for _ in range(3):
        timed.call()
    assert (operator.built, operator.evaluated) == (1, 3)
    assert (timed.units, timed.unit) == (1, "call")
    assert ctx.measurements == ()
    bare = Bare()
    timed = workload(bare, 2.0, Context(RECORD))
    timed.call()
    timed.call()
    assert bare.calls == 2


def test_a_task_of_any_kind_may_say_what_is_timed():
    """A trained task and a subject task with a `workload` of their own are timed by it."""

    class Timed:
        def workload(self, method, ctx):
            return Workload(call=lambda: method, units=5)

    for case in (CASE, TRAINED, SUBJECT, RECORD):
        assert workload(Timed(), 1.0, Context(case)).units == 5


def test_workload_of_a_sampling_task_is_a_batch():
    """One call draws one batch, other numbers each time, and holds as many units as it has draws."""
    ctx = Context(CASE)
    timed = workload(Toy(), 4, ctx)
    assert (timed.units, timed.unit) == (32, "draw")
    first = timed.call()
    assert first.shape == (32,)
    assert not torch.equal(first, timed.call())


def test_workload_of_a_trained_task_is_its_step():
    """What is timed is the very step that is trained: twenty calls and twenty steps give the same parameters."""
    task, one, two = Descent(), Context(TRAINED), Context(TRAINED)
    timed = workload(task, 0.0, one)
    for _ in range(20):
        timed.call()
    training = task.build(0.0, two)
    for _ in range(20):
        training.step()
    assert one.counter.units == two.counter.units == {"evaluations": 60}
    assert (timed.units, timed.unit) == (1, "step")


@pytest.mark.parametrize("stage", [evaluate, workload, verify])
def test_object_that_is_no_task_is_named(stage):
    """The error says what a task of each kind has."""
    with pytest.raises(TypeError, match=r"sampling: `problem`.* got object"):
        stage(object(), None, Context(replace(CASE, task=replace(CASE.task, kind=""))))


def given(subject, method, ctx):
    """A check that says what it was given."""
    return Evidence(claim="given", metric="violation", value=0.0, note=type(subject).__name__)


@pytest.mark.parametrize(
    ("task", "kind", "of", "note"),
    [
        (Toy(), "sampling", "draws", "Sampling"),
        (Operator(), "sampling", "subject", "float"),
        (Operator(), "subject", "subject", "float"),
        (Descent(), "trained", "training", "Training"),
    ],
)
def test_a_check_is_given_what_its_claim_is_of(task, kind, of, note, monkeypatch):
    """Draws, a training that has not taken a step, or the subject; on a sampling task the claim decides."""
    monkeypatch.setitem(sys.modules, "checks_of_this_test", SimpleNamespace(given=given))
    options = {"check": "checks_of_this_test:given"}
    ctx = Context(replace(CASE, stage="verify", of=of, options=options, task=replace(CASE.task, kind=kind)))
    verify(task, 2.0, ctx)
    assert [m.note for m in ctx.measurements] == [note]
    assert ctx.task is task


def test_a_claim_of_a_subject_is_unsupported_where_a_sampling_task_has_none():
    """The case is no failure: another task of the family may have one."""
    ctx = Context(replace(CASE, stage="verify", claim="calm", of="subject", options={"check": "m:f"}))
    with pytest.raises(NotOffered, match="the claim 'calm' is checked on a subject") as error:
        verify(Toy(), 1, ctx)
    assert classify(error.value) == "unsupported"


def test_columns_carry_labels():
    """As tables write them; a bare metric has none."""
    assert parse_column("f1") == ("f1", {})
    assert parse_column("f1[reading=tuned]") == ("f1", {"reading": "tuned"})
    assert parse_column("f1[reading=0.5,weights=raw]") == ("f1", {"reading": "0.5", "weights": "raw"})


@pytest.mark.parametrize("name", ["f1[", "f1[tuned]", "f1[reading=]", "f1[reading=tuned", "f1[]"])
def test_labels_that_are_none_are_refused(name):
    """A ValueError that says how a column is named."""
    with pytest.raises(ValueError, match="a measured column must be named"):
        parse_column(name)
