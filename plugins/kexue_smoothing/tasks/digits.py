"""Handwritten digits learned through a soft top-k: classes among the first k, and nearest neighbours."""

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
    """A linear map a replicate, [R, 64, d], with the images of each replicate in the order of its split.

    Args:
        weight: its start.
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
    """What both tasks share: images, splits of each replicate's own, and the softness of a method.

    The soft mask works on scores that are centred and scaled to variance 1 in each row, so that the softness which
    gives the asked error on normal rows means the same to every method, and to every stage of training.

    Args:
        steps: optimisation steps.
        lr: learning rate.
        k: entries that are chosen.
        level: mean sum of absolute errors, on rows of normal scores, that every method is brought to.

    Attributes:
        features: what the map gives of an image.
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
        """One map a replicate; the loss is the soft form of what is measured."""
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
        """Images of a batch."""
        raise NotImplementedError

    @property
    def candidates(self) -> int:
        """Entries of a row of scores."""
        raise NotImplementedError

    def scores(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of the candidates [R, rows, candidates], and what each is worth if chosen."""
        raise NotImplementedError

    def _normal_rows(self, noise: Noise, count: int) -> Tensor:
        return noise.normal(count, self.candidates)

    def _mask(self, operator: Smoothing, scores: Tensor, softness: float, noise: Noise) -> Tensor:
        spread = scores.detach().std(-1, keepdim=True).clamp(min=1e-6)
        rows = (scores - scores.detach().mean(-1, keepdim=True)) / spread
        return operator.apply(rows, **arguments(operator, softness=softness, k=self.k, noise=noise))

    def _split(self, ctx: Context) -> tuple[Tensor, Tensor]:
        """Images in [0, 1] and classes, in each replicate's order, training images first; [R, n, 64], [R, n]."""
        known = ctx.data("digits")
        order = ctx.noise("split", stack=0).permutation(len(known["targets"])).cpu()
        images = (known["inputs"] / 16).to(ctx.dtype)[order].to(ctx.device)
        return images, known["targets"][order].to(ctx.device)


@task(
    "digits-top-k",
    "train a linear classifier of digits so that the class is among the 3 best, at one error of the mask",
    version=1,
    kind="trained",
    offers={"top-k", "linear", "training"},
    suites={"standard": ("digits-top-k",), "full": ("digits-top-k[steps=1000]",)},
    methods={"standard": "fitting", "full": "fitting"},
    timed={"full"},
    replicates={"quick": 5, "standard": 5, "full": 20},
    stack=5,
    primary="top-k-accuracy",
    headline=("top-k-accuracy", "top-1-accuracy", "time", "memory"),
    order=200,
)
@dataclass(frozen=True, kw_only=True)
class DigitsTopK(Digits):
    """Train a linear classifier so that the class is among the k best; the loss is 1 - the soft mask at the class.

    scikit-learn's 1,797 digits, 1,400 of them for training, by a split of each replicate's own; batches of 100, Adam.
    With the hard mask nothing is learned: its gradient is zero.

    Args:
        k: classes that are chosen of 10.
        level: mean sum of absolute errors, on rows of 10 normal scores, that every method is brought to.
    """

    features: ClassVar[int] = 10
    k: int = 3
    level: float = 0.8

    @property
    def examples(self) -> int:
        """Images of a batch."""
        return 100

    @property
    def candidates(self) -> int:
        """Classes."""
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
    "train 3 features of digits so that the 9 nearest images agree, at one error of the mask",
    version=1,
    kind="trained",
    offers={"top-k", "linear", "training"},
    suites={"standard": ("digits-neighbours",), "full": ("digits-neighbours[steps=1000]",)},
    methods={"standard": "fitting", "full": "fitting"},
    timed={"full"},
    replicates={"quick": 5, "standard": 5, "full": 20},
    stack=5,
    primary="neighbour-accuracy",
    headline=("neighbour-accuracy", "time", "memory"),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class DigitsNeighbours(Digits):
    """Train a linear map to 3 dimensions so that the k nearest images are of the same class.

    The loss is 1 - the soft share of the k nearest of 100 candidates that are of the query's class, for 50 queries a
    step (Grover et al. 2019, arXiv:1903.08850, section 6.3, in small). scikit-learn's 1,797 digits, 1,400 of them for
    training, by a split of each replicate's own; Adam. Scored by hard votes of the k nearest training images.

    Args:
        k: neighbours.
        level: mean sum of absolute errors, on rows of 100 normal scores, that every method is brought to.
    """

    features: ClassVar[int] = 3
    k: int = 9
    level: float = 2.0

    @property
    def examples(self) -> int:
        """Queries and candidates of a batch."""
        return 150

    @property
    def candidates(self) -> int:
        """Candidates of a query."""
        return 100

    def scores(self, features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Minus squared distances, and 1 / k where the classes agree."""
        queries, others = features[:, :50], features[:, 50:]
        distances = (queries.unsqueeze(-2) - others.unsqueeze(-3)).square().sum(-1)
        same = targets[:, :50].unsqueeze(-1) == targets[:, 50:].unsqueeze(-2)
        return -distances, same.to(features.dtype) / self.k

    def measure(self, training: Training, ctx: Context) -> Measure:
        """`neighbour-accuracy`: votes of the k nearest training images on the held-out ones."""
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
