"""A multi-label problem from a generator with a known posterior."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task
from kexue_f1.metrics import f1
from kexue_f1.tasks.held_out import HeldOutTask
from kexue_f1.tasks.linear import labelled
from kexue_f1.words import RATES, TUNED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kexue_bench.lab.context import Context
    from kexue_f1.tasks.linear import Data, F1Training

TRAIN, HELD, TEST = 2000, 2000, 5000
_RAREST, _SLOPE = -4.0, 2.0


@task(
    "multilabel-f1",
    "eight logistic labels from common to rare, with a known best macro F1",
    version=1,
    kind="trained",
    knobs=(RATES,),
    suites={"standard": ("multilabel-f1",), "full": ("multilabel-f1[batch=[8,32,0],steps=2000]",)},
    methods={
        "standard": (
            "bce",
            "weighted-bce",
            "focal",
            "dinkelbach",
            "soft-f1",
            "soft-f1[eps=1.0]",
            "double-soft-f1",
            "bce-dice",
            "sigmoid-f1",
            "anyloss-f1",
            "lovasz-hinge",
            "global-soft-f1",
            "cost-sensitive",
            "tversky",
            "focal-tversky",
            "anyloss-f1[steepness=10.0]",
            "ema-soft-f1",
            "eban-bound",
            "asl",
            "zlpr",
            "aucm",
        )
    },
    timed={"full"},
    replicates={"standard": 10, "full": 50},
    stack=5,
    primary=TUNED,
    headline=("f1", "f1-regret", "f1-samples", "average-precision", "calibration-error", "time"),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class MultilabelF1(HeldOutTask):
    """Labels that are logistic in x and independent given x: from common to rare, with a known best macro F1.

    x is standard normal, and label c is true with probability `sigmoid(2 v_c x + b_c)`, with v_c a random unit vector
    of the replicate and b_c equally spaced from 0 to -4, so the rarest label is true for about one item in twenty. The
    score and the log-odds of the posterior are linear. `f1` is the macro average; `f1-regret` is relative to the best
    macro F1, a one-dimensional integral per label. The reading `gfm` maximizes `f1-samples`. 2,000 items for training,
    2,000 for validation, 5,000 for testing.

    Args:
        labels: number of labels, >= 2.
        dimensions: dimension of x, >= 1.
        batch: items per step; 0 for all.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: a setting is out of range.
    """

    labels: int = 8
    dimensions: int = 10
    batch: int = 32
    steps: int = 500
    lr: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch > TRAIN:
            raise ValueError(f"batch must lie in 1 .. {TRAIN}, or be 0 for all items, got {self.batch}")
        if self.labels < 2:
            raise ValueError(f"labels must be >= 2, got {self.labels}; for one label use gaussian-f1")
        if self.dimensions < 1:
            raise ValueError(f"dimensions must be >= 1, got {self.dimensions}")

    @property
    def offsets(self) -> Tensor:
        """b_c, float64."""
        return torch.linspace(0.0, _RAREST, self.labels, dtype=torch.float64)

    def parts(self, ctx: Context) -> tuple[Data, Data, Data]:
        """Items drawn anew for each replicate."""
        noise, replicates = ctx.noise("data", stack=0), len(ctx.replicates)
        direction = noise.normal(replicates, self.dimensions, self.labels)
        direction = direction / direction.norm(dim=1, keepdim=True)
        x = noise.normal(replicates, TRAIN + HELD + TEST, self.dimensions)
        chance = torch.sigmoid(_SLOPE * (x @ direction) + self.offsets.to(x))
        y = (noise.uniform(*chance.shape) < chance).to(x.dtype)
        cut = (0, TRAIN, TRAIN + HELD, TRAIN + HELD + TEST)
        train, held, test = ((x[:, a:b], y[:, a:b]) for a, b in itertools.pairwise(cut))
        return train, held, test

    def further(self, training: F1Training, found: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Regret of the macro average."""
        assert training.test is not None
        best = float(best_logistic_f1(_SLOPE, self.offsets).mean())
        return {labelled("f1-regret", name): best - f1(positive, training.test[1]) for name, positive in found.items()}


def best_logistic_f1(slope: float, offsets: Tensor) -> Tensor:
    """The largest F1 for `P(positive | u) = sigmoid(slope u + b)` with u standard normal, for each b `[C]`, float64.

    By the trapezoidal rule over u, with every grid point as a threshold; F1 is flat at its maximum, so the grid is fine
    enough.
    """
    u = torch.linspace(-9.0, 9.0, 20_001, dtype=torch.float64)
    density = torch.exp(-u.square() / 2) / math.sqrt(2 * math.pi)
    chance = torch.sigmoid(slope * u.unsqueeze(1) + offsets) * density.unsqueeze(1)
    step = float(u[1] - u[0])

    def above(values: Tensor) -> Tensor:
        """Integral from each point to the end."""
        trapezoids = (values[1:] + values[:-1]) / 2 * step
        return trapezoids.flip(0).cumsum(0).flip(0)

    hits, called = above(chance), above(density.unsqueeze(1))
    return (2 * hits / (called + hits[0])).amax(0)
