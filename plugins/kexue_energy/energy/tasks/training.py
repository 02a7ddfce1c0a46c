"""What trained tasks share: a network for each replicate, fresh batches, and a learning rate that falls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from kexue_bench.lab.training import Joins, Training, adam

from ..chains import check_count, check_positive
from ..networks import NORMALISED, Mlp

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

    from ...contract import Criterion


class Falling(Joins):
    """Adam whose rate is constant for half of the steps and then falls linearly to 0."""

    def __init__(self, lr: float, steps: int) -> None:
        self._lr, self._steps = lr, steps
        self._optimizer: Optimizer | None = None

    def make(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """The optimizer whose rate this sets."""
        self._optimizer = adam(parameters, lr=self._lr)
        return self._optimizer

    def after_(self, step: int) -> None:
        """Set the rate of the next step."""
        assert self._optimizer is not None
        left = min(1.0, 2 * (1 - step / self._steps))
        for group in self._optimizer.param_groups:
            group["lr"] = self._lr * max(left, 0.0)


@dataclass(kw_only=True)
class EnergyTraining(Training):
    """The training of an energy.

    Args:
        energy: the model.
        criterion: what it is trained by.
    """

    energy: Mlp
    criterion: Criterion


@dataclass(frozen=True, kw_only=True)
class TrainedEnergy(ABC):
    """Base: an energy d - width - width - 1 with swish for each replicate, trained on batches by the criterion.

    Args:
        steps: optimization steps.
        width: units of a hidden layer.
        batch: points of a batch.
        lr: learning rate of Adam for half of the steps; it then falls to 0.
        normalised: `none`, or `spectral` for weights of norm 1.
    """

    steps: int = 2500
    width: int = 64
    batch: int = 256
    lr: float = 0.008
    normalised: str = "none"

    def __post_init__(self) -> None:
        check_count(steps=self.steps, width=self.width, batch=self.batch)
        check_positive(lr=self.lr)
        if self.normalised not in NORMALISED:
            raise ValueError(f"normalised must be one of {', '.join(NORMALISED)}, got {self.normalised!r}")

    @abstractmethod
    def points(self, ctx: Context, noise: Noise, count: int) -> Tensor:
        """Training points of every replicate, `[R, count, d]`."""

    def build(self, method: Criterion, ctx: Context) -> EnergyTraining:
        """One energy per replicate, with its own batches and its own state of the criterion."""
        stack, source = len(ctx.replicates), ctx.noise("data", stack=0)
        first = self.points(ctx, source.at(-1), self.batch)
        model = Mlp.drawn(
            ctx.noise("init", stack=0),
            dim=first.shape[-1],
            width=self.width,
            stack=(stack,),
            normalised=self.normalised,
            counter=ctx.counter,
        )
        falling = Falling(self.lr, self.steps)

        def loss(batch: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
            return method.loss(model, batch, state, noise)

        return EnergyTraining(
            model=model,
            energy=model,
            criterion=method,
            batches=lambda step: self.points(ctx, source.at(step), self.batch),
            loss=loss,
            make_optimizer=falling.make,
            noise=ctx.noise("noise", stack=0),
            joins=(falling,),
            state=method.init(first, ctx.noise("method", stack=0)),
            replicates=stack,
        )

    @abstractmethod
    def measure(self, training: EnergyTraining, ctx: Context) -> Measure:
        """See `TrainedTask.measure`."""


def sampler_gap(training: EnergyTraining, data: Tensor, batch: int, noise: Noise) -> dict[str, Tensor]:
    """`sampler-gap` `[R]` between the samples that the criterion trains with and other data; nothing if it has none.

    Args:
        data: `[R, n, d]`, n > batch; the samples stand beside the first `batch` and are compared with the others.
    """
    samples = getattr(training.criterion, "samples", None)
    if samples is None:
        return {}
    drawn = samples(training.energy, data[..., :batch, :], training.state, noise)
    return {"sampler-gap": energy_distance(drawn, data[..., batch:, :])}


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """2 E|x - y| - E|x - x'| - E|y - y'| without its floor: unbiased, so that it is 0 on average for equal laws.

    Args:
        x: `[*stack, n, d]`.
        y: `[*stack, m, d]`.
    """
    return 2 * torch.cdist(x, y).mean((-1, -2)) - _within(x) - _within(y)


def _within(x: Tensor) -> Tensor:
    n = x.shape[-2]
    return torch.cdist(x, x).sum((-1, -2)) / (n * (n - 1))
