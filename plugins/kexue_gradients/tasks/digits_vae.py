"""A linear variational autoencoder with eight bits on handwritten digits: training, scored exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from kexue_bench.lab.training import Training, adam
from kexue_gradients.contract import Distribution, Enumeration
from kexue_gradients.objective import FunctionObjective
from kexue_gradients.tasks.sampling import adapted, initial_state

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context, Counter, Noise
    from kexue_bench.lab.protocols import Measure
    from kexue_gradients.contract import GradientMethod

BITS = 8
_PIXELS, _IMAGES, _TRAIN, _BATCH = 64, 1797, 1500, 100
_ENCODER_SD, _DECODER_SD = 0.05, 0.1


@dataclass(frozen=True, kw_only=True)
class DigitsVae:
    """Train encoder and decoder of eight bits on binarised digits; the score is the exact ELBO in nats an image.

    scikit-learn's 1,797 digits, pixels > 7.5 are on; 1,500 of them are the training images, by a split of each
    replicate's own. Logits are linear in the pixels, pixel logits linear in 2 b - 1, the prior is 1/2. The loss is
    `E_q[-log p(x|b)] + KL(q || prior)`: the first term through the estimator (the decoder learns from the same
    samples), the second in closed form. Adam, batches of 100 without replacement within an epoch.
    The ELBO sums over all 256 states, so only the training is random.

    Pixels enter the encoder as -1 and 1, centred so that its bias is not its main direction; weights start at
    N(0, .05^2) (encoder) and N(0, .1^2) (decoder), biases at 0, which puts q near the prior. This belongs to the
    definition: with -1/2 and 1/2 instead, Adam moves the logits half as fast, and after 2,000 steps noisy methods are
    worse by .3 (rloo, reinmax) to 1.1 nats (reinforce) and `exact` by less than .1.

    Args:
        steps: optimisation steps.
        lr: learning rate of Adam.

    Raises:
        ValueError: steps is below 1, or the learning rate is not positive.
    """

    steps: int = 2000
    lr: float = 3e-3

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be >= 1, got {self.steps}")
        if not self.lr > 0:
            raise ValueError(f"lr must be > 0, got {self.lr}")

    def build(self, method: GradientMethod, ctx: Context) -> Training:
        """One training of all replicates, stacked."""
        replicates = len(ctx.replicates)
        split = ctx.noise("split", stack=0).permutation(_IMAGES)
        images = binary_digits(ctx)[split]
        model = LinearVae.drawn(ctx.noise("init", stack=0), images)
        counter, order = ctx.counter, ctx.noise("order", stack=0)
        blank = model.posterior(torch.zeros(replicates, _BATCH, _PIXELS, dtype=ctx.dtype, device=ctx.device))
        return Training(
            model=model,
            batches=_Batches(model.train_images, order),
            loss=lambda batch, state, noise: _loss(model, method, batch, state, noise, counter),
            make_optimizer=lambda parameters: adam(parameters, lr=self.lr),
            noise=ctx.noise("noise", stack=-3),
            state=initial_state(method, blank, ctx.noise("method", stack=0)),
            replicates=replicates,
        )

    def measure(self, training: Training, ctx: Context) -> Measure:  # noqa: ARG002  # measuring draws nothing
        """The exact ELBO on the training and on the held-out images, nats an image, `[R]`."""
        model = training.model
        assert isinstance(model, LinearVae)
        return lambda: {"elbo": model.elbo(model.train_images), "elbo-test": model.elbo(model.test_images)}

    def score(self, method: GradientMethod, ctx: Context) -> float:
        """The exact ELBO on held-out images after training, NaN where it diverged."""
        training = self.build(method, ctx)
        trained = ctx.train(training, steps=self.steps, measure=self.measure(training, ctx), marks=())
        return math.nan if trained.diverged else float(trained.final["elbo-test"].mean())


class LinearVae(nn.Module):
    """R linear autoencoders side by side, with the images they are trained and measured on.

    Args:
        encoder: weights `[R, 64, 8]` and bias `[R, 1, 8]`; for one model the leading R may be left out everywhere.
        decoder: weights `[R, 8, 64]` and bias `[R, 1, 64]`.
        train_images: `[R, 1500, 64]`, 0 and 1.
        test_images: `[R, 297, 64]`, 0 and 1.
    """

    train_images: Tensor
    test_images: Tensor

    def __init__(
        self,
        encoder: tuple[Tensor, Tensor],
        decoder: tuple[Tensor, Tensor],
        train_images: Tensor,
        test_images: Tensor,
    ) -> None:
        super().__init__()
        self.encoder_weight, self.encoder_bias = map(nn.Parameter, encoder)
        self.decoder_weight, self.decoder_bias = map(nn.Parameter, decoder)
        self.register_buffer("train_images", train_images)
        self.register_buffer("test_images", test_images)

    @classmethod
    def drawn(cls, noise: Noise, images: Tensor) -> LinearVae:
        """The task's initialisation for images `[R, 1797, 64]`, training images first; `noise` is stacked along 0."""
        stack = len(images)
        bias = images.new_zeros
        encoder = (_ENCODER_SD * noise.normal(stack, _PIXELS, BITS), bias(stack, 1, BITS))
        decoder = (_DECODER_SD * noise.normal(stack, BITS, _PIXELS), bias(stack, 1, _PIXELS))
        return cls(encoder, decoder, images[:, :_TRAIN], images[:, _TRAIN:])

    def logits(self, images: Tensor) -> Tensor:
        """Logits of q(b|x), `[R, B, 8]`, on the graph."""
        return (2 * images - 1) @ self.encoder_weight + self.encoder_bias

    def posterior(self, images: Tensor) -> Distribution:
        """q(b|x), off the graph."""
        return Distribution(kind="bernoulli", logits=self.logits(images), context=images)

    def objective(self, images: Tensor, counter: Counter | None = None) -> FunctionObjective:
        """`-log p(x|b)` for images `[R, B, 64]`, as a function of b."""

        def value(b: Tensor) -> Tensor:
            pixels = (2 * b - 1) @ self.decoder_weight + self.decoder_bias
            return functional.softplus(pixels).sum(-1) - (pixels * images).sum(-1)

        return FunctionObjective(value, counter=counter, table=lambda: self._table(images))

    def _table(self, images: Tensor) -> Enumeration:
        """`-log p(x|b)` at all 256 states: one decoding of the states serves every image."""
        states = all_states(images)
        pixels = (2 * states - 1) @ self.decoder_weight + self.decoder_bias
        values = functional.softplus(pixels).sum(-1).unsqueeze(-2) - images @ pixels.mT
        return Enumeration(states=states, values=values.movedim(-1, 0).unsqueeze(-1))

    def elbo(self, images: Tensor) -> Tensor:
        """Exact ELBO, nats an image, `[R]`."""
        logits = self.logits(images)
        log_q = logits @ all_states(images).T - functional.softplus(logits).sum(-1, keepdim=True)
        values = self._table(images).values.squeeze(-1).movedim(0, -1)
        return -((log_q.exp() * values).sum(-1) + kl_to_half(logits)).mean(-1)


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


