"""A two-dimensional density fitted by an invertible residual network, trained through a log-determinant estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.training import Training, adam

from .. import densities
from ..iresnet import InvertibleResNet
from ..methods.exact import Exact
from .sampling import fitting

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

_BATCH, _TEST, _DECODED, _FIT = 256, 4000, 1000, 2000
_LEARNING_RATE = 5e-3
# Every estimator with a gradient, at a cost that a training can afford.
TRAINED = (
    "exact",
    "power-series[degree=10,probes=1]",
    "russian-roulette[probes=1]",
    "neumann-roulette[probes=1]",
    "golub-kahan-slq[steps=2,probes=1]",
)


@task(
    "density",
    "two-dimensional density by a residual flow trained through each estimator, compared with the exact entropy",
    version=1,
    kind="trained",
    offers={"residual", "bounded"},
    facts={"training": "steps"},
    suites={
        "standard": ("density[steps=300]",),
        "full": ("density[data=[checkerboard,eight-gaussians,two-moons]]",),
        "verify": ("density[steps=3,blocks=2,width=16]",),
    },
    methods={"standard": ("exact", "neumann-roulette[probes=1]"), "full": TRAINED},
    timed=(),
    replicates={"full": 3},
    primary="nll",
    headline=("nll", "entropy-gap", "inverse-error", "lipschitz", "products", "memory"),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class Density:
    """Train a residual flow on fresh points and score it in nats against the entropy, a lower bound for every density.

    `blocks` residual blocks of three hidden layers, affine maps between them, batches of 256 new points per step, Adam
    at 5e-3. Training uses the estimates of the method; the score is the exact log-likelihood of 4,000 other points, by
    the determinant of every Jacobian. 1,000 of them are encoded and decoded again.

    Args:
        data: `checkerboard`, `eight-gaussians` or `two-moons`.
        steps: optimization steps.
        blocks: number of residual blocks.
        width: features of a hidden layer.
        cap: Lipschitz constant that no block exceeds, in (0, 1).
    """

    data: str = "eight-gaussians"
    steps: int = 3000
    blocks: int = 8
    width: int = 64
    cap: float = 0.9

    def __post_init__(self) -> None:
        if self.data not in densities.ENTROPY:
            raise ValueError(f"data must be one of {', '.join(densities.ENTROPY)}, got {self.data!r}")
        if self.steps < 1 or self.blocks < 1 or self.width < 1:
            raise ValueError(f"steps, blocks, width must be >= 1, got {self.steps}, {self.blocks}, {self.width}")
        if not 0 < self.cap < 1:
            raise ValueError(f"cap must be in (0, 1), got {self.cap}")

    def build(self, method: object, ctx: Context) -> Training:
        """One flow, its batches and its loss, the mean negative log-likelihood as the method estimates it."""
        fits, source = fitting(method), ctx.noise("data")
        model = InvertibleResNet.drawn(ctx.noise("init"), dim=2, blocks=self.blocks, width=self.width, cap=self.cap)
        model.fit_(densities.draw(self.data, _FIT, source.at(-1)))

        def loss(batch: Tensor, state: None, noise: Noise) -> tuple[Tensor, None]:
            return -model.log_prob(batch, fits, noise).mean(), state

        return Training(
            model=model,
            batches=lambda step: densities.draw(self.data, _BATCH, source.at(step)),
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, lr=_LEARNING_RATE),
            noise=ctx.noise("noise"),
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """`nll`, its `entropy-gap` to the data, the largest `inverse-error`, and the largest true `lipschitz` norm."""
        model = training.model
        assert isinstance(model, InvertibleResNet)
        noise = ctx.noise("measure")
        points = densities.draw(self.data, _TEST, noise)

        def values() -> dict[str, Tensor]:
            nll = -model.log_prob(points, Exact(), noise).mean()
            back = model.inverse(model(points[:_DECODED]))
            return {
                "nll": nll,
                "entropy-gap": nll - densities.ENTROPY[self.data],
                "inverse-error": (back - points[:_DECODED]).abs().max(),
                "lipschitz": torch.tensor(max(model.norms())),
            }

        return values
