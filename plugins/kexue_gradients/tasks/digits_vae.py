"""A linear variational autoencoder with 256 states on handwritten digits: training, scored exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kexue_bench import task
from kexue_gradients.tasks.digits_model import Shape, TrainedDigits
from kexue_gradients.words import LEARNING_RATES, SMOOTH, TRAINED_COLUMNS, TRAINED_METHODS


@task(
    "digits-vae",
    "train an 8-bit VAE of digits; exact ELBO over the 256 states",
    version=1,
    kind="trained",
    offers={*SMOOTH, "bernoulli"},
    suites={
        "quick": ("digits-vae[steps=300]",),
        "standard": ("digits-vae[steps=2000]",),
        "full": ("digits-vae[steps=[2000,8000]]",),
        "verify": ("digits-vae[steps=3]",),
    },
    methods=TRAINED_METHODS,
    timed={"standard", "full"},
    replicates={"quick": 5, "standard": 10, "full": 20},
    stack=5,
    knobs=(LEARNING_RATES,),
    primary="elbo",
    headline=TRAINED_COLUMNS,
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class DigitsVae(TrainedDigits):
    """The loss is `E_q[-log p(x|b)] + KL(q || prior)` in nats per image, for binarized digits x and eight bits b.

    scikit-learn's 1,797 digits, pixels > 7.5 are on; 1,500 of them are the training images, with a separate split for
    each replicate. The logits of q are linear in the pixels, pixel logits are linear in 2 b - 1, the prior is 1/2. The
    first term goes through the estimator (the decoder learns from the same samples), the second is in closed form.
    Adam, batches of 100 without replacement within an epoch. The score is minus the loss, summed over all states, so
    only the training is random.

    Pixels enter the encoder as -1 and 1, centered so that its bias is not its main direction; weights start at N(0,
    0.05^2) (encoder) and N(0, 0.1^2) (decoder), biases at 0, which puts q near the prior. This is part of the
    definition: with -1/2 and 1/2 instead, Adam moves the logits half as fast, and after 2,000 steps noisy methods are
    worse by 0.3 (rloo, reinmax) to 1.1 nats (reinforce) and `exact` by less than 0.1.
    """

    shape: ClassVar[Shape] = Shape()


@task(
    "digits-vae-classes",
    "train a VAE of digits with four choices of four; exact ELBO over the 256 states",
    version=1,
    kind="trained",
    offers={*SMOOTH, "categorical"},
    suites={"standard": ("digits-vae-classes[steps=2000]",), "full": ("digits-vae-classes[steps=[2000,8000]]",)},
    methods=TRAINED_METHODS,
    timed={"full"},
    replicates={"standard": 5, "full": 20},
    stack=5,
    knobs=(LEARNING_RATES,),
    primary="elbo",
    headline=TRAINED_COLUMNS,
    order=170,
)
@dataclass(frozen=True, kw_only=True)
class DigitsVaeClasses(TrainedDigits):
    """`digits-vae` with four choices of four in place of eight bits: the same 256 states, twice the logits.

    Pixel logits are linear in 2 x - 1 for the 16 entries of the one-hot x; everything else is as in `digits-vae`.
    """

    shape: ClassVar[Shape] = Shape(layout="classes")
