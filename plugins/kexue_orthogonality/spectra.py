"""Exact singular values of convolutions, which are not those of the reshaped kernel.

Kernels are `[*, out, in, height, width]`, as torch stores them; images are n x n.
"""

from __future__ import annotations

import torch
from torch import Tensor


def circular(kernel: Tensor, size: int, stride: int = 1) -> Tensor:
    """All singular values of a convolution with circular padding, `[*, (n / s)^2, min(out, in s^2)]`.

    Stride 1: those of the out x in blocks of the two-dimensional Fourier transform of the kernel (arXiv:1805.10408).
    Stride s: the s^2 frequencies that alias to one are concatenated and divided by s. Costs O(n^2) small decompositions
    instead of one of an (out n^2) x (in n^2) matrix.

    Args:
        kernel: weights.
        size: n, side of the image.
        stride: s, a divisor of n.

    Raises:
        ValueError: the stride does not divide n, or the kernel is larger than the image.
    """
    height, width = kernel.shape[-2:]
    if size % stride or stride < 1:
        raise ValueError(f"the stride must divide the size of the image, got stride {stride} and size {size}")
    if max(height, width) > size:
        raise ValueError(f"the image must be at least as large as the kernel {height} x {width}, got size {size}")
    response = torch.fft.fft2(kernel, s=(size, size))
    small = size // stride
    # Frequency a n/s + f of the input lands on frequency f of the output.
    folded = response.unflatten(-1, (stride, small)).unflatten(-3, (stride, small))
    blocks = _ordered(folded, (-3, -1, -6, -5, -4, -2)).flatten(-3, -1).flatten(-4, -3)
    return torch.linalg.svdvals(blocks / stride)


def dense(kernel: Tensor, size: int, stride: int = 1, padding: str = "circular") -> Tensor:
    """The matrix of a convolution, `[*, out m^2, in n^2]` with m = ceil(n / s): exact for any padding, but slow.

    Args:
        kernel: weights.
        size: n, side of the image.
        stride: s.
        padding: `circular` or `zeros`, (height - 1) / 2 on each side, an odd remainder below and to the right.
    """
    *stack, outputs, inputs, height, width = kernel.shape
    mode = "constant" if padding == "zeros" else "circular"
    basis = torch.eye(inputs * size * size, dtype=kernel.dtype, device=kernel.device)
    images = basis.reshape(-1, inputs, size, size)
    pads = ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2)
    images = torch.nn.functional.pad(images, pads, mode=mode)
    rows = [
        torch.nn.functional.conv2d(images, one, stride=stride).flatten(1).mT
        for one in kernel.reshape(-1, outputs, inputs, height, width)
    ]
    return torch.stack(rows).reshape(*stack, *rows[0].shape)


def unfolding_bound(kernel: Tensor) -> Tensor:
    """sqrt(h w) times the smallest spectral norm of four unfoldings: an upper bound of the norm at every size and
    padding (arXiv:1911.10258), `[*]`.
    """
    height, width = kernel.shape[-2:]
    axes = ((-4, -2, -3, -1), (-4, -1, -3, -2))
    pairs = [_ordered(kernel, order).flatten(-4, -3).flatten(-2, -1) for order in axes]
    unfolded = [*pairs, kernel.flatten(-3, -1), kernel.transpose(-4, -3).flatten(-3, -1)]
    norms = torch.stack([torch.linalg.matrix_norm(matrix, ord=2) for matrix in unfolded])
    return (height * width) ** 0.5 * norms.amin(0)


def _ordered(tensor: Tensor, order: tuple[int, ...]) -> Tensor:
    """The last axes permuted, those before them unchanged."""
    stack = tensor.ndim - len(order)
    return tensor.permute(*range(stack), *(tensor.ndim + axis for axis in order))
