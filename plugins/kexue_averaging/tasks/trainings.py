"""Trainings at a constant rate, where an average is what lowers the noise of the last steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD

from kexue_bench import Knob, task
from kexue_bench.lab.training import Training

from ..contract import Averager
from ..words import OPTIMIZER

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure

IMAGES, PIXELS, CLASSES, TRAIN, BATCH = 1797, 64, 10, 1437, 64
_RATES = Knob(field="lr", grid=(0.02, 0.05, 0.1, 0.2, 0.5))
_CHOSEN = ("raw", "ema[decay=[0.9,0.99]]", "power-ema", "polyak", "swa", "lawa", "lookahead", "schedule-free")
_FEW = ("raw", "ema[decay=[0.9,0.99]]", "power-ema", "polyak", "lawa")


class _Digits:
    """Images, classes and batches of R replicates, each with a split and an order of its own."""

    def __init__(self, ctx: Context) -> None:
        data = ctx.data("digits")
        images = (data["inputs"] / 8 - 1).to(device=ctx.device, dtype=ctx.dtype)
        order = ctx.noise("split", stack=0).permutation(IMAGES)
        images, classes = images[order], data["targets"].to(ctx.device)[order]
        self.train, self.test = (images[:, :TRAIN], classes[:, :TRAIN]), (images[:, TRAIN:], classes[:, TRAIN:])
        self._order = ctx.noise("order", stack=0)
        self._rows = torch.arange(len(images), device=images.device).unsqueeze(1)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step, drawn without replacement: images `[R, 64, 64]` and classes `[R, 64]`."""
        chosen = self._order.at(step).permutation(TRAIN)[:, :BATCH]
        return self.train[0][self._rows, chosen], self.train[1][self._rows, chosen]


@dataclass(kw_only=True)
class _DigitsTraining(Training):
    digits: _Digits


class _Trained:
    """What both trainings share; a subclass is a frozen dataclass that draws its model and states its loss."""

    steps: int
    lr: float

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")

    def model(self, noise: Noise, replicates: int) -> nn.Module:
        """R networks in parallel: images `[R, N, 64]` -> logits `[R, N, 10]`."""
        raise NotImplementedError

    def penalty(self, model: nn.Module) -> Tensor | float:
        """Added to the nats, `[R]` or 0."""
        return 0.0

    def build(self, method: object, ctx: Context) -> Training:
        """Plain gradient descent at a constant rate, with the average beside it or in its place."""
        replicates, digits = len(ctx.replicates), _Digits(ctx)
        model = self.model(ctx.noise("init", stack=0), replicates)
        average: Any = cast("Averager", method).attach(
            model, batches=lambda index: digits.batch(index)[0], noise=ctx.noise("method", stack=0), lr=self.lr
        )

        def loss(batch: tuple[Tensor, Tensor], state: None, noise: Noise) -> tuple[Tensor, None]:
            return nats(model(batch[0]), batch[1]) + self.penalty(model), state

        return _DigitsTraining(
            model=model,
            batches=digits.batch,
            loss=loss,
            make_optimizer=lambda parameters: SGD(parameters, lr=self.lr),
            noise=ctx.noise("noise", stack=0),
            joins=(average,),
            replicates=replicates,
            digits=digits,
        )


