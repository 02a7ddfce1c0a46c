"""The toy of RELAX: train one bit, and track the variance of its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_bench.lab.training import adam
from kexue_gradients.contract import Distribution
from kexue_gradients.tasks.bernoulli_toy import BernoulliToy
from kexue_gradients.tasks.free_logits import free_logits, stacked, train_logits
from kexue_gradients.words import SMOOTH

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Workload
    from kexue_bench.lab.training import Training
    from kexue_gradients.contract import GradientMethod

_LEARNING_RATE, _EVERY, _DRAWS = 0.01, 50, 400
_METHODS = ("reinforce", "rebar[rate=0.01,coupled=false]", "relax[eta=0.0,rate=0.01,coupled=false]")


@task(
    "relax-toy",
    "train one bit for 5,000 steps at t = 0.499 and track the variance of its gradient",
    version=1,
    kind="record",
    offers={*SMOOTH, "bernoulli"},
    suites={"standard": ("relax-toy",), "full": ("relax-toy",)},
    methods={"standard": _METHODS, "full": _METHODS},
    timed=(),
    replicates={"standard": 10, "full": 10},
    stack=10,
    primary="path-variance",
    headline=("path-variance", "excess", "time"),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class RelaxToy:
    """Minimize `E (b - t)^2` over one bit from logit 0: batch 1, Adam with rate 0.01, 5,000 steps (arXiv:1711.00123).

    After a fifth of the steps the variance of an estimate is measured every 50 steps at the parameters reached, from
    400 fresh draws with the learned state frozen; the score is its geometric mean. The published estimators learn with
    rate 0.01 and redraw the noise given the sample: `rebar[rate=0.01,coupled=false]`, and RELAX with the network alone
    as control variate, `relax[eta=0.0,rate=0.01,coupled=false]`.

    Args:
        t: target; at 0.5 both states are equally good, and the gradient is zero.
        steps: optimization steps, at least 50.

    Raises:
        ValueError: steps is below 50.
    """

    t: float = 0.499
    steps: int = 5000

    def __post_init__(self) -> None:
        if self.steps < _EVERY:
            raise ValueError(f"steps must be >= {_EVERY}, got {self.steps}; variance is measured every {_EVERY} steps")

    def evaluate(self, method: GradientMethod, ctx: Context) -> None:
        """Record the geometric mean of the variance, the exact loss above its minimum, and the path of both."""
        training = self._training(method, ctx)
        model = free_logits(training)
        noise = ctx.noise("measure", stack=stacked(model.logits))

        def measure() -> dict[str, Tensor]:
            sampled = model.draws(training.state, noise.at(training.done), _DRAWS)
            return {"path-variance": sampled.var(0).squeeze(-1), "excess": self._excess(model.logits)}

        start = self.steps // 5
        marks = range(start + -start % _EVERY, self.steps + 1, _EVERY)
        trained = ctx.train(training, steps=self.steps, measure=measure, marks=marks)
        for point, values in trained.curve:
            for name, value in values.items():
                ctx.record(name, value, point=point.step)
        path = torch.stack([values["path-variance"] for _, values in trained.curve])
        # A variance of zero has no logarithm.
        ctx.record("path-variance", path.clamp_min(torch.finfo(path.dtype).tiny).log().mean(0).exp())
        ctx.record("excess", trained.final["excess"])
        if trained.diverged:
            raise trained.diverged

    def workload(self, method: GradientMethod, ctx: Context) -> Workload:
        """One step."""
        return self._training(method, ctx).workload()

    def _training(self, method: GradientMethod, ctx: Context) -> Training:
        toy = BernoulliToy(t=self.t)
        start = torch.zeros(len(ctx.replicates), 1, dtype=ctx.dtype, device=ctx.device)
        law = Distribution(kind="bernoulli", logits=start.unsqueeze(1))
        return train_logits(
            start,
            method,
            ctx,
            objective=toy.objective(law, ctx.counter),
            law=lambda logits: Distribution(kind="bernoulli", logits=logits),
            minibatch=1,
            repeats=1,
            make_optimizer=lambda parameters: adam(parameters, lr=_LEARNING_RATE),
        )

    def _excess(self, logits: Tensor) -> Tensor:
        """E f above f at the better side, `[R]`."""
        step = (1 - self.t) ** 2 - self.t**2
        worse = torch.sigmoid(math.copysign(1, step) * logits.double().squeeze(-1))
        return abs(step) * worse
