"""A very deep network of tanh units, trained on digits while its gradients are measured."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..words import RECURRENT, TRAINING_RATES
from .digits import CLASSES, SIDE, Classifier, digits_of, nll
from .digits_mlp import DigitsMlp, Mlp

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure, Training

_WATCHED = 64


@task(
    "deep-mlp",
    "train 50 layers of tanh units on digits; how much of the gradient reaches the first",
    version=1,
    kind="trained",
    offers={"inputs"},
    knobs=(TRAINING_RATES,),
    suites={"standard": ("deep-mlp",), "full": ("deep-mlp", "deep-mlp[steps=1000]")},
    methods={"standard": RECURRENT},
    timed={"full"},
    replicates={"standard": 5, "full": 20},
    stack=5,
    primary="test-nll",
    headline=("test-nll", "test-accuracy", "gradient-ratio", "orthogonality-error", "flops"),
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class DeepMlp(DigitsMlp):
    """`digits-mlp` with tanh units and 50 hidden layers whose weights start at N(0, 1 / inputs).

    `gradient-ratio` is the norm of the gradient of the loss at the first hidden layer's output over that at the last
    one's, on 64 held-out images: 1 if nothing is lost in the backward pass.

    Args:
        width: units of a hidden layer.
        depth: hidden layers, >= 1.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: width, depth or steps is below 1, or the learning rate is not positive.
    """

    width: int = 32
    depth: int = 50
    steps: int = 100
    lr: float = 1e-3

    def network(self, noise: Noise, replicates: int) -> Classifier:
        """See `TrainedClassifier.network`."""
        sizes = [SIDE**2, *[self.width] * self.depth, CLASSES]
        return TanhMlp([noise.normal(replicates, b, a) / a**0.5 for a, b in itertools.pairwise(sizes)])

    def measure(self, training: Training, ctx: Context) -> Measure:
        """See `TrainedClassifier.measure`; and `gradient-ratio`, `[R]`."""
        values, model = super().measure(training, ctx), training.model
        assert isinstance(model, TanhMlp)
        images, classes = (tensor[:, :_WATCHED] for tensor in digits_of(training).test)
        return lambda: {**values(), "gradient-ratio": model.gradient_ratio(images, classes)}


class TanhMlp(Mlp):
    """Linear layers with tanh between them."""

    def forward(self, images: Tensor) -> Tensor:
        """See `Classifier.forward`."""
        x = images
        for layer in list(self.layers)[:-1]:
            x = layer(x).tanh()
        return self.layers[-1](x)

    def gradient_ratio(self, images: Tensor, classes: Tensor) -> Tensor:
        """Norm of the gradient at the first hidden layer over that at the last, `[R]`."""
        *hidden, last = self.layers
        with torch.enable_grad():
            outputs = [images]
            # Not by calling the layers: hooks on them must not take this for a training step.
            for layer in hidden:
                outputs.append(layer.forward(outputs[-1]).tanh())
            loss = nll(last.forward(outputs[-1]), classes).sum()
            near, far = torch.autograd.grad(loss, [outputs[1], outputs[-1]])
        return torch.linalg.vector_norm(near, dim=(1, 2)) / torch.linalg.vector_norm(far, dim=(1, 2))
