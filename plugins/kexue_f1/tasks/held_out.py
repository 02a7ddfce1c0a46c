"""Training on data sets, scored on held-out items under every reading."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_f1.metrics import average_precision, calibration_error, called, f1
from kexue_f1.tasks.linear import F1Training, as_labels, check_settings, decisions, labelled, thresholds, training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.training import Measure
    from kexue_f1.contract import F1Loss
    from kexue_f1.tasks.linear import Data

_TRAIN, _HELD = 0.6, 0.2


class HeldOutTask:
    """Base of the tasks on data sets; each declares its data and its fields.

    Items are split 60 : 20 : 20 into training, validation and test data, anew for each replicate, and standardized by
    the training part. `f1` is the mean over labels; with several labels `f1-micro` and `f1-samples` are measured too.
    Before the end only the reading `0.5` is measured.
    """

    batch: int
    steps: int
    lr: float

    def __post_init__(self) -> None:
        check_settings(batch=self.batch, steps=self.steps, lr=self.lr)

    def items(self, ctx: Context) -> Data:
        """All items `[n, d]` and their targets, `[n]` or `[n, C]`."""
        raise NotImplementedError

    def parts(self, ctx: Context) -> tuple[Data, Data, Data]:
        """Training, validation and test data of all replicates."""
        x, y = self.items(ctx)
        n = len(x)
        order = self.order(ctx.noise("split", stack=0).permutation(n), y)
        x, y = x[order], y[order]
        first, second = round(_TRAIN * n), round((_TRAIN + _HELD) * n)
        mean = x[:, :first].mean(1, keepdim=True)
        sd = x[:, :first].std(1, keepdim=True)
        # A constant feature has standard deviation 0 and must not be divided by it.
        x = (x - mean) / torch.where(sd > 0, sd, torch.ones_like(sd))
        train, held, test = (
            (x[:, low:high], y[:, low:high]) for low, high in ((0, first), (first, second), (second, n))
        )
        return train, held, test

    def order(self, shuffled: Tensor, y: Tensor) -> Tensor:
        """The order in which items are dealt to the three parts, `[R, n]`, from random orders; by default these."""
        del y
        return shuffled

    def build(self, method: F1Loss, ctx: Context) -> F1Training:
        """One training of all replicates, each with its own split."""
        train, held, test = self.parts(ctx)
        batch = self.batch
        if batch > train[0].shape[1]:
            raise ValueError(f"batch must lie in 1 .. {train[0].shape[1]}, or be 0 for all items, got {batch}")
        return training(method, ctx, train, held=held, test=test, batch=batch, lr=self.lr)

    def measure(self, training: F1Training, ctx: Context) -> Measure:
        """Held-out F1 under the readings; at the end also average precision and calibration error."""
        model, method, readings = training.score, training.method, ctx.readings
        (held_x, held_y), (test_x, test_y) = training.held, training.test or training.held
        y = as_labels(test_y)
        several = y.shape[2] > 1

        def measured() -> Mapping[str, Tensor]:
            last = training.done == self.steps
            used = readings if last else {name: r for name, r in readings.items() if name == "0.5"}
            scores = model.scores(test_x)
            labels = as_labels(scores)
            probability = method.probability(scores)
            probability = None if probability is None else as_labels(probability)
            found = {
                name: called(labels, at) for name, at in thresholds(used, model.scores(held_x), held_y, method).items()
            } | decisions(used, probability)
            out: dict[str, Tensor] = {}
            for name, positive in found.items():
                out[labelled("f1", name)] = f1(positive, y)
                if several:
                    out[labelled("f1-micro", name)] = f1(positive, y, "micro")
                    out[labelled("f1-samples", name)] = f1(positive, y, "samples")
            if last:
                out["average-precision"] = average_precision(labels, y)
                if probability is not None:
                    out["calibration-error"] = calibration_error(probability, y)
                out["zero-gradient"] = training.zeros.share
            out.update(self.further(training, found if last else {}))
            return out

        return measured

    def further(self, training: F1Training, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Further metrics of a task, from the decisions of each reading at the end; none by default."""
        return {}

    def score(self, method: F1Loss, ctx: Context) -> float:
        """Average precision on the validation data, mean over replicates; NaN if the training diverged."""
        training = self.build(method, ctx)
        trained = ctx.train(training, steps=self.steps, measure=dict, marks=())
        if trained.diverged:
            return math.nan
        with torch.no_grad():
            x, y = training.held
            return float(average_precision(as_labels(training.score.scores(x)), as_labels(y)).mean())
