"""The two demonstrations of the Lovász losses: segmentation of random triangles, with one bias and one convolution.

Protocol of the notebooks `demo_binary` and `demo_multiclass` of github.com/bermanmaxim/LovaszSoftmax: labels from
numpy's generator at seed 18. The notebooks draw features without a seed; here each replicate draws its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kexue_bench import task
from kexue_bench.lab.training import Training, adam
from kexue_f1.words import RATES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure
    from kexue_f1.contract import F1Loss

SIDE, VOID, SEED = 200, 255, 18
_FAR = 1e4


def triangles(images: int, categories: Sequence[int], seed: int = SEED) -> Tensor:
    """Labels `[images, 200, 200]`: on class 0, one random triangle of each category in order, later ones on top.

    A pixel belongs to a triangle if its center is inside or on an edge.
    """
    # The labels of the demonstration come from numpy's legacy generator at this seed.
    draw = np.random.RandomState(seed)  # see the line above
    out = np.zeros((images, SIDE, SIDE), dtype=np.int64)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for image in out:
        for category in categories:
            corners = draw.randint(SIDE, size=(3, 2))
            sides = [
                (bx - ax) * (rows - ay) - (by - ay) * (columns - ax)
                for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True)
            ]
            image[np.all([s >= 0 for s in sides], axis=0) | np.all([s <= 0 for s in sides], axis=0)] = category
    return torch.from_numpy(out)


def jaccard(called: Tensor, true: Tensor, valid: Tensor) -> Tensor:
    """Intersection over union of valid items along the last axis; 1 if both are empty."""
    both, either = ((called & true) & valid).sum(-1), ((called | true) & valid).sum(-1)
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)


class _Bias(nn.Module):
    """One number added to the feature of every pixel."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.bias = nn.Parameter(features.new_zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        """Logits in the shape of the features."""
        return features + self.bias


@task(
    "lovasz-demo-binary",
    "binary segmentation of ten images of triangles with one bias, the demonstration of the Lovász hinge",
    version=1,
    kind="trained",
    offers={"one-label"},
    knobs=(RATES,),
    suites={"full": ("lovasz-demo-binary",)},
    methods={"full": ("bce", "lovasz-hinge", "lovasz-softmax")},
    timed={"full"},
    replicates={"quick": 2, "standard": 3, "full": 10},
    primary="iou",
    headline=("iou", "time", "memory"),
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class LovaszDemoBinary:
    """Foreground against background in ten images with one bias, scored by mean intersection over union in percent.

    A triangle of void, then one of foreground. Features are normal with mean 1 in the foreground, -1 in the background
    and standard deviation 2.5; in the void, which loss and score ignore, they have mean 0 and standard deviation 5.
    Each image is a separate problem for the loss, and the mean over images is minimized. Adam from a bias of 0.

    Args:
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: steps is below 1, or the learning rate is not above 0.
    """

    steps: int = 500
    lr: float = 0.05

    def __post_init__(self) -> None:
        _check(self.steps, self.lr)

    def build(self, method: F1Loss, ctx: Context) -> DemoTraining:
        """One training of one replicate."""
        labels = triangles(10, (VOID, 1)).reshape(10, -1).to(ctx.device)
        noise = _single(ctx)
        void, y = labels == VOID, (labels == 1).to(ctx.dtype)
        features = torch.where(labels == 1, 1.0, -1.0) + 2.5 * noise.normal(*labels.shape)
        features = torch.where(void, 5.0 * noise.normal(*labels.shape), features).to(ctx.dtype)
        model = _Bias(features)

        def loss(_: int, state: Any, noise: Noise) -> tuple[Tensor, Any]:
            del noise
            # A void pixel that is correctly and certainly background changes these losses at most by a factor.
            values, state = method.loss(torch.where(void, -_FAR, model(features)), y, state)
            return values.mean(), state

        return _training(self.lr, model, loss, method.init(y), ctx, data=(features, labels))

    def measure(self, training: DemoTraining, ctx: Context) -> Measure:  # measuring draws nothing
        """Intersection over union of the foreground, mean over images."""
        features, labels = training.images

        def measured() -> Mapping[str, Tensor]:
            called = training.model(features) > 0
            score = jaccard(called, labels == 1, labels != VOID)
            return {"iou": 100 * score.mean()}

        return measured

    def score(self, method: F1Loss, ctx: Context) -> float:
        """The final intersection over union: with one bias there is nothing to overfit."""
        return _final(self, method, ctx)


class _Residual(nn.Module):
    """`x + convolution(x)` with three channels and a 3 x 3 kernel, initialized as in torch."""

    def __init__(self, noise: Noise) -> None:
        super().__init__()
        bound = 1 / math.sqrt(27)
        self.kernel = nn.Parameter(bound * (2 * noise.uniform(3, 3, 3, 3) - 1))
        self.bias = nn.Parameter(bound * (2 * noise.uniform(3) - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[images, 3, 200, 200]`."""
        return x + functional.conv2d(x, self.kernel, self.bias, padding=1)


