"""Linear models of handwritten digits with a discrete layer between two halves, as trained by the digits tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kexue_bench.lab.training import Training, adam
from kexue_gradients.contract import Distribution, Enumeration
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import adapted, initial_state
from kexue_gradients.tasks.states import bit_states, class_states

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.counter import Counter
    from kexue_bench.lab.noise import Noise
    from kexue_bench.lab.training import Measure
    from kexue_gradients.contract import GradientMethod

PIXELS = 64
_BITS, _BLOCKS, _CLASSES = 8, 4, 4
_IMAGES, _TRAIN, _BATCH = 1797, 1500, 100
_ENCODER_SD, _DECODER_SD = 0.05, 0.1


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a digits model reads and predicts, and the variables in between.

    Args:
        layout: `bits` for 8 bits, `classes` for 4 choices of 4: 256 states either way.
        seen: number of pixels read, from the first.
        predicted: number of pixels predicted, up to the last.
        prior: whether the loss includes the divergence from q to the uniform prior, as that of an autoencoder does.
    """

    layout: str = "bits"
    seen: int = PIXELS
    predicted: int = PIXELS
    prior: bool = True

    @property
    def units(self) -> int:
        """Logits of one image."""
        return _BITS if self.layout == "bits" else _BLOCKS * _CLASSES

    @property
    def variables(self) -> int:
        """Trailing dimensions of the logits of one image: 1 or 2."""
        return 1 if self.layout == "bits" else 2


