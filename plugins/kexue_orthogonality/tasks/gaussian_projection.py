"""Gaussian matrices taken to orthonormal columns by the method alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.optim import SGD

from kexue_bench import Knob, task
from kexue_bench.lab.problems import Sampling
from kexue_bench.lab.training import Training

from ..contract import OrthogonalityMethod, Session
from ..flops import count
from ..surroundings import Streamed
from ..targets import WeightTarget, polar
from ..words import WITHOUT_LOSS
from .layers import StackedLinear
from .small_weights import Checked

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

_INPUTS = 16


@task(
    "gaussian-projection",
    "distance of Gaussian matrices from their polar factor after a few steps without a loss",
    version=1,
    offers={"inputs"},
    facts=WITHOUT_LOSS,
    knobs=(Knob(field="rate", grid=(0.001, 0.01, 0.03, 0.0625, 0.125, 0.25)),),
    suites={
        "quick": ("gaussian-projection[d=8,k=5,steps=2]",),
        "standard": ("gaussian-projection",),
        "full": ("gaussian-projection", "gaussian-projection[d=64,k=64]"),
    },
    methods={
        "quick": ("none", "orthogonal-init", "spectral-norm", "soft", "srip", "logdet-divergence", "polar-distance")
    },
    timed={"full"},
    budgets={"quick": 256, "standard": 512, "full": 16384},
    dtype="float64",
    primary="mse",
    headline=("mse", "flops", "memory"),
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class GaussianProjection(Checked):
    """One draw is W_steps - polar(W_0), whose truth is 0; W_0 is d x k with entries N(0, 1 / (4 d)).

    The mse is the mean squared distance to the nearest matrix with orthonormal columns. A penalty descends at `rate`,
    whatever its weight: soft orthogonality at 1/8 is the cubic Newton-Schulz iteration, in whose basin the starts
    are. Methods that look at inputs see the same 16 standard normal ones at every step.

    Args:
        d: rows.
        k: columns, 1 .. d.
        steps: steps after the method was attached.
        rate: step of gradient descent on a penalty of weight 1.

    Raises:
        ValueError: the shape is not tall, steps is below 1, or the rate is not positive.
    """

    d: int = 12
    k: int = 8
    steps: int = 20
    rate: float = 0.125

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.d:
            raise ValueError(f"k must be in 1 .. d = {self.d}, got {self.k}")
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.rate > 0:
            raise ValueError(f"rate must be > 0, got {self.rate}")

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""
        spent: dict[int, int] = {}

        def draw(noise: Noise, n: int) -> Tensor:
            start = noise.normal(n, self.d, self.k) / (2 * self.d**0.5)
            layer = StackedLinear(start.mT.clone(), bias=False)
            target = WeightTarget(name="weight", module=layer, stacked=True)
            session = cast("OrthogonalityMethod", method).attach((target,), Streamed(noise.at(-2), ctx.counter))
            training = self._training(layer, session, noise, getattr(method, "weight", 1.0))

            def solve() -> None:
                for _ in range(self.steps):
                    training.step()

            # Every draw of n costs the same, and counting is slow.
            if n in spent:
                solve()
            else:
                spent[n] = count(solve)
            ctx.counter.add(flops=spent[n])
            training.finish()
            with training.measuring():
                return target.matrix() - polar(start)

        truth = torch.zeros(self.d, self.k, dtype=ctx.dtype, device=ctx.device)
        return Sampling(draw=draw, truth=truth, batch=16, metrics=("mse",))

    def _training(self, layer: StackedLinear, session: Session, noise: Noise, weight: float) -> Training:
        """Plain gradient descent on what the session adds."""
        replicates = len(layer.weight)
        inputs = noise.at(-1).normal(replicates, _INPUTS, self.d)
        return Training(
            model=layer,
            batches=lambda _: inputs,
            loss=lambda batch, state, _: (0 * layer(batch).sum((1, 2)), state),
            make_optimizer=lambda parameters: SGD(parameters, lr=self.rate / (weight or 1)),
            noise=noise,
            joins=(session,),
            replicates=replicates,
        )