@task(
    "lovasz-demo-classes",
    "segmentation of five images into three classes with one convolution, the demonstration of Lovász-softmax",
    version=1,
    kind="trained",
    offers={"classes", "one-label"},
    knobs=(RATES,),
    suites={"full": ("lovasz-demo-classes",)},
    methods={"full": ("bce", "cross-entropy", "lovasz-softmax")},
    timed={"full"},
    replicates={"quick": 2, "standard": 3, "full": 10},
    primary="iou",
    headline=("iou", "time", "memory"),
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class LovaszDemoClasses:
    """Three classes in five images with one residual convolution, scored by mean intersection over union in percent.

    Triangles of void, of class 1 and of class 2 on class 0; features are the one-hot class (a random one in the void)
    plus N(0, 2^2). Loss and score ignore void pixels; all pixels of all images form one batch. Trained with Adam.

    Args:
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: steps is below 1, or the learning rate is not above 0.
    """

    steps: int = 1000
    lr: float = 0.005

    def __post_init__(self) -> None:
        _check(self.steps, self.lr)

    def build(self, method: F1Loss, ctx: Context) -> DemoTraining:
        """One training of one replicate."""
        labels = triangles(5, (VOID, 1, 2)).to(ctx.device)
        noise = _single(ctx)
        shown = torch.where(labels == VOID, noise.integers(3, *labels.shape), labels)
        one_hot = functional.one_hot(shown, 3).movedim(-1, 1).to(ctx.dtype)
        features = one_hot + 2 * noise.normal(*one_hot.shape)
        valid = labels != VOID
        y = functional.one_hot(labels[valid], 3).to(ctx.dtype).unsqueeze(0)
        model = _Residual(ctx.noise("init"))

        def loss(_: int, state: Any, noise: Noise) -> tuple[Tensor, Any]:
            del noise
            return method.loss(model(features).movedim(1, -1)[valid].unsqueeze(0), y, state)

        return _training(self.lr, model, loss, method.init(y), ctx, data=(features, labels))

    def measure(self, training: DemoTraining, ctx: Context) -> Measure:  # measuring draws nothing
        """Intersection over union, mean over classes and per class."""
        features, labels = training.images

        def measured() -> Mapping[str, Tensor]:
            called = training.model(features).argmax(1).flatten()
            truth = labels.flatten()
            scores = [100 * jaccard(called == c, truth == c, truth != VOID) for c in range(3)]
            by_class = {f"iou[class={c}]": score for c, score in enumerate(scores)}
            return {"iou": torch.stack(scores).mean(), **by_class}

        return measured

    def score(self, method: F1Loss, ctx: Context) -> float:
        """The final intersection over union: 84 parameters cannot overfit 200,000 pixels."""
        return _final(self, method, ctx)


@dataclass(kw_only=True)
class DemoTraining(Training):
    """A training with the images on which it is measured."""

    images: tuple[Tensor, Tensor]


def _training(
    lr: float, model: nn.Module, loss: Any, state: Any, ctx: Context, *, data: tuple[Tensor, Tensor]
) -> DemoTraining:
    return DemoTraining(
        model=model,
        batches=lambda step: step,
        loss=loss,
        make_optimizer=lambda parameters: adam(parameters, lr=lr),
        noise=ctx.noise("noise"),
        state=state,
        images=data,
    )


def _single(ctx: Context) -> Noise:
    if len(ctx.replicates) != 1:
        raise ValueError(f"the demonstration trains one replicate at a time, got {len(ctx.replicates)}")
    return ctx.noise("data")


def _final(task: LovaszDemoBinary | LovaszDemoClasses, method: F1Loss, ctx: Context) -> float:
    training = task.build(method, ctx)
    trained = ctx.train(training, steps=task.steps, measure=task.measure(training, ctx), marks=())
    return math.nan if trained.diverged else float(trained.final["iou"])


def _check(steps: int, lr: float) -> None:
    if steps < 1:
        raise ValueError(f"steps must be >= 1, got {steps}")
    if not lr > 0:
        raise ValueError(f"lr must be > 0, got {lr}")
