"""Measures shared by several tasks of the family: how far weights are from orthogonal, and the score of a training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..contract import Target

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.tasks import TrainedTask


def orthogonality(targets: Sequence[Target]) -> dict[str, Tensor]:
    """`orthogonality-error` and `singular-spread`: the worst over the targets, each `[R]`, or `[1]` without a stack."""
    values = [torch.linalg.svdvals(target.matrix().double()).reshape(-1, target.shape[1]) for target in targets]
    errors = torch.stack([(v.square() - 1).square().sum(-1).sqrt() for v in values])
    spreads = torch.stack([v[:, 0] / v[:, -1] for v in values])
    # Without full rank the spread is infinite; the table should show a large number, not a missing one.
    return {
        "orthogonality-error": errors.amax(0),
        "singular-spread": spreads.clamp_max(1 / torch.finfo(torch.float64).eps).amax(0),
    }


def trained_mean(task: TrainedTask, method: object, ctx: Context, metric: str) -> float:
    """Mean of a metric over the replicates after a training, NaN if one diverged."""
    training = task.build(method, ctx)
    trained = ctx.train(training, steps=task.steps, measure=task.measure(training, ctx), marks=())
    return math.nan if trained.diverged else float(trained.final[metric].mean())
