"""Deep linear networks: how fast signals grow or decay with depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.problems import Sampling

from ..contract import OrthogonalityMethod
from ..surroundings import Streamed
from ..targets import WeightTarget
from .layers import StackedLinear
from .small_weights import Checked

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.noise import Noise

_AT_THE_START = ("none", "orthogonal-init", "spectral-norm", "parametrization[map=cayley]", "polar-express")


@task(
    "deep-linear",
    "growth of a signal through 50 linear layers at initialization; orthogonal ones preserve it",
    version=1,
    suites={"standard": ("deep-linear",), "full": ("deep-linear", "deep-linear[width=[8,128]]")},
    methods={"standard": _AT_THE_START, "full": _AT_THE_START},
    timed={"full"},
    budgets={"standard": 256, "full": 8192},
    dtype="float64",
    primary="mse",
    headline=("estimate", "bias", "variance", "mse"),
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class DeepLinear(Checked):
    """Growth per layer of a random signal, (1 / L) log(|W_L .. W_1 x| / |x|), right after the method was attached.

    Weights are n x n with entries N(0, 1 / n), redrawn in every draw. Without a method the growth is (digamma(n / 2) +
    log(2 / n)) / 2 nats per layer, -0.01579 at n = 32, and the directions spread by 2.35 nats per layer; orthogonal
    ones preserve every signal, so that the truth is 0. The same holds for gradients in the backward pass.

    Args:
        width: n.
        depth: L.

    Raises:
        ValueError: width or depth is below 1.
    """

    width: int = 32
    depth: int = 50

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 1:
            raise ValueError(f"width and depth must be >= 1, got {self.width}, {self.depth}")

    def problem(self, method: object, ctx: Context) -> Sampling:
        """See `SamplingTask.problem`."""

        def draw(noise: Noise, n: int) -> Tensor:
            layers = [
                StackedLinear(noise.normal(n, self.width, self.width) / self.width**0.5, bias=False)
                for _ in range(self.depth)
            ]
            targets = [WeightTarget(name=f"{i}.weight", module=layer, stacked=True) for i, layer in enumerate(layers)]
            cast("OrthogonalityMethod", method).attach(targets, Streamed(noise.at(-2), ctx.counter))
            x, growth = noise.normal(n, 1, self.width), noise.normal(n).zero_()
            for layer in layers:
                # The length is divided out at each layer, or deep signals would underflow.
                y = layer.eval()(x)
                length = torch.linalg.vector_norm(y, dim=(1, 2)) / torch.linalg.vector_norm(x, dim=(1, 2))
                growth, x = growth + length.log(), y / length[:, None, None]
            return growth / self.depth

        truth = torch.zeros((), dtype=ctx.dtype, device=ctx.device)
        return Sampling(draw=draw, truth=truth, batch=8, metrics=("estimate", "bias", "variance", "mse"))
