"""Structured prediction on handwritten digits: the lower half from the upper half, through bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kexue_bench import task
from kexue_gradients.tasks.digits_model import PIXELS, Shape, TrainedDigits
from kexue_gradients.words import LEARNING_RATES, SMOOTH, TRAINED_COLUMNS, TRAINED_METHODS


@task(
    "digits-completion",
    "train eight bits between the upper and the lower half of digits; exact bound over the 256 states",
    version=1,
    kind="trained",
    offers={*SMOOTH, "bernoulli"},
    suites={"standard": ("digits-completion[steps=2000]",), "full": ("digits-completion[steps=[2000,8000]]",)},
    methods=TRAINED_METHODS,
    timed={"full"},
    replicates={"standard": 5, "full": 20},
    stack=5,
    knobs=(LEARNING_RATES,),
    primary="elbo",
    headline=TRAINED_COLUMNS,
    order=180,
)
@dataclass(frozen=True, kw_only=True)
class DigitsCompletion(TrainedDigits):
    """The loss is `E_b[-log p(lower|b)]` for a network `upper half -> logits -> b -> lower half`, linear on both sides.

    It bounds the likelihood of one sample; the score is this bound, summed over all states, in nats per image. Data,
    splits, initialization and optimizer are those of `digits-vae`. No prior keeps b random, so the best network is
    nearly deterministic: estimators are ranked by how fast they get there.
    """

    shape: ClassVar[Shape] = Shape(seen=PIXELS // 2, predicted=PIXELS // 2, prior=False)
