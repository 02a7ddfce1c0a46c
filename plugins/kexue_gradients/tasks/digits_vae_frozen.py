"""The gradient of a trained digits autoencoder, frozen: bias and variance of estimators on real data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import torch

from kexue_bench import task
from kexue_gradients.tasks.digits_model import PIXELS, DigitsModel, Shape, binary_digits
from kexue_gradients.tasks.sampling import exact_gradient, frozen_problem
from kexue_gradients.words import CHOSEN, SAMPLED, SMOOTH

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.problems import Sampling
    from kexue_gradients.contract import GradientMethod

PARAMETERS = {
    ("bits", 20): "digits_vae_20.json",
    ("bits", 100): "digits_vae_100.json",
    ("bits", 500): "digits_vae_500.json",
    ("bits", 2000): "digits_vae_2000.json",
    ("classes", 500): "digits_vae_classes_500.json",
}
"""Layout and step -> parameters of `digits-vae(-classes)` after that many exact steps, seed 0, replicate 0, float64."""

_IMAGES = 32
_BATCH = 64  # part of the task's version: the stream of a batch depends on it
_COLUMNS = (
    "progress-loss",
    "own-loss",
    "length",
    "relative-bias",
    "variance",
    "work-variance",
    "time-variance",
    "cosine",
    "time",
    "evaluations",
    "backwards",
    "memory",
)
_BUDGETS = {"quick": 4_096, "standard": 8_192, "full": 262_144}
_STEPS = ("digits-path[step=[20,100,2000]]",)


@task(
    "digits-vae-frozen",
    "gradient of an 8-bit VAE of digits at stored parameters, 32 images, exact by enumeration",
    version=1,
    offers={*SMOOTH, "bernoulli"},
    suites={
        "tour": ("digits-vae-frozen",),
        "quick": ("digits-vae-frozen",),
        "standard": ("digits-vae-frozen",),
        "full": ("digits-vae-frozen",),
    },
    methods={"tour": CHOSEN, "quick": ("exact", *SAMPLED)},
    timed={"tour", "quick", "standard", "full"},
    budgets={"quick": 8_192, "standard": 32_768, "full": 1_048_576},
    primary="progress-loss",
    headline=_COLUMNS,
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class DigitsVaeFrozen:
    """Gradient of `E_q[-log p(x|b)]` with respect to the logits of each of the first 32 digits, `[32, 8]`.

    The model is that of `digits-vae`, taken after 500 steps of the exact gradient and stored with the package. Off the
    vertices the decoder is evaluated at the given point. The truth sums over all 256 states.
    """

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the stored parameters; the truth is float64."""
        return stored_problem(method, ctx, layout="bits", step=500)


@task(
    "digits-vae-classes-frozen",
    "gradient of a VAE of digits with 4 choices of 4 at stored parameters, 32 images, exact",
    version=1,
    offers={*SMOOTH, "categorical"},
    suites={"standard": ("digits-vae-classes-frozen",), "full": ("digits-vae-classes-frozen",)},
    timed={"full"},
    budgets=_BUDGETS,
    primary="progress-loss",
    headline=_COLUMNS,
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class DigitsVaeClassesFrozen:
    """`digits-vae-frozen` for the model of `digits-vae-classes`, four choices of four: the gradient is `[32, 4, 4]`."""

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the stored parameters; the truth is float64."""
        return stored_problem(method, ctx, layout="classes", step=500)


@task(
    "digits-path",
    "digits-vae-frozen along the path of the exact gradient: how variance changes during training",
    version=1,
    offers={*SMOOTH, "bernoulli"},
    suites={"standard": _STEPS, "full": _STEPS},
    timed={"full"},
    budgets=_BUDGETS,
    primary="progress-loss",
    headline=_COLUMNS,
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class DigitsPath:
    """The problem of `digits-vae-frozen` along the path on which the exact gradient trains `digits-vae`.

    All methods are measured at the same parameters. A moving average taken while each method trains compares different
    points, and mixes the variance of the estimator with the drift of the parameters.

    Args:
        step: steps of the exact gradient, 20, 100, 500 or 2000.

    Raises:
        ValueError: no parameters are stored for this step.
    """

    step: int = 100

    def __post_init__(self) -> None:
        stored = [step for layout, step in PARAMETERS if layout == "bits"]
        if self.step not in stored:
            raise ValueError(f"step must be one of {', '.join(map(str, stored))}, got {self.step}")

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the stored parameters; the truth is float64."""
        return stored_problem(method, ctx, layout="bits", step=self.step)


def stored_problem(method: GradientMethod, ctx: Context, *, layout: str, step: int) -> Sampling:
    """The gradient of the first 32 digits at stored parameters; the truth is float64."""
    images = binary_digits(ctx)[:_IMAGES]
    model, double = (stored_model(x, layout=layout, step=step) for x in (images, images.double()))
    return frozen_problem(
        method,
        ctx,
        law=model.posterior(images),
        double=double.posterior(images.double()),
        objective=model.objective(images, ctx.counter),
        gradient=lambda aim: exact_gradient(aim, double.objective(images.double())),
        batch=_BATCH,
        precise=double.objective(images.double()),
    )


def stored_model(images: Tensor, *, layout: str, step: int) -> DigitsModel:
    """The frozen model, unstacked, in the dtype and on the device of the images `[B, 64]`."""
    shape = Shape(layout=layout)
    text = resources.files(__package__ or "").joinpath(PARAMETERS[layout, step]).read_text(encoding="utf-8")
    stored = json.loads(text)["parameters"]

    def tensor(name: str, *size: int) -> Tensor:
        return torch.tensor(stored[name], dtype=images.dtype, device=images.device).reshape(size)

    model = DigitsModel(
        shape,
        (tensor("encoder_weight", PIXELS, shape.units), tensor("encoder_bias", 1, shape.units)),
        (tensor("decoder_weight", shape.units, PIXELS), tensor("decoder_bias", 1, PIXELS)),
        images,
        images,
    )
    return model.requires_grad_(requires_grad=False)
