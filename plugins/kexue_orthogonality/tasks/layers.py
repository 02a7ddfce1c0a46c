"""Layers of R networks in parallel: weights `[R, out, in, *kernel]` and activations `[R, N, ...]`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..targets import correlate


class StackedLinear(nn.Module):
    """R linear layers, `[R, N, in]` to `[R, N, out]`.

    Args:
        weight: `[R, out, in]`.
        bias: whether there is one; it starts at 0.
    """

    def __init__(self, weight: Tensor, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(weight.new_zeros(len(weight), 1, weight.shape[1])) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """The output of the layer; shapes as above."""
        if self.bias is None:
            return x @ self.weight.mT
        return torch.baddbmm(self.bias, x, self.weight.mT)


class StackedConv2d(nn.Module):
    """R convolutions with zero padding that keeps the size at stride 1, `[R, N, in, h, w]` to `[R, N, out, h', w']`.

    Args:
        weight: `[R, out, in, n, n]`, n odd.
        stride: in both dimensions.
    """

    def __init__(self, weight: Tensor, *, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(weight.new_zeros(*weight.shape[:2]))
        self.stride = (stride, stride)
        self.padding = (weight.shape[-2] // 2, weight.shape[-1] // 2)
        self.dilation, self.groups = (1, 1), 1

    def forward(self, x: Tensor) -> Tensor:
        """The output of the layer; shapes as above."""
        return correlate(x, self.weight, self.stride, self.padding) + self.bias[:, None, :, None, None]
