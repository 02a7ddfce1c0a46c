"""Handwritten digits learned through a soft top-k: the class among the k best scores, and nearest neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from kexue_bench import task
from kexue_bench.lab.training import Training, adam

from ..contract import Smoothing, arguments, fitting
from .matching import Bench, Setting, calibration

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

_TRAINING_IMAGES = 1400


class Projection(nn.Module):
    """One linear map per replicate, [R, 64, d], with the images of each replicate in the order of its split.

    Args:
        weight: initial weight.
        images: training images first, [R, n, 64].
        targets: their classes, [R, n].
    """

    def __init__(self, weight: Tensor, images: Tensor, targets: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.images, self.targets = images, targets

    def forward(self, images: Tensor) -> Tensor:
        """[R, n, 64] to [R, n, d]."""
        return images @ self.weight


@dataclass(frozen=True, kw_only=True)
class Digits:
    """Base of both tasks: images, a split for each replicate, and the softness of a method.

    The soft mask is applied to scores that are centered and scaled to variance 1 in each row, so that the softness
    matched on normal rows is comparable across methods and stages of training.

    Args:
        steps: optimization steps.
        lr: learning rate.
        k: number of chosen entries.
        level: mean sum of absolute errors on rows of normal scores, matched for every method.

    Attributes:
        features: number of outputs of the linear map.
    """

    features: ClassVar[int]
    steps: int = 200
    lr: float = 0.01
    k: int
    level: float

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.lr > 0 or not self.level > 0 or self.k < 1:
            raise ValueError(
                f"steps, lr, k and level must be positive, got {self.steps}, {self.lr}, {self.k} and {self.level}"
            )

    def build(self, method: object, ctx: Context) -> Training:
        """One map per replicate; the loss is the soft form of the metric."""
        operator = fitting(method, "top-k")
        setting = Setting(
            kind="top-k", rows=self._normal_rows, n=self.candidates, k=self.k, match="error", level=self.level
        )
        softness = Bench(operator, setting, calibration(ctx)).softness
        images, targets = self._split(ctx)
        count = len(ctx.replicates)
        order = ctx.noise("order", stack=0)

        def batches(step: int) -> tuple[Tensor, Tensor]:
            picked = order.at(step).integers(_TRAINING_IMAGES, count, self.examples)
            return images.gather(1, picked.unsqueeze(-1).expand(-1, -1, 64)), targets.gather(1, picked)

        def loss(batch: tuple[Tensor, Tensor], state: None, noise: Noise) -> tuple[Tensor, None]:
            scores, wanted = self.scores(model(batch[0]), batch[1])
            mask = self._mask(operator, scores, softness, noise)
            return 1 - (mask * wanted).sum(-1).mean(-1), state

        weight = ctx.noise("init", stack=0).normal(count, 64, self.features) / 8
        model = Projection(weight, images, targets)
        return Training(
            model=model,
            batches=batches,
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, lr=self.lr),
            noise=ctx.noise("noise", stack=0),
            replicates=count,
        )

    @property
    def examples(self) -> int:
        """Images per batch."""
        raise NotImplementedError

    @property
    def candidates(self) -> int:
        """Entries per row of scores."""
        raise NotImplementedError

    def scores(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the candidates [R, rows, candidates], and the value of choosing each."""
        raise NotImplementedError

    def _normal_rows(self, noise: Noise, count: int) -> Tensor:
        return noise.normal(count, self.candidates)

    def _mask(self, operator: Smoothing, scores: Tensor, softness: float, noise: Noise) -> Tensor:
        spread = scores.detach().std(-1, keepdim=True).clamp(min=1e-6)
        rows = (scores - scores.detach().mean(-1, keepdim=True)) / spread
        return operator.apply(rows, **arguments(operator, softness=softness, k=self.k, noise=noise))

    def _split(self, ctx: Context) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and classes in the order of each replicate, training images first; [R, n, 64], [R, n]."""
        known = ctx.data("digits")
        order = ctx.noise("split", stack=0).permutation(len(known["targets"])).cpu()
        images = (known["inputs"] / 16).to(ctx.dtype)[order].to(ctx.device)
        return images, known["targets"][order].to(ctx.device)


@task(
    "digits-top-k",
    "linear classifier of digits with the class among the 3 best scores, at matched error of the mask",
    version=1,
    kind="trained",
    offers={"top-k", "linear", "training"},
    suites={"standard": ("digits-top-k",), "full": ("digits-top-k[steps=1000]",)},
    methods={"standard": "fitting", "full": "fitting"},
    timed={"full"},
    replicates={"quick": 5, "standard": 40, "full": 40},
    stack=5,
    primary="top-k-accuracy",
    headline=("top-k-accuracy", "top-1-accuracy", "time", "memory"),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class DigitsTopK(Digits):
    """Train a linear classifier so that the class is among the k best; the loss is 1 - the soft mask at the class.

    scikit-learn's 1,797 digits, 1,400 of them for training, with a separate split for each replicate; batches of 100,
    Adam. With the hard mask nothing is learned because its gradient is zero.

    Args:
        k: number of chosen classes, out of 10.
        level: mean sum of absolute errors on rows of 10 normal scores, matched for every method.
    """

    features: ClassVar[int] = 10
    k: int = 3
    level: float = 0.8

    @property
    def examples(self) -> int:
        """Images per batch."""
        return 100

    @property
    def candidates(self) -> int:
        """Number of classes."""
        return 10

    def scores(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The class scores, and 1 at the class."""
        return features, nn.functional.one_hot(targets, 10).to(features.dtype)

    def measure(self, training: Training, ctx: Context) -> Measure:
        """`top-k-accuracy` and `top-1-accuracy` on the held-out images."""
        model = training.model
        assert isinstance(model, Projection)

        def values() -> dict[str, Tensor]:
            scores = model(model.images[:, _TRAINING_IMAGES:])
            best = scores.topk(self.k, -1).indices == model.targets[:, _TRAINING_IMAGES:].unsqueeze(-1)
            return {
                "top-k-accuracy": best.any(-1).double().mean(-1),
                "top-1-accuracy": best[..., 0].double().mean(-1),
            }

        return values


