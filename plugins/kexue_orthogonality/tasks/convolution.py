"""A convolution made orthogonal by the method alone, judged by its exact singular values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task

from ..spectra import circular
from ..targets import WeightTarget
from ..words import SMALL_RATES, WITHOUT_LOSS
from .descent import WeightTraining, censored, check_run, hold
from .layers import StackedConv2d
from .measures import trained_mean

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context
    from kexue_bench.lab.training import Measure, Training

_KERNEL = 3


@task(
    "convolution",
    "a 3 x 3 convolution made a near isometry, judged by its exact singular values",
    version=1,
    kind="trained",
    offers={"inputs"},
    facts=WITHOUT_LOSS,
    knobs=(SMALL_RATES,),
    suites={
        "standard": ("convolution[stride=[1,2]]",),
        "full": ("convolution[stride=[1,2],outputs=[4,16]]", "convolution[inputs=16,outputs=16,stride=[1,2]]"),
    },
    methods={"standard": ("soft", "off-diagonal", "srip", "ocnn", "spectral-norm", "landing", "parametrization")},
    timed=(),
    replicates={"standard": 20, "full": 20},
    rare={"soft": "0.2"},
    stack=10,
    dtype="float64",
    primary="isometry-error",
    headline=("isometry-error", "operator-norm", "operator-least", "flattened-norm", "flops"),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class Convolution:
    """No loss: a kernel K with circular borders starts at N(0, 1 / (9 inputs)) and is moved by the method alone.

    Methods see the kernel flattened to a matrix, and orthonormal columns of that matrix do not make the convolution
    orthogonal: its operator norm can be up to 3. The truth is the spectrum of the convolution itself on images of size
    x size, by the Fourier transform: `operator-norm`, `operator-least` and `isometry-error`, the largest |s - 1|. A
    penalty descends at `rate` whatever its weight.

    Args:
        inputs: channels.
        outputs: channels; with outputs <= inputs stride^2 an orthogonal convolution exists.
        stride: 1 or more, a divisor of the size.
        size: side of the images, >= 3.
        steps: optimization steps.
        rate: learning rate of the loop.

    Raises:
        ValueError: a field is out of range.
    """

    inputs: int = 4
    outputs: int = 4
    stride: int = 1
    size: int = 8
    steps: int = 300
    rate: float = 0.1

    def __post_init__(self) -> None:
        check_run(steps=self.steps, rate=self.rate)
        if self.inputs < 1 or self.outputs < 1:
            raise ValueError(f"inputs and outputs must be >= 1, got {self.inputs} and {self.outputs}")
        if self.stride < 1 or self.size < _KERNEL or self.size % self.stride:
            raise ValueError(
                f"the stride must divide the size, which is >= {_KERNEL}, got stride {self.stride}, size {self.size}"
            )

    def build(self, method: object, ctx: Context) -> Training:
        """See `TrainedTask.build`."""
        noise, count = ctx.noise("init", stack=0), len(ctx.replicates)
        kernel = noise.normal(count, self.outputs, self.inputs, _KERNEL, _KERNEL)
        layer = StackedConv2d(kernel / math.sqrt(self.inputs * _KERNEL**2), stride=self.stride)
        layer.bias.requires_grad = False
        target = WeightTarget(name="weight", module=layer, kind="convolution", stacked=True)
        return hold(method, layer, target, ctx, rate=self.rate, loss=None, image=self.size)

    def measure(self, training: Training, ctx: Context) -> Measure:
        """`operator-norm`, `operator-least`, `isometry-error` and the norm of the flattened kernel, each `[R]`."""
        assert isinstance(training, WeightTraining)

        def values(kernel: Tensor) -> dict[str, Tensor]:
            spectrum = circular(kernel, self.size, self.stride).flatten(1)
            return {
                "operator-norm": spectrum.amax(1),
                "operator-least": spectrum.amin(1),
                "isometry-error": (spectrum - 1).abs().amax(1),
                "flattened-norm": torch.linalg.matrix_norm(kernel.flatten(2), ord=2),
            }

        return lambda: censored(values, training.target.weight().detach())

    def score(self, method: object, ctx: Context) -> float:
        """Minus the mean error of the isometry after training, NaN if it diverged."""
        return -trained_mean(self, method, ctx, "isometry-error")