def _loss(
    model: LinearVae, method: GradientMethod, images: Tensor, state: object, noise: Noise, counter: Counter
) -> tuple[Tensor, object]:
    """Negative ELBO of a batch, `[R]`, with the estimator's gradient on the encoder; and the method's next state."""
    logits = model.logits(images)
    distribution = Distribution(kind="bernoulli", logits=logits, context=images)
    sample, state = adapted(method, distribution, model.objective(images, counter), noise, state)
    loss = (sample.surrogate(logits).mean(0) + kl_to_half(logits)).mean(-1)
    return loss, state


def binary_digits(ctx: Context) -> Tensor:
    """The digits as 0 and 1, `[1797, 64]`, in the context's dtype."""
    return (ctx.data("digits")["inputs"] > 7.5).to(device=ctx.device, dtype=ctx.dtype)


def all_states(like: Tensor) -> Tensor:
    """All 256 settings of eight bits, `[256, 8]`."""
    codes = torch.arange(2**BITS, device=like.device).unsqueeze(1)
    return (codes >> torch.arange(BITS, device=like.device) & 1).to(like.dtype)


def kl_to_half(logits: Tensor) -> Tensor:
    """KL of bits with these logits to fair bits, summed over the last dimension."""
    return (torch.sigmoid(logits) * logits - functional.softplus(logits) + math.log(2)).sum(-1)
