"""More neurons than inputs: vectors that cannot be orthogonal, and how evenly they can be spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from kexue_bench import task

from ..words import PENALTIES, SMALL_RATES, WITHOUT_LOSS
from .descent import WeightTraining, censored, check_run, descend, gap
from .measures import trained_mean

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.training import Measure, Training


@task(
    "frames",
    "more vectors than dimensions: distance from the Welch bound and from tight frames",
    version=1,
    kind="trained",
    offers={"inputs"},
    facts=WITHOUT_LOSS,
    knobs=(SMALL_RATES,),
    suites={
        "standard": ("frames[d=3,k=[4,6]]", "frames[d=6,k=16]"),
        "full": ("frames[d=3,k=[4,6,7]]", "frames[d=6,k=16]", "frames[d=7,k=28]", "frames[d=16,k=32]"),
    },
    methods={
        "standard": (
            *PENALTIES,
            "mc-entry",
            "mc-induced",
            "mhe",
            "som",
            "landing",
            "polar-projection",
            "parametrization",
        )
    },
    timed=(),
    replicates={"standard": 20, "full": 20},
    stack=10,
    dtype="float64",
    primary="welch-gap",
    headline=("welch-gap", "potential-gap", "parseval-gap", "flops"),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class Frames:
    """Spread k vectors in d < k dimensions by the method alone, and compare with the best possible.

    Columns start uniformly on the sphere, independently for each replicate; Adam, whose step does not depend on the
    weight of a penalty, at a rate that falls linearly to 0. There are three optima:

    `parseval-gap`: |W^T W - I|_F^2 less its least value k - d, which all singular values equal to 1 reach.
    `potential-gap`: the sum of squared cosines less k^2 / d, which tight frames of unit vectors reach.
    `welch-gap`: the largest |cosine| less the Welch bound sqrt((k - d) / (d (k - 1))), or 1 / sqrt(d) if that is larger
    for more than d (d + 1) / 2 vectors, or cos(pi / k) in the plane; only some (d, k) can reach it.

    Args:
        d: dimensions, >= 2.
        k: vectors, > d.
        steps: optimization steps.
        rate: first learning rate of Adam.

    Raises:
        ValueError: a field is out of range.
    """

    d: int = 3
    k: int = 6
    steps: int = 1000
    rate: float = 0.03

    def __post_init__(self) -> None:
        check_run(steps=self.steps, rate=self.rate)
        if not 2 <= self.d < self.k:
            raise ValueError(f"there must be more than d >= 2 vectors, got d = {self.d} and k = {self.k}")

    def build(self, method: object, ctx: Context) -> Training:
        """See `TrainedTask.build`."""
        start = ctx.noise("init", stack=0).normal(len(ctx.replicates), self.d, self.k)
        start = start / start.norm(dim=-2, keepdim=True)
        # A constant loss of 0, so that the rate of Adam is not divided by the weight of a penalty.
        return descend(method, start, ctx, rate=self.rate, loss=lambda w: w.new_zeros(len(w)), optimizer=self._fading)

    def measure(self, training: Training, ctx: Context) -> Measure:
        """The three gaps, each `[R]`."""
        assert isinstance(training, WeightTraining)

        def values(matrix: Tensor) -> dict[str, Tensor]:
            gram = matrix.mT @ matrix
            eye = torch.eye(self.k, dtype=gram.dtype, device=gram.device)
            unit = matrix / matrix.norm(dim=-2, keepdim=True)
            cosines = unit.mT @ unit
            return {
                "parseval-gap": gap((gram - eye).square().sum((-2, -1)), self.k - self.d),
                "potential-gap": gap(cosines.square().sum((-2, -1)), self.k**2 / self.d),
                "welch-gap": gap((cosines - cosines * eye).abs().amax((-2, -1)), self.coherence_bound()),
            }

        return lambda: censored(values, training.columns())

    def score(self, method: object, ctx: Context) -> float:
        """Minus the logarithm of the mean Welch gap after training, NaN if it diverged."""
        return -math.log(trained_mean(self, method, ctx, "welch-gap"))

    def coherence_bound(self) -> float:
        """No k unit vectors in d dimensions have a smaller largest |cosine|."""
        if self.d == 2:
            return math.cos(math.pi / self.k)
        welch = math.sqrt((self.k - self.d) / (self.d * (self.k - 1)))
        return max(welch, 1 / math.sqrt(self.d)) if self.k > self.d * (self.d + 1) / 2 else welch

    def _fading(self, parameters: object, lr: float) -> Optimizer:
        return _Fading(parameters, lr=lr, steps=self.steps)


class _Fading(Adam):
    """Adam whose rate falls linearly to 0 over a number of steps."""

    def __init__(self, parameters: object, *, lr: float, steps: int) -> None:
        super().__init__(parameters, lr=lr)  # pyright: ignore[reportArgumentType]  # passed on unchanged
        self._rates = [lr * (1 - step / steps) for step in range(steps)]
        self._done = 0

    def step(self, closure: None = None) -> None:
        # More steps may be timed than are trained.
        self.param_groups[0]["lr"] = self._rates[min(self._done, len(self._rates) - 1)]
        self._done += 1
        super().step(closure)
