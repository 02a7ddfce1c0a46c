"""Whether the Fourier transform gives the singular values of a convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import task
from kexue_bench.lab.problems import Workload

from ..spectra import circular, dense

if TYPE_CHECKING:
    from kexue_bench.lab.context import Context


@task(
    "convolution-spectrum",
    "singular values of a convolution by Fourier transform against those of its whole matrix",
    version=1,
    kind="record",
    facts={"takes": "'nothing'"},
    suites={"standard": ("convolution-spectrum",), "full": ("convolution-spectrum",)},
    methods={"standard": ("none",), "full": ("none",)},
    timed=(),
    dtype="float64",
    primary="spectrum-error",
    headline=("spectrum-error",),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class ConvolutionSpectrum:
    """`spectrum-error` is the largest difference of sorted singular values over the largest one.

    Kernels 3 x 4 with integer weights in [-8, 8), 2 channels in and 3 out, circular borders on size x size images, as
    in the tests of the authors' code. No method of the family takes part: the numbers concern how convolutions are
    measured.

    Args:
        size: side of the images, >= 4; a matrix of 3 size^2 x 2 size^2 is decomposed.

    Raises:
        ValueError: size is below 4.
    """

    size: int = 32

    def __post_init__(self) -> None:
        if self.size < 4:
            raise ValueError(f"size must be >= 4, got {self.size}")

    def evaluate(self, method: object, ctx: Context) -> None:
        """Record `spectrum-error`."""
        kernel = self._kernel(ctx)
        found = circular(kernel, self.size).flatten().sort(descending=True).values
        truth = torch.linalg.svdvals(dense(kernel, self.size))
        ctx.record("spectrum-error", float((found - truth).abs().max() / truth[0]))

    def workload(self, method: object, ctx: Context) -> Workload:
        """One spectrum by Fourier transform."""
        kernel = self._kernel(ctx)
        return Workload(call=lambda: circular(kernel, self.size))

    def _kernel(self, ctx: Context) -> Tensor:
        return ctx.noise("data").integers(16, 3, 2, 3, 4).to(ctx.dtype) - 8
