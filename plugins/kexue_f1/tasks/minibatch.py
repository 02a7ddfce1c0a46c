"""A loss on batches against the same loss on all data, at frozen weights: the minibatch bias of F1 and its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.problems import Sampling
from kexue_f1.metrics import f1
from kexue_f1.populations import best_minibatch_f1, searched_gaussian_f1
from kexue_f1.tasks.linear import repeated
from kexue_f1.words import FIRST

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.problems import Recorder
    from kexue_f1.contract import F1Loss

POINTS = ("halfway", "bayes")
ITEMS = 20_000
_DRAWS = 256
_NOTHING = 1e-3
"""Norm of the gradient on all data, relative to that of a batch, below which it counts as discretization error."""
_CERTAIN = 50.0
"""A logit that every link maps to certainty in single precision."""


@task(
    "minibatch-f1",
    "gradient of a loss on batches against all data, and the F1 of batches with a known optimum",
    version=1,
    offers={"one-label"},
    suites={
        "quick": ("minibatch-f1[batch=16]",),
        "standard": (
            "minibatch-f1[batch=[4,16,64,256]]",
            "minibatch-f1[batch=[16,64],prior=0.1]",
            "minibatch-f1[d=0.0,prior=0.1]",
        ),
        "full": (
            "minibatch-f1[batch=[1,4,16,64,256,512],prior=[0.5,0.1,0.01],point=[halfway,bayes]]",
            "minibatch-f1[d=0.0,prior=[0.5,0.1,0.01]]",
        ),
    },
    methods={"quick": FIRST},
    timed={"full"},
    budgets={"quick": 16384, "standard": 65536, "full": 1048576},
    primary="relative-bias",
    headline=(
        "relative-bias",
        "cosine",
        "zero-gradient",
        "loss-f1",
        "batch-f1",
        "batch-f1-best",
        "variance",
        "best-f1",
        "time",
    ),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class MinibatchF1:
    """The gradient of a loss of a linear score on batches from two unit normals, against its gradient on all data.

    x is N(0, 1) for negatives and N(d, 1) for positives, and every batch is drawn anew; the score is `w x + b`, frozen
    at `point`. A draw is the gradient of the loss of one batch with respect to (w, b); the truth is the gradient on
    20,000 items at the quantiles of the distribution, exact to a relative error of 1e-3. Learned state is that of all
    data if the method can refresh it, and otherwise follows `warmup` batches. Besides bias, variance and cosine:

    `zero-gradient`: the share of batches with zero gradient. `batch-f1`: the mean over batches of the F1 of their
    decisions, at the threshold that maximizes this mean, and `batch-f1-best`: its exact value, the best that a loss
    maximizing the F1 of its batches could reach. `loss-f1`: one minus the loss of these decisions made certain; it
    equals `batch-f1` for a loss that is F1 there, and differs by the effect of smoothing otherwise. `best-f1`: the
    largest F1 on the population. `threshold-gap`: the distance between the posterior at the best threshold, found by
    search, and half of the best F1.

    Args:
        d: distance of the means, >= 0.
        prior: share of positives, in (0, 1).
        batch: items per batch, >= 1.
        point: `halfway`, w = d / 2 and b the log-odds of the prior, or `bayes`, the weights of the posterior.

    Raises:
        ValueError: a setting is out of range.
    """

    d: float = 2.0
    prior: float = 0.01
    batch: int = 64
    point: str = "halfway"

    def __post_init__(self) -> None:
        if not self.d >= 0:
            raise ValueError(f"d must be >= 0, got {self.d}")
        if not 0 < self.prior < 1:
            raise ValueError(f"prior must lie in (0, 1), got {self.prior}")
        if self.batch < 1:
            raise ValueError(f"batch must be >= 1, got {self.batch}")
        if self.point not in POINTS:
            raise ValueError(f"point must be one of {', '.join(POINTS)}, got {self.point!r}")

    @property
    def weights(self) -> tuple[float, float]:
        """W and b at `point`."""
        odds = math.log(self.prior / (1 - self.prior))
        return (self.d, odds - self.d**2 / 2) if self.point == "bayes" else (self.d / 2, odds)

    def problem(self, method: F1Loss, ctx: Context) -> Sampling:
        """Draws of the gradient of one batch; see the class."""
        x, y = self._quantiles(ctx)
        threshold, best = best_minibatch_f1(self.d, self.prior, self.batch)
        draws = Draws(task=self, method=method, all_data=(x, y), threshold=threshold, adapting=ctx.noise("method"))

        def after(context: Recorder) -> None:
            level, value = searched_gaussian_f1(self.d, self.prior)
            # If x is uninformative, any threshold below all scores is optimal.
            gap = abs(level - value / 2) if self.d else max(0.0, value / 2 - self.prior)
            for name, exact in (("batch-f1-best", best), ("best-f1", value), ("threshold-gap", gap)):
                context.record(name, exact, interval=(exact, exact), flags=("exact",))

        return Sampling(
            draw=draws,
            truth=draws.gradient(x.unsqueeze(0), y.unsqueeze(0))[0].double(),
            batch=_DRAWS,
            inputs=(x, y),
            metrics=("relative-bias", "variance", "mse", "cosine")
            if draws.points_somewhere(ctx.noise("order"))
            else ("bias", "variance", "mse"),
            losses={
                "zero-gradient": lambda gradient: (gradient.abs().amax(1) == 0).to(gradient.dtype),
                "batch-f1": draws.batch_f1,
                **({"loss-f1": draws.loss_f1} if getattr(method, "vertex", "") == "f1" else {}),
            },
            after=after,
        )

    def batches(self, noise: Noise, n: int) -> tuple[Tensor, Tensor]:
        """Items and targets of n fresh batches, both `[n, batch]`."""
        y = (noise.uniform(n, self.batch) < self.prior).to(noise.dtype)
        return noise.normal(n, self.batch) + self.d * y, y

    def _quantiles(self, ctx: Context) -> tuple[Tensor, Tensor]:
        """Items `[N]` at the quantiles of each class, and their targets."""
        positives = max(1, round(ITEMS * self.prior))
        x, y = [], []
        for count, centre, label in ((ITEMS - positives, 0.0, 0.0), (positives, self.d, 1.0)):
            levels = (torch.arange(count, dtype=torch.float64) + 0.5) / count
            x.append(torch.special.ndtri(levels) + centre)
            y.append(torch.full((count,), label, dtype=torch.float64))
        return torch.cat(x).to(ctx.device, ctx.dtype), torch.cat(y).to(ctx.device, ctx.dtype)


@dataclass(kw_only=True, eq=False)
class Draws:
    """Gradients of batches as draws, and further metrics of the same batches.

    Args:
        task: the problem.
        method: the loss.
        all_data: items and targets `[N]` that represent the distribution.
        threshold: threshold on x with the largest expected F1 of a batch.
        adapting: noise of the batches that prepare learned state.
    """

    task: MinibatchF1
    method: F1Loss
    all_data: tuple[Tensor, Tensor]
    threshold: float
    adapting: Noise
    _last: tuple[Tensor, Tensor] | None = None
    _state: Any = None
    _prepared: bool = False

    def __call__(self, noise: Noise, n: int) -> Tensor:
        """Gradients with respect to (w, b) of n batches, `[n, 2]`."""
        self._last = self.task.batches(noise, n)
        return self.gradient(*self._last)

    def points_somewhere(self, noise: Noise) -> bool:
        """Whether the gradient on all data is large enough to define a relative bias."""
        x, y = self.all_data
        sizes = self.gradient(*self.task.batches(noise, _DRAWS)).norm(dim=1)
        return bool(self.gradient(x.unsqueeze(0), y.unsqueeze(0)).norm() > _NOTHING * sizes.mean())

    def gradient(self, x: Tensor, y: Tensor) -> Tensor:
        """Gradient of the loss of each row of `[n, B]` with respect to (w, b): `[n, 2]`."""
        state = self.state(len(x))
        slope, offset = self.task.weights
        with torch.enable_grad():
            w = x.new_full((len(x), 1), slope).requires_grad_()
            b = x.new_full((len(x), 1), offset).requires_grad_()
            value, _ = self.method.loss(w * x + b, y, state)
            gradient = torch.autograd.grad(value.sum(), (w, b))
        return torch.cat(gradient, dim=1)

    def state(self, n: int) -> Any:
        """State of n stacked problems: one prepared state, repeated."""
        if not self._prepared:
            x, y = (part.unsqueeze(0) for part in self.all_data)
            slope, offset = self.task.weights
            state = self.method.init(y)
            refresh = getattr(self.method, "refresh", None)
            if refresh is not None:
                state = refresh(slope * x + offset, y, state)
            for step in range(getattr(self.method, "warmup", 0)):
                bx, by = self.task.batches(self.adapting.at(step), 1)
                _, state = self.method.loss(slope * bx + offset, by, state)
            self._state, self._prepared = state, True
        return repeated(self._state, n)

    def batch_f1(self, gradient: Tensor) -> Tensor:
        """F1 of the decisions of the last batches, `[n]`."""
        x, y = self._seen(gradient)
        return f1((x >= self.threshold).unsqueeze(2), y.unsqueeze(2))

    def loss_f1(self, gradient: Tensor) -> Tensor:
        """One minus the loss of the decisions of the last batches, made certain, `[n]`."""
        x, y = self._seen(gradient)
        certain = torch.where(x >= self.threshold, _CERTAIN, -_CERTAIN)
        return 1 - self.method.loss(certain, y, self.state(len(x)))[0]

    def _seen(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        assert self._last is not None
        assert len(self._last[0]) == len(gradient)
        return self._last
