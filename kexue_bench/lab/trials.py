"""The trials of one method on one task: each scored on separate streams, one choice for all replicates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kexue_bench.api import Measurement, Scalar
from kexue_bench.errors import InvalidResult, NotOffered
from kexue_bench.plan.kinds import KINDS, kind_of
from kexue_bench.plan.tuning import Choice, edges, repetitions

from . import stages
from .context import Context
from .training import Diverged

if TYPE_CHECKING:
    from kexue_bench.api import Case

Make = Callable[[Choice], tuple[object, object]]


def tune(case: Case, make: Make, ctx: Context) -> Mapping[str, Scalar]:
    """Run every trial of a `tune` case, record its score and choose the best point.

    The n-th repetition of a point runs on the fork `tune[n]`, whatever the method: every method is tuned on the same
    data, initialization and noise, none of which its evaluation uses. A point's score is the mean over its
    repetitions; a trial that raises, diverges or has no finite score puts its point last. Of equal scores the earlier
    point is chosen.

    Args:
        case: options hold `points`, the trials as JSON.
        make: builds task and method at a point.
        ctx: where scores are recorded: metric `score`, labelled by trial and point, the chosen ones flagged `chosen`
            and, if the choice is the smallest or largest tried value of a knob, `edge-` and its name.

    Raises:
        Exception: what the first failed trial raised, if no point has a score.
    """
    points: list[Choice] = json.loads(str(case.options["points"]))
    scores, first_error = [], None
    for point, repetition in zip(points, repetitions(points), strict=True):
        try:
            task, method = make(point)
            scores.append(score(task, method, Context(case, seed_path=(f"tune[{repetition}]",))))
        except Exception as error:  # noqa: BLE001  # a trial may raise anything; only its point is lost
            scores.append(math.nan)
            first_error = first_error or error
    best = _best(points, scores)
    beyond = () if best is None else edges(points, best)
    for index, (point, value) in enumerate(zip(points, scores, strict=True)):
        flags = ["chosen", *(f"edge-{name}" for name in beyond)] if point == best else []
        labels = {"trial": str(index)} | {name: str(setting) for name, setting in point.items()}
        known = None if math.isnan(value) else value
        ctx.add([Measurement(metric="score", value=known, labels=labels, flags=frozenset(flags))])
    if best is None:
        raise first_error or InvalidResult(f"none of {len(points)} trials has a finite score")
    return best


def score(task: object, method: object, ctx: Context) -> float:
    """Score of a method on a task, higher is better; NaN if the trial diverged.

    It is the task's `score`, on validation data; without one, the efficiency for a sampling task.

    Raises:
        NotOffered: the task has no score, so that its methods have no tuned row.
    """
    own: Callable[..., float] | None = getattr(task, "score", None)
    kind = kind_of(ctx.case, task)
    if own is None and not KINDS[kind].scored:
        raise NotOffered(
            f"tuning needs a score, and for a task of kind {kind!r} it is `score(method, ctx)`, which "
            f"{type(task).__name__} lacks; write it"
        )
    try:
        return float(own(method, ctx) if own else stages.target(KINDS[kind].scored)(task, method, ctx))
    except Diverged:
        return math.nan


def efficiency(task: object, method: object, ctx: Context) -> float:
    """Minus the family's precision metric times the work of a draw.

    Raises:
        InvalidResult: the task does not record that metric.
    """
    stages.evaluate(task, method, ctx)
    metric, work = str(ctx.case.options["metric"]), ctx.costs.get(str(ctx.case.options.get("work", "")), 1.0)
    values = [row.value for row in ctx.measurements if row.metric == metric and row.value is not None]
    if not values:
        raise InvalidResult(f"the task records no {metric!r}, by which its family is tuned")
    return -values[0] * work


def _best(points: list[Choice], scores: list[float]) -> Choice | None:
    """The point of the highest mean score; None where every point failed."""
    means = [
        math.fsum(mine) / len(mine)
        for point in points
        if (mine := [s for p, s in zip(points, scores, strict=True) if p == point])
    ]
    finite = [i for i, mean in enumerate(means) if math.isfinite(mean)]
    return points[max(finite, key=lambda i: (means[i], -i))] if finite else None
