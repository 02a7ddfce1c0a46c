"""A small convolutional network on handwritten digits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from kexue_bench import task

from ..spectra import circular
from ..targets import WeightTarget
from ..words import CHOSEN_METHODS, TRAINING_RATES
from .digits import CLASSES, SIDE, Classifier, TrainedClassifier
from .layers import StackedConv2d, StackedLinear

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure, Training

_STRIDES = (1, 2)
_KERNEL = 3


@task(
    "digits-cnn",
    "train two convolutions and a linear layer on digits; also the true norm of the convolutions",
    version=1,
    kind="trained",
    offers={"inputs"},
    knobs=(TRAINING_RATES,),
    suites={"standard": ("digits-cnn",), "full": ("digits-cnn", "digits-cnn[channels=16]")},
    methods={"standard": (*CHOSEN_METHODS, "ocnn", "ocnn[padding=released]")},
    timed={"full"},
    replicates={"standard": 5, "full": 20},
    stack=5,
    primary="test-nll",
    headline=("test-nll", "test-accuracy", "noisy-accuracy", "orthogonality-error", "operator-norm", "flops"),
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class DigitsCnn(TrainedClassifier):
    """Train two 3 x 3 convolutions, the second of stride 2, and a linear layer; the method holds the convolutions.

    Data, start and training as in `digits-mlp`. Methods see a kernel as the matrix (in 9) x out, some of them the
    kernel itself. `operator-norm` is the largest singular value of a convolution on its images, with circular borders,
    which the flattened kernel does not show.

    Args:
        channels: of the first convolution; the second has twice as many.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: channels or steps is below 1, or the learning rate is not positive.
    """

    channels: int = 8
    steps: int = 460
    lr: float = 3e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels < 1:
            raise ValueError(f"channels must be >= 1, got {self.channels}")

    def network(self, noise: Noise, replicates: int) -> Classifier:
        """See `TrainedClassifier.network`."""
        kernels, inputs = [], 1
        for outputs in (self.channels, 2 * self.channels):
            scale = math.sqrt(2 / (inputs * _KERNEL**2))
            kernels.append(scale * noise.normal(replicates, outputs, inputs, _KERNEL, _KERNEL))
            inputs = outputs
        features = inputs * (SIDE // math.prod(_STRIDES)) ** 2
        head = math.sqrt(2 / features) * noise.normal(replicates, CLASSES, features)
        return Cnn(kernels, head)

    def measure(self, training: Training, ctx: Context) -> Measure:
        """See `TrainedClassifier.measure`; and `operator-norm`, the largest over the convolutions, `[R]`."""
        values, model = super().measure(training, ctx), training.model
        assert isinstance(model, Cnn)
        return lambda: {**values(), "operator-norm": model.operator_norm()}


class Cnn(Classifier):
    """Convolutions with ReLUs, and a linear layer.

    Args:
        kernels: `[R, out, in, 3, 3]` each.
        head: `[R, 10, features]`.
    """

    def __init__(self, kernels: Sequence[Tensor], head: Tensor) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            StackedConv2d(kernel, stride=stride) for kernel, stride in zip(kernels, _STRIDES, strict=True)
        )
        self.head = StackedLinear(head)
        self.targets = tuple(
            WeightTarget(name=f"convolutions.{i}.weight", module=layer, kind="convolution", stacked=True)
            for i, layer in enumerate(self.convolutions)
        )

    def forward(self, images: Tensor) -> Tensor:
        """See `Classifier.forward`."""
        x = images.unflatten(-1, (1, SIDE, SIDE))
        for layer in self.convolutions:
            x = layer(x).relu()
        return self.head(x.flatten(2))

    def operator_norm(self) -> Tensor:
        """The largest singular value of a convolution on its images, circular borders, `[R]`."""
        size, norms = SIDE, []
        for target, stride in zip(self.targets, _STRIDES, strict=True):
            norms.append(circular(target.weight().double(), size, stride).flatten(1).amax(1))
            size //= stride
        return torch.stack(norms).amax(0)