@task(
    "digits-neighbours",
    "3 features of digits for which the 9 nearest images agree, at matched error of the mask",
    version=1,
    kind="trained",
    offers={"top-k", "linear", "training"},
    suites={"standard": ("digits-neighbours",), "full": ("digits-neighbours[steps=1000]",)},
    methods={"standard": "fitting", "full": "fitting"},
    timed={"full"},
    replicates={"quick": 5, "standard": 20, "full": 20},
    stack=5,
    primary="neighbour-accuracy",
    headline=("neighbour-accuracy", "time", "memory"),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class DigitsNeighbours(Digits):
    """Train a linear map to 3 dimensions such that the k nearest images have the same class.

    The loss is 1 - the soft share of the k nearest of 100 candidates that have the class of the query, for 50 queries
    per step (a small version of Grover et al. 2019, arXiv:1903.08850, section 6.3). scikit-learn's 1,797 digits, 1,400
    of them for training, with a separate split for each replicate; Adam. Scored by hard votes of the k nearest training
    images.

    Args:
        k: number of neighbors.
        level: mean sum of absolute errors on rows of 100 normal scores, matched for every method.
    """

    features: ClassVar[int] = 3
    k: int = 9
    level: float = 2.0

    @property
    def examples(self) -> int:
        """Queries and candidates per batch."""
        return 150

    @property
    def candidates(self) -> int:
        """Candidates per query."""
        return 100

    def scores(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Minus squared distances, and 1 / k if the classes agree."""
        queries, others = features[:, :50], features[:, 50:]
        distances = (queries.unsqueeze(-2) - others.unsqueeze(-3)).square().sum(-1)
        same = targets[:, :50].unsqueeze(-1) == targets[:, 50:].unsqueeze(-2)
        return -distances, same.to(features.dtype) / self.k

    def measure(self, training: Training, ctx: Context) -> Measure:
        """`neighbour-accuracy`: held-out images classified by the votes of the k nearest training images."""
        model = training.model
        assert isinstance(model, Projection)

        def values() -> dict[str, Tensor]:
            features = model(model.images)
            known, held = features[:, :_TRAINING_IMAGES], features[:, _TRAINING_IMAGES:]
            nearest = torch.cdist(held, known).topk(self.k, -1, largest=False).indices
            classes = model.targets[:, :_TRAINING_IMAGES].unsqueeze(1).expand(-1, held.shape[1], -1).gather(-1, nearest)
            votes = nn.functional.one_hot(classes, 10).sum(-2)
            right = votes.argmax(-1) == model.targets[:, _TRAINING_IMAGES:]
            return {"neighbour-accuracy": right.double().mean(-1)}

        return values
