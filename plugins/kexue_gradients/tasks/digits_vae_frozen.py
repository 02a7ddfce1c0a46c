"""The gradient of a trained digits autoencoder, frozen: bias and variance of estimators on real data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import torch

from kexue_gradients.tasks.digits_vae import LinearVae, binary_digits
from kexue_gradients.tasks.sampling import exact_gradient, frozen_problem

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.context import Context
    from kexue_bench.lab.protocols import Sampling
    from kexue_gradients.contract import GradientMethod

PARAMETERS = "digits_vae_500.json"
"""Parameters of `digits-vae` after 500 steps of `exact` (seed 0, replicate 0, float64), beside this module."""

_SHAPES = {
    "encoder_weight": (64, 8),
    "encoder_bias": (1, 8),
    "decoder_weight": (8, 64),
    "decoder_bias": (1, 64),
}
_IMAGES = 32
_BATCH = 64  # part of the task's version: the stream of a batch depends on it


@dataclass(frozen=True, kw_only=True)
class DigitsVaeFrozen:
    """Gradient of `E_q[-log p(x|b)]` with respect to the logits of the first 32 digits, `[32, 8]`, each image its own.

    The model is that of `digits-vae`, taken after 500 steps of the exact gradient and stored with the package. Off the
    vertices the decoder is evaluated where it is. The truth sums over all 256 states.
    """

    def problem(self, method: GradientMethod, ctx: Context) -> Sampling:
        """Draws at the stored parameters; the truth is float64."""
        images = binary_digits(ctx)[:_IMAGES]
        model, double = stored_model(images), stored_model(images.double())
        return frozen_problem(
            method,
            ctx,
            law=model.posterior(images),
            double=double.posterior(images.double()),
            objective=model.objective(images, ctx.counter),
            gradient=lambda aim: exact_gradient(aim, double.objective(images.double())),
            batch=_BATCH,
        )


def stored_model(images: Tensor) -> LinearVae:
    """The frozen model, unstacked, in the dtype and on the device of the images `[B, 64]`."""
    text = resources.files(__package__ or "").joinpath(PARAMETERS).read_text(encoding="utf-8")
    stored = json.loads(text)["parameters"]
    tensors = {
        name: torch.tensor(stored[name], dtype=images.dtype, device=images.device).reshape(shape)
        for name, shape in _SHAPES.items()
    }
    model = LinearVae(
        (tensors["encoder_weight"], tensors["encoder_bias"]),
        (tensors["decoder_weight"], tensors["decoder_bias"]),
        images,
        images,
    )
    return model.requires_grad_(requires_grad=False)
