"""What the core does with a task: evaluate it, check a claim on it, or return the workload to time.

`plan.kinds` names the functions below for each kind of task.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from kexue_bench.api import Measurement
from kexue_bench.errors import NotOffered
from kexue_bench.plan.kinds import KINDS, kind_of

from .problems import Sampling, Workload
from .tasks import RecordTask, SamplingTask, SubjectTask, TrainedTask

if TYPE_CHECKING:
    from .context import Context
    from .training import Trained, Training


def evaluate(task: object, method: object, ctx: Context) -> str:
    """Measure a method on a task of any kind and record the results.

    Args:
        task: a task of the kind that the case names.
        method: the method to measure.
        ctx: records the rows and, in `costs`, the deterministic cost of a draw or step.

    Returns:
        Why sampling stopped; empty if nothing was sampled.

    Raises:
        Diverged: some replicates of a training diverged; all that was measured is recorded, theirs without a value.
    """
    return target(KINDS[kind_of(ctx.case, task)].evaluated)(task, method, ctx) or ""


def verify(task: object, method: object, ctx: Context) -> None:
    """Check the claim that the case names and record the evidence.

    Raises:
        TypeError: claims of this kind cannot be checked on the task.
    """
    kind = kind_of(ctx.case, task)
    makers = KINDS[kind].checked
    if ctx.case.of not in makers:
        raise TypeError(f"a claim of {ctx.case.of!r} cannot be checked on a task of kind {kind!r}")
    ctx.task = task
    given = target(makers[ctx.case.of])(task, method, ctx)
    ctx.add([target(str(ctx.case.options["check"]))(given, method, ctx)])


def workload(task: object, method: object, ctx: Context) -> Workload:
    """The call to time: the task's `workload`, else the default of its kind."""
    # A task whose draws or steps contain more than the work of the method states itself what to time.
    own: Callable[..., Workload] | None = getattr(task, "workload", None)
    return own(method, ctx) if own else target(KINDS[kind_of(ctx.case, task)].timed)(task, method, ctx)


def target(text: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)


# -- sampling ---------------------------------------------------------------------------------------------------------


def sample(task: SamplingTask, method: object, ctx: Context) -> str:
    """Estimate from draws, then record the cost of one; returns why sampling stopped."""
    stated = task.problem(method, ctx)
    found = ctx.estimate(stated)
    rows = found.measurements(stated.metrics)
    ctx.add(rows)
    if stated.after is not None:
        stated.after(ctx)
    # A fresh context: without the counts and the streams of the estimation.
    apart = ctx.fork("cost", 0)
    instrumented, noise = task.problem(method, apart), apart.noise("noise").at(0)
    cost = apart.cost(lambda: instrumented.draw(noise, instrumented.batch))
    _record_cost(ctx, {name: value / instrumented.batch for name, value in cost.items()})
    _record_work(ctx, rows)
    return found.stop


def batch(task: SamplingTask, method: object, ctx: Context) -> Workload:
    """One batch of draws, each with fresh noise."""
    stated, noise = task.problem(method, ctx), ctx.noise("noise")
    return Workload(call=lambda: stated.draw(noise, stated.batch), units=stated.batch, unit="draw")


def problem(task: SamplingTask, method: object, ctx: Context) -> Sampling:
    """What claims of draws are checked on."""
    return task.problem(method, ctx)


# -- training ---------------------------------------------------------------------------------------------------------


def train(task: TrainedTask, method: object, ctx: Context) -> None:
    """Train, record the curve and its end, then the cost of a step.

    Raises:
        Diverged: some replicates diverged; all that was measured is recorded, theirs without a value.
    """
    built = task.build(method, ctx)
    trained = ctx.train(built, steps=task.steps, measure=task.measure(built, ctx))
    _record_curve(ctx, trained)
    apart = ctx.fork("cost", 0)
    steps = task.build(method, apart).workload()
    # The first period creates the optimizer's state, which belongs to the training and not to a step.
    steps.call()
    cost = apart.cost(steps.call)
    # Steps reuse the same bytes, so that the peak of a period is that of its largest step.
    _record_cost(ctx, {name: value / (1 if name == "memory" else steps.units) for name, value in cost.items()})
    if trained.diverged:
        raise trained.diverged


