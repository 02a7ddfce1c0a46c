"""Training classifiers of handwritten digits under a method of the family: base of the digits tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kexue_bench.lab.training import Training, adam

from ..contract import OrthogonalityMethod, Target
from .counted import CountedTraining
from .measures import orthogonality, trained_mean

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

CLASSES, SIDE = 10, 8
_IMAGES, _TRAIN, _BATCH = 1797, 1437, 64
_NOISE_SD = 0.5


class Classifier(nn.Module):
    """R networks in parallel, with the images they are trained and measured on.

    Attributes:
        targets: the weights that methods are attached to.
    """

    targets: Sequence[Target]

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[R, N, 10]` of images `[R, N, 64]`, gray levels -1 .. 1."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Digits:
    """Images of R replicates, each with its own split.

    Args:
        train: images `[R, 1437, 64]` and classes `[R, 1437]`.
        test: the other 360.
    """

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @classmethod
    def split(cls, ctx: Context) -> Digits:
        """The digits, split by the context's `split` stream."""
        data = ctx.data("digits")
        images = (data["inputs"] / 8 - 1).to(device=ctx.device, dtype=ctx.dtype)
        order = ctx.noise("split", stack=0).permutation(_IMAGES)
        images, classes = images[order], data["targets"].to(ctx.device)[order]
        return cls(train=(images[:, :_TRAIN], classes[:, :_TRAIN]), test=(images[:, _TRAIN:], classes[:, _TRAIN:]))


class _Batches:
    """`batches(step)`: consecutive slices of a fresh permutation of each epoch, images and classes."""

    def __init__(self, images: Tensor, classes: Tensor, order: Noise) -> None:
        self._images, self._classes, self._order = images, classes, order
        self._epoch = -1
        self._permutation = torch.empty(0)
        self._rows = torch.arange(len(images), device=images.device).unsqueeze(1)

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(step, _TRAIN // _BATCH)
        if epoch != self._epoch:
            self._epoch, self._permutation = epoch, self._order.at(epoch).permutation(_TRAIN)
        chosen = self._permutation[:, place * _BATCH : (place + 1) * _BATCH]
        return self._images[self._rows, chosen], self._classes[self._rows, chosen]


class TrainedClassifier:
    """Base of the tasks that train a classifier: a subclass is a frozen dataclass that draws the network.

    Attributes:
        steps: optimization steps.
        lr: learning rate of Adam.
    """

    steps: int
    lr: float

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")

    def network(self, noise: Noise, replicates: int) -> Classifier:
        """The networks at their start, drawn from a stream that is stacked along axis 0."""
        raise NotImplementedError

    def build(self, method: object, ctx: Context) -> Training:
        """One training of all replicates: cross-entropy over batches of 64, Adam for what the method does not own."""
        model, digits = self.network(ctx.noise("init", stack=0), len(ctx.replicates)), Digits.split(ctx)
        session = cast("OrthogonalityMethod", method).attach(model.targets, ctx)

        def loss(batch: tuple[Tensor, Tensor], state: None, noise: Noise) -> tuple[Tensor, None]:
            return nll(model(batch[0]), batch[1]), state

        return _DigitsTraining(
            model=model,
            batches=_Batches(*digits.train, ctx.noise("order", stack=0)),
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, lr=self.lr),
            noise=ctx.noise("noise", stack=0),
            joins=(session,),
            replicates=len(ctx.replicates),
            counter=ctx.counter,
            digits=digits,
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """On the held-out images: nats, accuracy, accuracy under noise; and how orthogonal the weights are, `[R]`."""
        model, (images, classes) = cast("Classifier", training.model), digits_of(training).test
        noisy = images + _NOISE_SD * ctx.noise("measure", stack=0).normal(*images.shape)

        def values() -> dict[str, Tensor]:
            logits = model(images)
            return {
                "test-nll": nll(logits, classes),
                "test-accuracy": _accuracy(logits, classes),
                "noisy-accuracy": _accuracy(model(noisy), classes),
                **orthogonality(model.targets),
            }

        return values

    def score(self, method: object, ctx: Context) -> float:
        """Minus the nats per held-out image after training, NaN if it diverged."""
        return -trained_mean(self, method, ctx, "test-nll")


@dataclass(kw_only=True)
class _DigitsTraining(CountedTraining):
    digits: Digits


def digits_of(training: Training) -> Digits:
    """The images that a training of this kind was built with."""
    assert isinstance(training, _DigitsTraining)
    return training.digits


def nll(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean nats per sample of each replicate, `[R]`, from logits `[R, N, K]` and classes `[R, N]`."""
    values = functional.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none")
    return values.unflatten(0, classes.shape).mean(1)


def _accuracy(logits: Tensor, classes: Tensor) -> Tensor:
    return (logits.argmax(-1) == classes).double().mean(1)
