"""The toy of double control variates: 200 bits whose two states hardly differ in value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.optim import RMSprop

from kexue_bench import task
from kexue_gradients.contract import Distribution, Enumeration
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.free_logits import free_logits, stacked, train_logits
from kexue_gradients.words import SMOOTH

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.training import Measure, Training
    from kexue_gradients.contract import GradientMethod

_BITS, _TARGET = 200, 0.499
_LEARNING_RATE, _DECAY, _EPSILON = 0.01, 0.9, 1e-7
_DRAWS = 2000
_INSTANCES = ("double-cv-toy[repeats=[1,2]]",)


@task(
    "double-cv-toy",
    "maximize E mean (b - 0.499)^2 over 200 bits in 2,000 steps; the expectation is exact",
    version=2,
    kind="trained",
    offers={*SMOOTH, "bernoulli"},
    suites={"standard": _INSTANCES, "full": _INSTANCES},
    methods={
        "standard": (
            "exact",
            "reinforce",
            "exact-baseline[n=2]",
            "rloo",
            "disarm",
            "muprop",
            "double-cv[rate=0.0005,warmup=0]",
        )
    },
    timed={"full"},
    replicates={"standard": 5, "full": 10},
    stack=10,
    primary="objective",
    headline=("objective", "coordinate-variance", "time", "evaluations", "memory"),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class DoubleCvToy:
    """Maximize `E 1/200 sum_d (b_d - 0.499)^2` over 200 bits (arXiv:2111.05300), from logits 0 in 2,000 steps.

    RMSprop with rate 0.01, decay 0.9 and epsilon 1e-7 on the logits. The score is the exact expectation: 0.250001 if
    nothing is learned, 0.251001 at best. Also recorded is the variance of a step's estimate at the logits reached, as a
    mean over coordinates, from 2,000 fresh estimates. The published comparison gives every method two draws per step,
    so methods of one draw average two estimates there (`repeats=2`), and it learns alpha from 0 with rate 5e-4:
    `double-cv[rate=0.0005]`.

    Args:
        steps: optimization steps.
        repeats: estimates that a step averages.

    Raises:
        ValueError: an argument is below 1.
    """

    steps: int = 2000
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if self.repeats < 1:
            raise ValueError(f"repeats must be >= 1, got {self.repeats}")

    def build(self, method: GradientMethod, ctx: Context) -> Training:
        """One training of all replicates, stacked."""
        start = torch.zeros(len(ctx.replicates), _BITS, dtype=ctx.dtype, device=ctx.device)
        return train_logits(
            start,
            method,
            ctx,
            objective=self.objective(start, ctx.counter),
            law=lambda logits: Distribution(kind="bernoulli", logits=logits),
            minibatch=1,
            repeats=self.repeats,
            make_optimizer=lambda parameters: RMSprop(list(parameters), lr=_LEARNING_RATE, alpha=_DECAY, eps=_EPSILON),
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """The exact expectation, and the variance of a coordinate of a step's estimate, `[R]`."""
        model = free_logits(training)
        low, high = _TARGET**2, (1 - _TARGET) ** 2
        noise = ctx.noise("measure", stack=stacked(model.logits))

        def found() -> dict[str, Tensor]:
            # In float64: the scale of the differences is 1e-6.
            p = torch.sigmoid(model.logits.double()).mean(-1)
            draws = model.draws(training.state, noise.at(training.done), _DRAWS)
            return {"objective": low + (high - low) * p, "coordinate-variance": draws.var(0).mean(-1)}

        return found

    def score(self, method: GradientMethod, ctx: Context) -> float:
        """The exact expectation at the end, mean over replicates; NaN if the training diverged."""
        training = self.build(method, ctx)
        trained = ctx.train(training, steps=self.steps, measure=self.measure(training, ctx), marks=())
        return math.nan if trained.diverged else float(trained.final["objective"].mean())

    def objective(self, like: Tensor, counter: Counter | None = None) -> FunctionObjective:
        """Minus the mean distance, and its table: every bit is a block of its own."""

        def distance(b: Tensor) -> Tensor:
            return -(b - _TARGET).square()

        def table() -> Enumeration:
            states = torch.tensor([[0.0], [1.0]], dtype=like.dtype, device=like.device)
            values = distance(states).reshape(2, 1, 1, 1) / _BITS
            return Enumeration(states=states, values=values.expand(2, len(like), 1, _BITS))

        return FunctionObjective(lambda b: distance(b).mean(-1), counter=counter, table=table)
