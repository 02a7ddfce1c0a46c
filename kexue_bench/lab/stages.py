"""What the core does with a task of each kind: evaluate it, or hand over what is to be timed."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from kexue_bench.api import Measurement

from .problems import Workload
from .tasks import SamplingTask, Task, TrainedTask

if TYPE_CHECKING:
    from .context import Context
    from .training import Trained


def evaluate(task: object, method: object, ctx: Context) -> str:
    """Measure a method on a task of any kind and record what is found.

    Args:
        task: a `SamplingTask` (has `problem`), a `TrainedTask` (has `build`) or a `Task`.
        method: what is measured.
        ctx: records the rows and, in `costs`, the deterministic cost of a draw or step.

    Returns:
        Why sampling stopped; empty where nothing was sampled.

    Raises:
        Diverged: some replicates of a training diverged; all that was measured is recorded, theirs without a value.
        TypeError: the task is none of the three.
    """
    if hasattr(task, "problem"):
        return _sample(cast("SamplingTask", task), method, ctx)
    if hasattr(task, "build"):
        _train(cast("TrainedTask", task), method, ctx)
        return ""
    if hasattr(task, "evaluate"):
        cast("Task", task).evaluate(method, ctx)
        return ""
    raise TypeError(f"a task has `problem`, `build` and `measure`, or `evaluate`; got {type(task).__name__}")


def verify(task: object, method: object, ctx: Context) -> None:
    """Check the claim that the case names and record the evidence.

    Raises:
        TypeError: the task states no sampling problem, which is what claims are checked on.
    """
    if not hasattr(task, "problem"):
        raise TypeError(f"claims are checked on sampling tasks, got {type(task).__name__}")
    module, _, name = str(ctx.case.options["check"]).partition(":")
    check = getattr(importlib.import_module(module), name)
    ctx.add([check(cast("SamplingTask", task).problem(method, ctx), method, ctx)])


def workload(task: object, method: object, ctx: Context) -> Workload:
    """What one sample of the clock calls: what the task says, else a batch of draws or a period of steps.

    Raises:
        TypeError: the task is none of the three kinds.
    """
    # A sampling task whose draws hold more than the method's own work says itself what to time.
    if hasattr(task, "workload"):
        return cast("Task", task).workload(method, ctx)
    if hasattr(task, "problem"):
        problem, noise = cast("SamplingTask", task).problem(method, ctx), ctx.noise("noise")
        return Workload(call=lambda: problem.draw(noise, problem.batch), units=problem.batch, unit="draw")
    if hasattr(task, "build"):
        return cast("TrainedTask", task).build(method, ctx).workload()
    raise TypeError(f"a task has `problem`, `build` and `measure`, or `workload`; got {type(task).__name__}")


def _sample(task: SamplingTask, method: object, ctx: Context) -> str:
    problem = task.problem(method, ctx)
    found = ctx.estimate(problem)
    rows = found.measurements(problem.metrics)
    ctx.add(rows)
    if problem.after is not None:
        problem.after(ctx)
    # A context of its own: what the estimation counted and the stream it used stay out of it.
    apart = ctx.fork("cost", 0)
    instrumented, noise = task.problem(method, apart), apart.noise("noise").at(0)
    cost = apart.cost(lambda: instrumented.draw(noise, instrumented.batch))
    _record_cost(ctx, {name: value / instrumented.batch for name, value in cost.items()})
    _record_work(ctx, rows)
    return found.stop


def _train(task: TrainedTask, method: object, ctx: Context) -> None:
    training = task.build(method, ctx)
    trained = ctx.train(training, steps=task.steps, measure=task.measure(training, ctx))
    _record_curve(ctx, trained)
    apart = ctx.fork("cost", 0)
    period = task.build(method, apart).workload()
    # The first period makes the optimizer's state, which belongs to the training and not to a step.
    period.call()
    cost = apart.cost(period.call)
    # Steps reuse the same bytes, so that the peak of a period is that of its largest step.
    _record_cost(ctx, {name: value / (1 if name == "memory" else period.units) for name, value in cost.items()})
    if trained.diverged:
        raise trained.diverged


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
        ValueError: labels that are no `name=value` in square brackets.
    """
    metric, bracket, rest = name.partition("[")
    if not bracket:
        return name, {}
    pairs = [part.partition("=") for part in rest.removesuffix("]").split(",")]
    if not rest.endswith("]") or any(not (label and equals and value) for label, equals, value in pairs):
        raise ValueError(f"a measured column must be named `metric` or `metric[label=value]`, got {name!r}")
    return metric, {label: value for label, _, value in pairs}


def _aligned(value: Tensor, ctx: Context) -> Tensor:
    """A value measured for the whole stack stands for the case, one for each replicate for each of them."""
    return value[0] if len(value) == 1 < len(ctx.replicates) else value


def _record_cost(ctx: Context, cost: dict[str, float]) -> None:
    ctx.costs = cost
    for name, value in cost.items():
        ctx.record(name, value, interval=(value, value), unit="B" if name == "memory" else "", flags=("exact",))


def _record_work(ctx: Context, rows: tuple[Measurement, ...]) -> None:
    """`work-variance`: mse times the work of a draw, which ranks estimators that may spend more work on fewer draws."""
    name = ctx.case.options.get("work")
    if not name or name not in ctx.costs:
        return
    work = ctx.costs[str(name)]
    for row in rows:
        if row.metric == "mse":
            ctx.add([_times(row, work, metric="work-variance")])


def _times(row: Measurement, factor: float, *, metric: str) -> Measurement:
    """A measurement in other units; its series scales with it, so that it can still be paired."""

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * factor

    series = row.series and replace(row.series, values=tuple(scaled(value) for value in row.series.values))
    return replace(
        row, metric=metric, value=scaled(row.value), low=scaled(row.low), high=scaled(row.high), series=series
    )
