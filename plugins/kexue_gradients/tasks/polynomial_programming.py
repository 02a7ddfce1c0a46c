"""Polynomial programming: 128 coins, each to be moved to the better of its two sides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_bench.lab.training import adam
from kexue_gradients.contract import Distribution, Enumeration
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.free_logits import free_logits, train_logits
from kexue_gradients.words import SMOOTH

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.training import Measure, Training
    from kexue_gradients.contract import GradientMethod

_VARIABLES, _MINIBATCH = 128, 64
_TARGET, _LEARNING_RATE, _SPREAD = 0.45, 1e-3, 0.01


@task(
    "polynomial-programming",
    "move 128 two-class variables to the better side; the optimum 0.45^power is known",
    version=1,
    kind="trained",
    offers={*SMOOTH, "categorical", "power"},
    # The 8,000 steps of the paper take 40 CPU seconds per method.
    suites={
        "standard": ("polynomial-programming[power=1.5,steps=2000]",),
        "full": ("polynomial-programming[power=[1.5,2.0,3.0]]",),
    },
    methods={"standard": ("exact", "reinforce", "rloo", "straight-through", "gumbel-softmax", "reinmax")},
    timed={"full"},
    replicates={"standard": 5, "full": 10},
    stack=5,
    primary="excess",
    headline=("excess", "time", "evaluations", "memory"),
    order=190,
)
@dataclass(frozen=True, kw_only=True)
class PolynomialProgramming:
    """Minimize `E 1/128 sum_i |x_i0 - 0.45|^power` over 128 two-class variables (arXiv:2304.08612).

    Batches of 64, Adam with rate 1e-3, 8,000 steps, logits from U(-0.01, 0.01). The optimum is `0.45^power`, all x_i0
    at 0; the score is how far the exact expectation is above it. The two sides differ little, so the result depends on
    whether an estimator's bias points to the wrong one.

    Args:
        power: exponent, > 1 so that the gradient of f exists everywhere.
        steps: optimization steps.

    Raises:
        ValueError: power or steps is out of range.
    """

    power: float = 1.5
    steps: int = 8000

    def __post_init__(self) -> None:
        if not self.power > 1:
            raise ValueError(f"power must be > 1, got {self.power}; at 1 and below f has no gradient at its target")
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")

    def build(self, method: GradientMethod, ctx: Context) -> Training:
        """One training of all replicates, stacked."""
        draws = ctx.noise("init", stack=0).uniform(len(ctx.replicates), _VARIABLES, 2)
        return train_logits(
            _SPREAD * (2 * draws - 1),
            method,
            ctx,
            objective=self.objective(draws, ctx.counter),
            law=lambda logits: Distribution(kind="categorical", logits=logits),
            minibatch=_MINIBATCH,
            repeats=1,
            make_optimizer=lambda parameters: adam(parameters, lr=_LEARNING_RATE),
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """How far the exact expectation is above the optimum, `[R]`."""
        model = free_logits(training)
        step = (1 - _TARGET) ** self.power - _TARGET**self.power
        return lambda: {"excess": step * model.logits.softmax(-1)[..., 0].mean(-1)}

    def score(self, method: GradientMethod, ctx: Context) -> float:
        """Minus the final excess of the exact expectation, mean over replicates; NaN if the training diverged."""
        training = self.build(method, ctx)
        trained = ctx.train(training, steps=self.steps, measure=self.measure(training, ctx), marks=())
        return math.nan if trained.diverged else -float(trained.final["excess"].mean())

    def objective(self, like: Tensor, counter: Counter | None = None) -> FunctionObjective:
        """f, and its table: every variable is a block of its own, so two evaluations tabulate it."""

        def distance(x: Tensor) -> Tensor:
            return (x[..., 0] - _TARGET).abs() ** self.power

        def table() -> Enumeration:
            states = torch.eye(2, dtype=like.dtype, device=like.device).unsqueeze(1)
            values = distance(states).reshape(2, 1, 1, 1) / _VARIABLES
            return Enumeration(states=states, values=values.expand(2, len(like), _MINIBATCH, _VARIABLES))

        return FunctionObjective(lambda x: distance(x).mean(-1), counter=counter, table=table)
