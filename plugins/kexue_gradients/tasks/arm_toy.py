"""The toy of ARM: does ascent with one uniform per step follow the ascent on the true gradient?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.optim import SGD

from kexue_bench import task
from kexue_gradients.contract import Distribution
from kexue_gradients.tasks.bernoulli_toy import BernoulliToy
from kexue_gradients.tasks.free_logits import free_logits, train_logits
from kexue_gradients.words import SMOOTH

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Workload
    from kexue_bench.lab.training import Training
    from kexue_gradients.contract import GradientMethod

_RUNS, _EVERY = 200, 50
_INSTANCES = ("arm-toy[t=[0.499,0.501]]",)
_METHODS = ("exact", "reinforce", "arm")


@task(
    "arm-toy",
    "200 ascents of one bit against the ascent on the true gradient, one estimate per step",
    version=1,
    kind="record",
    offers={*SMOOTH, "bernoulli"},
    suites={"standard": _INSTANCES, "full": _INSTANCES},
    methods={"standard": _METHODS, "full": _METHODS},
    timed=(),
    replicates={"standard": 3, "full": 10},
    stack=10,
    primary="path-gap",
    headline=("path-gap", "wrong-side", "time"),
    order=220,
)
@dataclass(frozen=True, kw_only=True)
class ArmToy:
    """Maximize `E (b - t)^2` over one bit from logit 0, one estimate per step, 200 runs in parallel (arXiv:1807.11143).

    Two scores, by p = sigmoid(logit): `path-gap`, the distance to the ascent on the true gradient, a median over the
    runs, at the worst of the points 50 steps apart; and `wrong-side`, the share of runs that end nearer to the worse
    corner. The step size of the published ascent is not known: it is 1 here.

    Args:
        t: target; below 0.5 the best corner is 1, above it 0.
        steps: steps of ascent.
        lr: step size.

    Raises:
        ValueError: steps is below 1, the step size is not positive, or the corners are equally good.
    """

    t: float = 0.499
    steps: int = 3000
    lr: float = 1.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")
        if self.t == 0.5:
            raise ValueError("t must not be 0.5, where both corners are equally good; use 0.499")

    def evaluate(self, method: GradientMethod, ctx: Context) -> None:
        """Record both scores."""
        training = self._training(method, ctx)
        logits, true = free_logits(training).logits, self._true_path()

        def measure() -> dict[str, Tensor]:
            p = torch.sigmoid(logits.double()).squeeze(-1)
            wrong = p < 0.5 if self.t < 0.5 else p > 0.5
            gap = (p - true[training.done]).abs().median(-1).values
            return {"path-gap": gap, "wrong-side": wrong.double().mean(-1)}

        marks = range(0, self.steps + 1, _EVERY)
        trained = ctx.train(training, steps=self.steps, measure=measure, marks=marks)
        for point, values in trained.curve:
            for name, value in values.items():
                ctx.record(name, value, point=point.step)
        ctx.record("path-gap", torch.stack([values["path-gap"] for _, values in trained.curve]).amax(0))
        ctx.record("wrong-side", trained.final["wrong-side"])
        if trained.diverged:
            raise trained.diverged

    def workload(self, method: GradientMethod, ctx: Context) -> Workload:
        """One step of all runs."""
        return self._training(method, ctx).workload()

    def _training(self, method: GradientMethod, ctx: Context) -> Training:
        start = torch.zeros(len(ctx.replicates), _RUNS, 1, dtype=ctx.dtype, device=ctx.device)
        law = Distribution(kind="bernoulli", logits=start.unsqueeze(2))
        return train_logits(
            start,
            method,
            ctx,
            objective=BernoulliToy(t=self.t).objective(law, ctx.counter),
            law=lambda logits: Distribution(kind="bernoulli", logits=logits),
            minibatch=1,
            repeats=1,
            make_optimizer=lambda parameters: SGD(list(parameters), lr=self.lr, maximize=True),
            problems=2,
        )

    def _true_path(self) -> Tensor:
        """Probabilities after each step of ascent on the true gradient, `[steps + 1]`."""
        gain = (1 - self.t) ** 2 - self.t**2
        logit, path = torch.zeros((), dtype=torch.float64), []
        for _ in range(self.steps + 1):
            p = torch.sigmoid(logit)
            path.append(p)
            logit = logit + self.lr * p * (1 - p) * gain
        return torch.stack(path)
