"""A fully connected network on handwritten digits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from kexue_bench import task

from ..targets import WeightTarget
from ..words import CHOSEN_METHODS, TRAINING_RATES
from .digits import CLASSES, SIDE, Classifier, TrainedClassifier
from .layers import StackedLinear

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

_HEADLINE = ("test-nll", "test-accuracy", "noisy-accuracy", "orthogonality-error", "time", "flops", "memory")
# Further penalties and maps that a training of minutes can afford.
# Few, so that the seconds of `quick` go into seeds: a baseline, a start, a norm, two penalties, an optimizer.
_FEW_METHODS = (
    "none",
    "orthogonal-init",
    "spectral-norm",
    "soft",
    "srip[solver=two-step]",
    "riemannian-sgd",
)
_MORE_METHODS = (
    *CHOSEN_METHODS,
    "double-soft",
    "off-diagonal",
    "off-diagonal[gradient=released]",
    "srip",
    "mc-entry",
    "mc-induced",
    "coherence",
    "som[estimator=split]",
    "mhe",
    "parametrization[map=[matrix_exp,householder]]",
    "newton-schulz",
    "muon",
)


@task(
    "digits-mlp",
    "train a fully connected network on digits; nats, accuracy, robustness, orthogonality",
    version=1,
    kind="trained",
    offers={"inputs"},
    knobs=(TRAINING_RATES,),
    suites={
        "quick": ("digits-mlp[steps=230]",),
        "standard": ("digits-mlp",),
        "full": ("digits-mlp", "digits-mlp[steps=4600]"),
        "verify": ("digits-mlp[width=16,steps=3]",),
    },
    methods={"quick": _FEW_METHODS, "standard": _MORE_METHODS},
    timed={"standard", "full"},
    replicates={"quick": 10, "standard": 20, "full": 20},
    stack=5,
    primary="test-nll",
    headline=_HEADLINE,
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class DigitsMlp(TrainedClassifier):
    """Train `depth` hidden layers of ReLUs on scikit-learn's digits; the method holds the weights of the hidden layers.

    1,437 of the 1,797 images are for training, with a separate split for each replicate, gray levels scaled to -1 .. 1.
    Weights start at N(0, 2 / inputs), biases at 0; Adam, batches of 64 without replacement within an epoch. Accuracy on
    360 held-out images has a standard error of about 0.7 points, so that methods are ranked by the nats. Noise of
    `noisy-accuracy` is normal with standard deviation 0.5.

    Args:
        width: units of a hidden layer.
        depth: hidden layers, >= 1; the last layer to the ten classes is added and left to the optimizer.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: width, depth or steps is below 1, or the learning rate is not positive.
    """

    width: int = 64
    depth: int = 3
    steps: int = 460
    lr: float = 3e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 1 or self.depth < 1:
            raise ValueError(f"width and depth must be >= 1, got {self.width}, {self.depth}")

    def network(self, noise: Noise, replicates: int) -> Classifier:
        """See `TrainedClassifier.network`."""
        sizes = [SIDE**2, *[self.width] * self.depth, CLASSES]
        return Mlp([math.sqrt(2 / a) * noise.normal(replicates, b, a) for a, b in itertools.pairwise(sizes)])


@task(
    "digits-mlp-large",
    "digits-mlp with six hidden layers of 128",
    version=1,
    kind="trained",
    offers={"inputs"},
    knobs=(TRAINING_RATES,),
    suites={
        "standard": ("digits-mlp-large[steps=230]",),
        "full": ("digits-mlp-large", "digits-mlp-large[depth=10]"),
    },
    methods={"standard": CHOSEN_METHODS},
    timed={"full"},
    replicates={"standard": 10, "full": 20},
    stack=5,
    primary="test-nll",
    headline=_HEADLINE,
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class DigitsMlpLarge(DigitsMlp):
    """`digits-mlp` at a size where penalties of matrices cost more than the network.

    Args:
        width: units of a hidden layer.
        depth: hidden layers, >= 1.
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: width, depth or steps is below 1, or the learning rate is not positive.
    """

    width: int = 128
    depth: int = 6


class Mlp(Classifier):
    """Linear layers with ReLUs between them.

    Args:
        weights: of each layer, `[R, out, in]`.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(StackedLinear(weight) for weight in weights)
        hidden = list(self.layers)[:-1]
        self.targets = tuple(
            WeightTarget(name=f"layers.{i}.weight", module=layer, stacked=True) for i, layer in enumerate(hidden)
        )

    def forward(self, images: Tensor) -> Tensor:
        """See `Classifier.forward`."""
        x = images
        for layer in list(self.layers)[:-1]:
            x = layer(x).relu()
        return self.layers[-1](x)
