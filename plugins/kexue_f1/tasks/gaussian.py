"""Training on populations with known distributions: the evaluation is exact, only the training is random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task
from kexue_f1.metrics import best_threshold
from kexue_f1.populations import Part, Population, best_gaussian_f1, posterior_logit
from kexue_f1.tasks.linear import (
    FULL,
    F1Training,
    as_labels,
    check_settings,
    labelled,
    repeated,
    thresholds,
    training,
)
from kexue_f1.words import CHOSEN, EXACT_SCORES, GRID, RATES, TOURED, TUNED, WIDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.training import Measure
    from kexue_f1.contract import F1Loss

ITEMS = 10_000
"""Number of training items, and of validation items."""
_COLLAPSED = 0.1
"""Share of the best F1 below which a classifier counts as predicting nothing positive."""
_SATURATED = 8.0


class PopulationTask:
    """Base of the tasks on populations; each declares its population, its best classifier and its fields."""

    batch: int
    steps: int
    lr: float

    def __post_init__(self) -> None:
        check_settings(batch=self.batch, steps=self.steps, lr=self.lr, items=ITEMS)

    @property
    def population(self) -> Population:
        """The population that items are drawn from."""
        raise NotImplementedError

    def best(self) -> tuple[float, Tensor, Tensor]:
        """The largest F1 of a linear classifier, and one that attains it at score >= 0: weight `[1, d]`, bias `[1]`."""
        return self.population.best_linear

    def build(self, method: F1Loss, ctx: Context) -> F1Training:
        """One training of all replicates, each with its own data."""
        data, held = (
            self.population.draw(ctx.noise(stream, stack=0), len(ctx.replicates), ITEMS)
            for stream in ("data", "measure")
        )
        return training(method, ctx, data, held=held, batch=self.batch, lr=self.lr)

    def measure(self, training: F1Training, ctx: Context) -> Measure:
        """Exact F1 and regret under the readings; at the end also the metrics that need the whole distribution.

        Before the end only the reading `0.5` is measured, because the others sort the validation data.
        """
        method, model = training.method, training.score
        held_x, held_y = training.held
        best, weight, bias = self.best()
        readings = ctx.readings

        def measured() -> Mapping[str, Tensor]:
            last = training.done == self.steps
            used = readings if last else {name: r for name, r in readings.items() if name == "0.5"}
            law = self.population.law(model.weight[:, :, 0], model.bias[:, 0, 0])
            out: dict[str, Tensor] = {}
            for name, threshold in thresholds(used, model.scores(held_x), held_y, method).items():
                value = law.f1(threshold.double()).squeeze(1)
                out[labelled("f1", name)] = value
                out[labelled("f1-regret", name)] = best - value
            if last:
                out["average-precision"] = law.average_precision()
                probability = method.probability(law.grid.to(model.bias.dtype))
                if probability is not None:
                    out["calibration-error"] = law.calibration_error(probability.double())
                out["zero-gradient"] = training.zeros.share
                own = out.get(labelled("f1", "0.5"))
                if own is not None:
                    self._record_collapse(ctx, training, own / best, weight, bias)
            return out

        return measured

    def score(self, method: F1Loss, ctx: Context) -> float:
        """Exact F1 at the threshold tuned on validation data, mean over replicates; NaN if the training diverged.

        Always the reading `tuned`, whichever are registered: a trial is no measurement and is given none.
        """
        training = self.build(method, ctx)
        if ctx.train(training, steps=self.steps, measure=dict, marks=()).diverged:
            return math.nan
        model, (held_x, held_y) = training.score, training.held
        with torch.no_grad():
            threshold, _ = best_threshold(as_labels(model.scores(held_x)), as_labels(held_y))
            law = self.population.law(model.weight[:, :, 0], model.bias[:, 0, 0])
            return float(law.f1(threshold.double()).mean())

    def _record_collapse(self, ctx: Context, training: F1Training, share: Tensor, weight: Tensor, bias: Tensor) -> None:
        """Record and explain a collapse: nothing is predicted positive although the loss itself prefers otherwise.

        `collapse` is 1 for a replicate whose own threshold gives less than a tenth of the best F1 although its loss, on
        all training data, is smaller at the best linear rule. If the mean loss of batches is nevertheless smaller at
        the trained weights, the batches are the cause: `empty-batch-collapse`. Otherwise the training did not reach the
        optimum on which all data and batches agree: `short-of-own-optimum`.
        """
        method, model, batch = training.method, training.score, self.batch
        rule = (model.x.double() @ weight.squeeze(0).to(model.x.device) + bias.to(model.x.device)).to(model.x)
        trained, wanted = model.scores(model.x), _SATURATED * rule
        refresh = getattr(method, "refresh", lambda scores, y, state: state)  # the contract's arguments

        def preferred(size: int) -> Tensor:
            """Whether the mean loss of batches of a size is smaller at the rule than at the trained weights, `[R]`."""
            losses = [
                _mean_loss(method, scores, model.y, refresh(scores, model.y, training.state), size)
                for scores in (wanted, trained)
            ]
            return (losses[0] < losses[1]).to(share.device)

        collapsed = (share < _COLLAPSED) & preferred(model.y.shape[1])
        flags: tuple[str, ...] = ()
        if bool(collapsed.any()):
            misled = batch != FULL and bool((collapsed & ~preferred(batch)).any())
            flags = ("empty-batch-collapse",) if misled else ("short-of-own-optimum",)
        ctx.record("collapse", collapsed.double(), flags=flags)


def _mean_loss(method: F1Loss, scores: Tensor, y: Tensor, state: object, size: int) -> Tensor:
    """Mean loss over disjoint batches of a size, `[R]`; leftover items are dropped."""
    count = y.shape[1] // size
    batches, targets = (part[:, : count * size].reshape(-1, size) for part in (scores, y))
    values, _ = method.loss(batches, targets, repeated(state, count))
    return values.view(-1, count).mean(1)


@task(
    "gaussian-f1",
    "a linear score of two normal classes, with exact F1 and regret on the population",
    version=1,
    kind="trained",
    offers={"one-label"},
    knobs=(RATES,),
    suites={
        "tour": ("gaussian-f1[prior=0.1,steps=200]",),
        "quick": ("gaussian-f1[prior=[0.1,0.01],steps=200]",),
        "standard": (
            "gaussian-f1[d=[1.0,2.0,3.0],prior=[0.5,0.1,0.01],steps=1000]",
            "gaussian-f1[prior=0.01,batch=[4,16,256],steps=1000]",
            "gaussian-f1[prior=0.1,batch=16,steps=1000]",
            "gaussian-f1[prior=[0.1,0.01],batch=0,steps=300,lr=0.1]",
        ),
        "full": (
            "gaussian-f1[d=[0.5,1.0,1.5,2.0,3.0,4.0],prior=[0.5,0.1,0.01],steps=2000]",
            "gaussian-f1[prior=[0.1,0.01],batch=[1,4,16,256,1024,0],steps=2000]",
            "gaussian-f1[dimensions=1,prior=[0.1,0.01],batch=[16,64,0],steps=2000]",
        ),
        "verify": ("gaussian-f1[prior=0.1,steps=3]",),
    },
    methods={"tour": TOURED, "quick": CHOSEN, "standard": GRID},
    timed={"tour", "full"},
    replicates={"tour": 40, "quick": 40, "standard": 40, "full": 100},
    rare={"sigmoid-f1": "0 if prior > 0.01 else 0.14 if batch else 0.015"},
    stack=20,
    primary=TUNED,
    headline=EXACT_SCORES,
    facts={"pairs": "batch if batch else 10000"},
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class GaussianF1(PopulationTask):
    """Two unit normals at a distance d, a linear score, and the best F1 in closed form.

    10,000 training items and as many for validation, drawn anew for each replicate; Adam from weights near 0. F1,
    regret, average precision and calibration error are those of the learned score on the population itself, by
    integrals over the score: no test set. The means differ along the diagonal, so no coordinate is special.

    Args:
        d: distance of the means, > 0.
        prior: share of positives, in (0, 1).
        dimensions: dimension of x, >= 1; in one dimension all losses rank alike and only thresholds differ.
        batch: items per step; 0 for all.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting is out of range.
    """

    d: float = 2.0
    prior: float = 0.1
    dimensions: int = 5
    batch: int = 64
    steps: int = 500
    lr: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.d > 0:
            raise ValueError(f"d must be > 0, got {self.d}; at 0 there is nothing to learn")
        if not 0 < self.prior < 1:
            raise ValueError(f"prior must lie in (0, 1), got {self.prior}")
        if self.dimensions < 1:
            raise ValueError(f"dimensions must be >= 1, got {self.dimensions}")

    @property
    def population(self) -> Population:
        """Unit normals about 0 and about a point at distance d."""
        mean = (self.d / math.sqrt(self.dimensions),) * self.dimensions
        unit = Part(weight=1.0, mean=())
        return Population(
            prior=self.prior,
            dimensions=self.dimensions,
            negatives=(unit,),
            positives=(Part(weight=1.0, mean=mean),),
        )

    def best(self) -> tuple[float, Tensor, Tensor]:
        """The rule that compares the posterior with half the best F1."""
        threshold, value = best_gaussian_f1(self.d, self.prior)
        weight = torch.full((1, self.dimensions), 1 / math.sqrt(self.dimensions), dtype=torch.float64)
        return value, weight, torch.tensor([-threshold], dtype=torch.float64)

    def posterior_logit(self, x: Tensor) -> Tensor:
        """Log-odds of the posterior of items `[..., dimensions]`."""
        return posterior_logit(self.d, self.prior, x.sum(-1) / math.sqrt(self.dimensions))


@task(
    "misspecified-f1",
    "positives on two sides: the maximum-likelihood score is not the best for F1 at any threshold",
    version=1,
    kind="trained",
    offers={"one-label"},
    knobs=(RATES,),
    suites={
        "standard": ("misspecified-f1[steps=1000]",),
        "full": ("misspecified-f1[prior=[0.1,0.01],batch=[16,64,0],steps=2000]",),
    },
    methods={"standard": WIDER},
    timed={"full"},
    replicates={"standard": 20, "full": 50},
    rare={"soft-f1": "0.14", "sigmoid-f1": "0.2"},
    stack=20,
    primary=TUNED,
    headline=EXACT_SCORES,
    facts={"pairs": "batch if batch else 10000"},
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class MisspecifiedF1(PopulationTask):
    """Positives on two sides of the negatives: the linear score of maximum likelihood is not the best for F1.

    Negatives are standard normal; 60 % of the positives lie around (2.5, 0) with standard deviation 1 and 40 % around
    (-2, 1) with standard deviation 1/2; further coordinates are noise. The maximum-likelihood linear score serves both
    groups and has an F1 of 0.381 at its best threshold; the best linear classifier gives up one group and has 0.514. So
    a tuned threshold alone does not win; non-convex losses may settle on the worse group. `f1-regret` is relative to
    the best linear classifier, found by search.

    Args:
        prior: share of positives, in (0, 1).
        dimensions: dimension of x, >= 2.
        batch: items per step; 0 for all.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting is out of range.
    """

    prior: float = 0.1
    dimensions: int = 5
    batch: int = 64
    steps: int = 500
    lr: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.prior < 1:
            raise ValueError(f"prior must lie in (0, 1), got {self.prior}")
        if self.dimensions < 2:
            raise ValueError(f"dimensions must be >= 2 because the means span a plane, got {self.dimensions}")

    @property
    def population(self) -> Population:
        """One group of negatives, two of positives."""
        return Population(
            prior=self.prior,
            dimensions=self.dimensions,
            negatives=(Part(weight=1.0, mean=()),),
            positives=(Part(weight=0.6, mean=(2.5, 0.0)), Part(weight=0.4, mean=(-2.0, 1.0), scale=0.5)),
        )