@task(
    "digits-average",
    "train a network with batch normalization on digits at a constant rate; nats of the averaged weights",
    version=1,
    kind="trained",
    offers={OPTIMIZER},
    knobs=(_RATES,),
    suites={
        "standard": ("digits-average",),
        "full": ("digits-average", "digits-average[steps=4000]"),
        "verify": ("digits-average[width=8,steps=3]",),
    },
    methods={"standard": _CHOSEN, "full": _CHOSEN},
    timed={"standard", "full"},
    replicates={"standard": 10, "full": 20},
    stack=5,
    primary="test-nll",
    headline=("test-nll", "test-accuracy", "time", "memory"),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class DigitsAverage(_Trained):
    """A hidden layer with batch normalization and ReLU on scikit-learn's digits, by SGD at a constant rate.

    1,437 of the 1,797 images are for training, with a separate split for each replicate; nats and accuracy are those on
    the 360 others, at averaged weights and with the statistics of batch normalization that the averager shows.

    Args:
        width: units of the hidden layer, >= 1.
        steps: optimization steps, >= 1.
        lr: learning rate.

    Raises:
        ValueError: a field is out of range.
    """

    width: int = 32
    steps: int = 1000
    lr: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 1:
            raise ValueError(f"width must be >= 1, got {self.width}")

    def model(self, noise: Noise, replicates: int) -> nn.Module:
        """See `_Trained.model`."""
        sizes = (PIXELS, self.width), (self.width, CLASSES)
        hidden, out = (math.sqrt(2 / a) * noise.normal(replicates, a, b) for a, b in sizes)
        return _Normalized(hidden, out)

    def measure(self, training: Training, ctx: Context) -> Measure:
        """Nats and accuracy on the held-out images, `[R]`."""
        images, classes = cast("_DigitsTraining", training).digits.test

        def values() -> dict[str, Tensor]:
            logits = training.model(images)
            return {
                "test-nll": nats(logits, classes),
                "test-accuracy": (logits.argmax(-1) == classes).double().mean(1),
            }

        return values

    def score(self, method: object, ctx: Context) -> float:
        """Minus the nats per held-out image after training, NaN if it diverged."""
        return -mean_after(self, method, ctx, "test-nll")


@task(
    "logistic-average",
    "logistic regression on digits at a constant rate; loss above that of the exact optimum",
    version=1,
    kind="trained",
    offers={OPTIMIZER},
    knobs=(_RATES,),
    suites={
        "quick": ("logistic-average",),
        "standard": ("logistic-average",),
        "full": ("logistic-average", "logistic-average[steps=5000]"),
        "verify": ("logistic-average[steps=3]",),
    },
    methods={"quick": _FEW, "standard": _CHOSEN, "full": _CHOSEN},
    timed=(),
    replicates={"quick": 5, "standard": 10, "full": 20},
    stack=5,
    dtype="float64",
    primary="excess-loss",
    headline=("excess-loss", "time"),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class LogisticAverage(_Trained):
    """Multinomial logistic regression with an L2 penalty on 1,437 digits; the optimum is found by Newton's method.

    `excess-loss` is the penalized loss on all training images above its minimum: the truth is exact, and there is one.

    Args:
        steps: optimization steps, >= 1.
        lr: learning rate.
        decay: weight of the penalty decay |w|^2 / 2, > 0: the optimum is then unique.

    Raises:
        ValueError: a field is out of range.
    """

    steps: int = 1000
    lr: float = 0.5
    decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.decay > 0:
            raise ValueError(f"decay must be > 0, got {self.decay}; without a penalty there is no optimum")

    def model(self, noise: Noise, replicates: int) -> nn.Module:
        """See `_Trained.model`."""
        return _Linear(torch.zeros_like(noise.normal(replicates, PIXELS + 1, CLASSES)))

    def penalty(self, model: nn.Module) -> Tensor | float:
        """Decay |w|^2 / 2, `[R]`."""
        return self.decay / 2 * model.get_parameter("weight").square().sum((1, 2))

    def measure(self, training: Training, ctx: Context) -> Measure:
        """The penalized loss on the training images less its minimum, `[R]`."""
        images, classes = cast("_DigitsTraining", training).digits.train
        least = torch.stack([optimum(x, c, self.decay)[1] for x, c in zip(images, classes, strict=True)])

        def values() -> dict[str, Tensor]:
            found = nats(training.model(images), classes) + self.penalty(training.model)
            return {"excess-loss": found - least}

        return values

    def score(self, method: object, ctx: Context) -> float:
        """Minus the logarithm of the mean excess loss, NaN if it diverged."""
        return -math.log(mean_after(self, method, ctx, "excess-loss"))


def optimum(images: Tensor, classes: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """Minimum of the penalized nats, by damped Newton steps to a gradient of 1e-11.

    Args:
        images: `[N, 64]`.
        classes: `[N]`.
        decay: weight of the penalty.

    Returns:
        Weights `[65, 10]` and the loss there, float64.
    """
    x, targets = _with_bias(images.double()), functional.one_hot(classes, CLASSES).double()
    w = torch.zeros(x.shape[1], CLASSES, dtype=torch.float64, device=x.device)
    size = w.numel()

    def loss(w: Tensor) -> Tensor:
        return functional.cross_entropy(x @ w, classes) + decay / 2 * w.square().sum()

    for _ in range(50):
        p = (x @ w).softmax(1)
        gradient = (x.mT @ (p - targets) / len(x) + decay * w).T.reshape(-1)
        if float(gradient.norm()) < 1e-11:
            break
        # Blocks d^2 / dw_a dw_b = X' diag(p_a (1[a = b] - p_b)) X / N; all b of one a at once.
        shares = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        rows = [(shares[:, a].mT[:, None] * x.mT) @ x for a in range(CLASSES)]
        hessian = torch.stack(rows).transpose(1, 2).reshape(size, size) / len(x)
        hessian.diagonal().add_(decay)
        step = torch.linalg.solve(hessian, gradient).reshape(CLASSES, -1).T
        length, before = 1.0, loss(w)
        while loss(w - length * step) > before and length > 1e-6:
            length /= 2
        w = w - length * step
    return w, loss(w)


def nats(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean nats per image of each replicate, `[R]`, from logits `[R, N, K]` and classes `[R, N]`."""
    values = functional.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none")
    return values.unflatten(0, classes.shape).mean(1)


def _with_bias(images: Tensor) -> Tensor:
    return torch.cat([images, torch.ones_like(images[..., :1])], -1)


def mean_after(task: Any, method: object, ctx: Context, metric: str) -> float:
    """Mean over replicates of a metric after training; NaN if one diverged."""
    built = task.build(method, ctx)
    trained = ctx.train(built, steps=task.steps, measure=task.measure(built, ctx), marks=())
    return float(trained.final[metric].mean())


class _Linear(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return _with_bias(images) @ self.weight


class _Normalized(nn.Module):
    """R networks: the statistics of each unit of each network are those of one batch normalization of all units."""

    def __init__(self, hidden: Tensor, out: Tensor) -> None:
        super().__init__()
        replicates, _, width = hidden.shape
        self.hidden, self.out = nn.Parameter(hidden), nn.Parameter(out)
        self.gain = nn.Parameter(torch.ones_like(hidden[:, :1]))
        self.shift = nn.Parameter(torch.zeros_like(hidden[:, :1]))
        self.bias = nn.Parameter(torch.zeros_like(out[:, :1]))
        self.norm = nn.BatchNorm1d(replicates * width, affine=False, device=hidden.device, dtype=hidden.dtype)

    def forward(self, images: Tensor) -> Tensor:
        """See `_Trained.model`."""
        units = images @ self.hidden
        flat = self.norm(units.transpose(0, 1).flatten(1))
        normal = flat.unflatten(1, (len(units), -1)).transpose(0, 1)
        return (normal * self.gain + self.shift).relu() @ self.out + self.bias