def period(task: TrainedTask, method: object, ctx: Context) -> Workload:
    """One period of the steps used in training."""
    return task.build(method, ctx).workload()


def training(task: TrainedTask, method: object, ctx: Context) -> Training:
    """What claims of trainings are checked on: a training before its first step."""
    return task.build(method, ctx)


# -- a subject --------------------------------------------------------------------------------------------------------


def examine(task: SubjectTask, method: object, ctx: Context) -> str | None:
    """Build the subject and measure it; returns why sampling stopped, or an empty text."""
    return task.evaluate(task.subject(method, ctx), ctx)


def examination(task: SubjectTask, method: object, ctx: Context) -> Workload:
    """One evaluation of a subject that is built beforehand, on fresh streams."""
    built, forks = task.subject(method, ctx), _forks(ctx)
    return Workload(call=lambda: task.evaluate(built, next(forks)))


def subject(task: SubjectTask, method: object, ctx: Context) -> object:
    """What claims of subjects are checked on.

    Raises:
        NotOffered: the task is a sampling task without a subject.
    """
    if not hasattr(task, "subject"):
        raise NotOffered(f"the claim {ctx.case.claim!r} is checked on a subject, and this task has no `subject`")
    return task.subject(method, ctx)


# -- a record ---------------------------------------------------------------------------------------------------------


def take_records(task: RecordTask, method: object, ctx: Context) -> None:
    """Let the task record its measurements."""
    task.evaluate(method, ctx)


def recording(task: RecordTask, method: object, ctx: Context) -> Workload:
    """One evaluation, on fresh streams."""
    forks = _forks(ctx)
    return Workload(call=lambda: task.evaluate(method, next(forks)))


def _forks(ctx: Context) -> Iterator[Context]:
    """A fresh context for each call: a stream can be taken only once."""
    return (ctx.fork("time", index) for index in itertools.count())


# -- records ----------------------------------------------------------------------------------------------------------


def _record_curve(ctx: Context, trained: Trained) -> None:
    for point, values in trained.curve:
        for name, value in values.items():
            metric, labels = parse_column(name)
            ctx.record(metric, _aligned(value, ctx), point=point.step, **labels)
    for name, value in trained.final.items():
        metric, labels = parse_column(name)
        ctx.record(metric, _aligned(value, ctx), **labels)


def parse_column(name: str) -> tuple[str, dict[str, Any]]:
    """Metric and labels of a column as tables write it.

    >>> parse_column("f1[reading=tuned]")
    ('f1', {'reading': 'tuned'})

    Raises:
        ValueError: labels that are not `name=value` in square brackets.
    """
    metric, bracket, rest = name.partition("[")
    if not bracket:
        return name, {}
    pairs = [part.partition("=") for part in rest.removesuffix("]").split(",")]
    if not rest.endswith("]") or any(not (label and equals and value) for label, equals, value in pairs):
        raise ValueError(f"a measured column must be named `metric` or `metric[label=value]`, got {name!r}")
    return metric, {label: value for label, _, value in pairs}


def _aligned(value: Tensor, ctx: Context) -> Tensor:
    """A single value of a stack becomes one row of the case; one value per replicate becomes one row each."""
    return value[0] if len(value) == 1 < len(ctx.replicates) else value


def _record_cost(ctx: Context, cost: dict[str, float]) -> None:
    ctx.costs = cost
    for name, value in cost.items():
        ctx.record(name, value, interval=(value, value), unit="B" if name == "memory" else "", flags=("exact",))


def _record_work(ctx: Context, rows: tuple[Measurement, ...]) -> None:
    """`work-variance`: mse times the work of a draw, which compares estimators at equal total work."""
    name = ctx.case.options.get("work")
    if not name or name not in ctx.costs:
        return
    work = ctx.costs[str(name)]
    for row in rows:
        if row.metric == "mse" and not row.labels:
            ctx.add([_times(row, work, metric="work-variance")])


def _times(row: Measurement, factor: float, *, metric: str) -> Measurement:
    """A measurement in other units; its series is scaled too, so that it can still be paired."""

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * factor

    series = row.series and replace(row.series, values=tuple(scaled(value) for value in row.series.values))
    ends = {"low": scaled(row.low), "high": scaled(row.high)}
    return replace(row, metric=metric, value=scaled(row.value), **ends, series=series, moments=None)