class DigitsModel(nn.Module):
    """R linear models in parallel, with the images they are trained and measured on.

    Logits are linear in the pixels, centered to -1 and 1; pixel logits are linear in 2 b - 1, b flattened.

    Args:
        shape: what is read and predicted.
        encoder: weights `[R, seen, units]` and bias `[R, 1, units]`; for one model the leading R may be left out.
        decoder: weights `[R, units, predicted]` and bias `[R, 1, predicted]`.
        train_images: `[R, 1500, 64]`, 0 and 1.
        test_images: `[R, 297, 64]`, 0 and 1.
    """

    train_images: Tensor
    test_images: Tensor

    def __init__(
        self,
        shape: Shape,
        encoder: tuple[Tensor, Tensor],
        decoder: tuple[Tensor, Tensor],
        train_images: Tensor,
        test_images: Tensor,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.encoder_weight, self.encoder_bias = map(nn.Parameter, encoder)
        self.decoder_weight, self.decoder_bias = map(nn.Parameter, decoder)
        self.register_buffer("train_images", train_images)
        self.register_buffer("test_images", test_images)

    @classmethod
    def drawn(cls, shape: Shape, noise: Noise, images: Tensor) -> DigitsModel:
        """The tasks' initialization for images `[R, 1797, 64]`, training images first; `noise` is stacked along 0."""
        stack = len(images)
        bias = images.new_zeros
        encoder = (_ENCODER_SD * noise.normal(stack, shape.seen, shape.units), bias(stack, 1, shape.units))
        decoder = (_DECODER_SD * noise.normal(stack, shape.units, shape.predicted), bias(stack, 1, shape.predicted))
        return cls(shape, encoder, decoder, images[:, :_TRAIN], images[:, _TRAIN:])

    def logits(self, images: Tensor) -> Tensor:
        """Logits of q(b|x) for images `[R, B, 64]`, on the graph: `[R, B, 8]` or `[R, B, 4, 4]`."""
        logits = (2 * self._seen(images) - 1) @ self.encoder_weight + self.encoder_bias
        return logits if self.shape.layout == "bits" else logits.unflatten(-1, (_BLOCKS, _CLASSES))

    def posterior(self, images: Tensor, logits: Tensor | None = None) -> Distribution:
        """q(b|x), off the graph; `logits` if they are known already."""
        kind = "bernoulli" if self.shape.layout == "bits" else "categorical"
        logits = self.logits(images) if logits is None else logits
        return Distribution(kind=kind, logits=logits, context=self._seen(images))

    def objective(self, images: Tensor, counter: Counter | None = None) -> FunctionObjective:
        """`-log p(predicted pixels|b)` for images `[R, B, 64]`, as a function of b."""
        target = self._predicted(images)

        def value(b: Tensor) -> Tensor:
            pixels = self._decoded(b)
            return functional.softplus(pixels).sum(-1) - (pixels * target).sum(-1)

        return FunctionObjective(value, counter=counter, table=lambda: self._table(target))

    def divergence(self, logits: Tensor) -> Tensor:
        """KL of q to the uniform prior, `[R, B]`; 0 without a prior."""
        if not self.shape.prior:
            return logits.new_zeros(())
        if self.shape.layout == "bits":
            return (torch.sigmoid(logits) * logits - functional.softplus(logits) + math.log(2)).sum(-1)
        log_q = logits.log_softmax(-1)
        return (log_q.exp() * log_q).sum((-1, -2)) + _BLOCKS * math.log(_CLASSES)

    def bound(self, images: Tensor) -> Tensor:
        """Exact `E_q log p(predicted pixels|b)`, less the divergence, in nats per image, `[R]`."""
        logits = self.logits(images)
        values = self._table(self._predicted(images)).values.squeeze(-1).movedim(0, -1)
        return -((self._log_q(logits).exp() * values).sum(-1) + self.divergence(logits)).mean(-1)

    def _seen(self, images: Tensor) -> Tensor:
        return images[..., : self.shape.seen]

    def _predicted(self, images: Tensor) -> Tensor:
        return images[..., PIXELS - self.shape.predicted :]

    def _decoded(self, b: Tensor) -> Tensor:
        flat = b if self.shape.layout == "bits" else b.flatten(-2)
        return (2 * flat - 1) @ self.decoder_weight + self.decoder_bias

    def _table(self, target: Tensor) -> Enumeration:
        """`-log p` at all 256 states: one decoding of the states serves every image."""
        states = all_states(self.shape.layout, target)
        pixels = self._decoded(states)
        values = functional.softplus(pixels).sum(-1).unsqueeze(-2) - target @ pixels.mT
        return Enumeration(states=states, values=values.movedim(-1, 0).unsqueeze(-1))

    def _log_q(self, logits: Tensor) -> Tensor:
        """Log-probability of each of the 256 states, `[R, B, 256]`."""
        states = all_states(self.shape.layout, logits)
        if self.shape.layout == "bits":
            return logits @ states.T - functional.softplus(logits).sum(-1, keepdim=True)
        return logits.log_softmax(-1).flatten(-2) @ states.flatten(1).T


class _Batches:
    """`batches(step)`: consecutive slices of a fresh permutation of each epoch, `[R, 100, 64]`."""

    def __init__(self, images: Tensor, order: Noise) -> None:
        self._images, self._order = images, order
        self._epoch = -1
        self._permutation = torch.empty(0)
        self._rows = torch.arange(len(images), device=images.device).unsqueeze(1)

    def __call__(self, step: int) -> Tensor:
        epoch, place = divmod(step, _TRAIN // _BATCH)
        if epoch != self._epoch:
            self._epoch, self._permutation = epoch, self._order.at(epoch).permutation(_TRAIN)
        return self._images[self._rows, self._permutation[:, place * _BATCH : (place + 1) * _BATCH]]


@dataclass(frozen=True, kw_only=True)
class TrainedDigits:
    """Base of the tasks that train a digits model; each of them declares its shape.

    Args:
        steps: optimization steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: steps is below 1, or the learning rate is not positive.
    """

    shape: ClassVar[Shape]
    steps: int = 2000
    lr: float = 3e-3

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")

    def build(self, method: GradientMethod, ctx: Context) -> Training:
        """One training of all replicates, stacked: Adam on minus the bound, each replicate with its own split."""
        replicates = len(ctx.replicates)
        split = ctx.noise("split", stack=0).permutation(_IMAGES)
        model = DigitsModel.drawn(self.shape, ctx.noise("init", stack=0), binary_digits(ctx)[split])
        counter, order = ctx.counter, ctx.noise("order", stack=0)
        blank = model.posterior(torch.zeros(replicates, _BATCH, PIXELS, dtype=ctx.dtype, device=ctx.device))

        def loss(images: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
            logits = model.logits(images)
            law = model.posterior(images, logits)
            sample, state = adapted(method, law, model.objective(images, counter), noise, state)
            return (sample.surrogate(logits).mean(0) + model.divergence(logits)).mean(-1), state

        return Training(
            model=model,
            batches=_Batches(model.train_images, order),
            loss=loss,
            make_optimizer=lambda parameters: adam(parameters, lr=self.lr),
            noise=ctx.noise("noise", stack=-2 - self.shape.variables),
            state=initial_state(method, blank, ctx.noise("method", stack=0)),
            replicates=replicates,
        )

    def measure(self, training: Training, ctx: Context) -> Measure:
        """The exact bound on the training and on the held-out images, in nats per image, `[R]`."""
        model = training.model
        assert isinstance(model, DigitsModel)
        return lambda: {"elbo": model.bound(model.train_images), "elbo-test": model.bound(model.test_images)}

    def score(self, method: GradientMethod, ctx: Context) -> float:
        """The exact bound on held-out images after training, NaN if it diverged."""
        training = self.build(method, ctx)
        trained = ctx.train(training, steps=self.steps, measure=self.measure(training, ctx), marks=())
        return math.nan if trained.diverged else float(trained.final["elbo-test"].mean())


def binary_digits(ctx: Context) -> Tensor:
    """The digits as 0 and 1, `[1797, 64]`, in the context's dtype."""
    return (ctx.data("digits")["inputs"] > 7.5).to(device=ctx.device, dtype=ctx.dtype)


def all_states(layout: str, like: Tensor) -> Tensor:
    """All 256 settings of eight bits `[256, 8]`, or of four choices of four `[256, 4, 4]`."""
    return bit_states(_BITS, like) if layout == "bits" else class_states(_BLOCKS, _CLASSES, like)
