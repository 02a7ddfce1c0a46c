"""Orthogonality of a convolution as an operator on images, not of its flattened kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method
from kexue_bench.lab.precision import precise, raised

from ..contract import Surroundings, Target
from ..targets import correlate
from ..words import NORM, WEIGHTS, WITHOUT_WEIGHTS
from .penalty import Penalty, PenaltySession

PADDINGS = ("full", "released")


@method(
    "ocnn",
    "orthogonality of a convolution as an operator",
    unless=WITHOUT_WEIGHTS,
    claims=(*NORM, "right-invariant"),
    knobs=(WEIGHTS,),
    references=("arXiv:1911.12207",),
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class Ocnn(Penalty):
    """|Conv(K, K; padding P, stride S) - I|_F^2, with P = floor((n - 1) / S) S for kernels of size n.

    The kernel is correlated with itself at every offset at which two outputs of the layer overlap: 0, S, 2 S, ... up to
    n - 1, both ways. Zero means that the layer's rows are orthonormal on images of every size, borders included. The
    published code pads by 1 for all n and S: at stride 1 it misses the offsets of 2 of a 3 x 3 kernel, at stride 2 it
    compares offsets of 1, which never occur, and misses 0. `padding=released` reproduces that (squared, because the
    published code returns the norm). A linear layer is a kernel of size 1.

    Args:
        weight: factor of the penalty; 0.1 in the authors' script.
        padding: `full` as above, or `released` for 1.

    Raises:
        ValueError: padding is unknown.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from kexue_orthogonality import targets_of
        >>> model = nn.Conv2d(3, 4, 3, stride=2)
        >>> joins = Ocnn(weight=1e-1).attach(targets_of(model))
        >>> loss = model(torch.ones(2, 3, 8, 8)).square().mean() + joins.penalty()
        >>> loss.backward()
    """

    weight: float = 1e-1
    padding: str = "full"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding not in PADDINGS:
            raise ValueError(f"padding must be one of {', '.join(PADDINGS)}, got {self.padding!r}")

    def value(self, matrix: Tensor) -> Tensor:
        """The penalty of a linear layer whose neurons are the columns of W, see `Penalty.value`."""
        return self.kernel_value(matrix.mT, ())

    @precise
    def kernel_value(self, kernel: Tensor, stride: Sequence[int], dilation: Sequence[int] | None = None) -> Tensor:
        """The penalty of a kernel, without its weight.

        Args:
            kernel: K, `[*stack, out, in, *size]`, `*stack` of at most one dimension.
            stride: one number for each dimension of `size`.
            dilation: likewise; 1 if omitted.

        Returns:
            `[*stack]`.
        """
        space = len(stride)
        stacked = kernel.ndim - 2 - space
        dilation = tuple(dilation or [1] * space)
        spread = dilated(kernel, dilation)
        sizes = spread.shape[kernel.ndim - space :]
        one = self.padding == "released"
        padding = tuple(1 if one else (n - 1) // s * s for n, s in zip(sizes, stride, strict=True))
        overlaps = correlate(spread, kernel, tuple(stride), padding, dilation)
        # The middle of the output is offset 0, where each filter meets itself.
        target = torch.zeros_like(overlaps[0] if stacked else overlaps)
        target[(slice(None), slice(None), *(n // 2 for n in overlaps.shape[overlaps.ndim - space :]))] = torch.eye(
            kernel.shape[stacked], dtype=kernel.dtype, device=kernel.device
        )
        return (overlaps - target).square().flatten(stacked).sum(-1)

    def attach(self, targets: Sequence[Target], ctx: Surroundings | None = None) -> PenaltySession:
        """See `OrthogonalityMethod.attach`."""
        return _Kernels(self, targets)


class _Kernels(PenaltySession):
    """Uses kernels instead of matrices."""

    def __init__(self, method: Ocnn, targets: Sequence[Target]) -> None:
        super().__init__(method, targets)
        self._ocnn = method

    def value(self, target: Target) -> Tensor:
        weight = raised(target.weight())
        if not target.blocks:
            return self._ocnn.kernel_value(weight, target.stride, target.dilation)
        stack = (*target.stack, *target.blocks)
        kernels = weight.flatten(0, len(target.stack)).unflatten(0, (math.prod(stack), -1))
        return self._ocnn.kernel_value(kernels, target.stride, target.dilation).reshape(stack)


def dilated(kernel: Tensor, dilation: tuple[int, ...]) -> Tensor:
    """A kernel `[..., *size]` with its taps `dilation` apart and zeros between them."""
    if all(step == 1 for step in dilation):
        return kernel
    space = kernel.ndim - len(dilation)
    sizes = [(n - 1) * step + 1 for n, step in zip(kernel.shape[space:], dilation, strict=True)]
    out = kernel.new_zeros(*kernel.shape[:space], *sizes)
    out[(..., *(slice(None, None, step) for step in dilation))] = kernel
    return out
