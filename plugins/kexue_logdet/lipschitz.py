"""Layers with a proven bound of their Lipschitz constant, and exact norms to check them.

Power iteration approaches a spectral norm from below, so that a weight scaled by it may exceed its cap (1.447 after one
iteration with a cap of 0.9). Here the norm is bounded from above: with G = W W^T, ||W||_2^(2^(t+1)) <= ||G^(2^t)||_F,
at most n^(2^-(t+2)) times too large (Delattre et al. 2023, arXiv:2305.16173).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

SQUARINGS = 6
SWISH_SLOPE = 1.1
"""max |d/dx x sigmoid(x)| = 1.09984."""


def norm_bound(weight: Tensor, *, squarings: int = SQUARINGS) -> Tensor:
    """An upper bound of ||W||_2 of a real or complex matrix, differentiable.

    Args:
        weight: `[*batch, rows, columns]`.
        squarings: number t of squarings of the smaller Gram matrix; the bound is at most n^(2^-(t+2)) times the norm.

    Returns:
        `[*batch]`, real; with an allowance for rounding.
    """
    wide = weight if weight.shape[-2] <= weight.shape[-1] else weight.mT
    gram = wide @ wide.mH
    info = torch.finfo(gram.dtype)
    log, power = torch.zeros((), dtype=gram.real.dtype, device=gram.device), 1.0
    for _ in range(squarings):
        # Any constant may be divided out and multiplied back, so its derivative is not needed.
        scale = torch.linalg.matrix_norm(gram).detach().clamp_min(info.tiny**0.5)
        gram = gram / scale[..., None, None]
        gram, log, power = gram @ gram, log + power * scale.log(), power / 2
    last = torch.linalg.matrix_norm(gram).clamp_min(info.tiny)
    return ((log + power * last.log()) / 2).exp() * (1 + 32 * info.eps)


def conv_symbol(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """The matrix of a circular convolution at each frequency.

    Args:
        kernel: `[out, in, k, k]` as in `conv2d`.
        size: height and width of the torus, each >= k.

    Returns:
        `[height, width, out, in]`, complex.
    """
    return torch.fft.fft2(kernel, s=size).movedim((0, 1), (2, 3))


def circular(image: Tensor, kernel: Tensor) -> Tensor:
    """Circular correlation of `[B, in, height, width]` with a `kernel` `[out, in, k, k]`, k odd, centered."""
    half = kernel.shape[-1] // 2
    return functional.conv2d(functional.pad(image, (half,) * 4, mode="circular"), kernel)


class CappedLinear(nn.Module):
    """y = x W^T min(1, cap / bound) + b, where bound >= ||W||_2, so that the map is `cap`-Lipschitz at every step.

    Args:
        weight: `[out, in]`, the initial W.
        cap: largest allowed norm, > 0.
    """

    def __init__(self, weight: Tensor, cap: float) -> None:
        super().__init__()
        if not cap > 0:
            raise ValueError(f"cap must be > 0, got {cap}")
        self.cap = cap
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(weight.new_zeros(len(weight)))

    def capped(self) -> Tensor:
        """The weight in use, `[out, in]`."""
        return self.weight * (self.cap / norm_bound(self.weight)).clamp(max=1)

    def norm(self) -> float:
        """||.||_2 of the weight in use, by its singular values in float64."""
        return float(torch.linalg.matrix_norm(self.capped().detach().double(), 2))

    def forward(self, x: Tensor) -> Tensor:
        """`[*batch, in]` -> `[*batch, out]`, in the dtype of x, with the weight in use unchanged."""
        return functional.linear(x, self.capped().to(x.dtype), self.bias.to(x.dtype))


class CappedConv2d(nn.Module):
    """Circular convolution whose norm on a torus of the given size is at most `cap`: the largest over its frequencies.

    Args:
        weight: `[out, in, k, k]`, k odd.
        size: height and width of the images.
        cap: largest allowed norm, > 0.
    """

    def __init__(self, weight: Tensor, size: tuple[int, int], cap: float) -> None:
        super().__init__()
        if weight.shape[-1] % 2 == 0 or weight.shape[-1] != weight.shape[-2]:
            raise ValueError(f"kernels must be square and odd, got {tuple(weight.shape[-2:])}")
        if not cap > 0 or min(size) < weight.shape[-1]:
            raise ValueError(f"cap must be > 0 and the image at least as large as the kernel, got {cap} and {size}")
        self.cap, self.size = cap, size
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(weight.new_zeros(len(weight)))

    def capped(self) -> Tensor:
        """The kernel in use, `[out, in, k, k]`."""
        bound = norm_bound(conv_symbol(self.weight, self.size)).max()
        return self.weight * (self.cap / bound).clamp(max=1)

    def norm(self) -> float:
        """||.||_2 of the convolution in use, by the singular values at every frequency in float64."""
        symbol = conv_symbol(self.capped().detach().double(), self.size)
        return float(torch.linalg.matrix_norm(symbol, 2).max())

    def forward(self, x: Tensor) -> Tensor:
        """`[B, in, height, width]` -> `[B, out, height, width]`, in the dtype of x, the kernel unchanged."""
        return circular(x, self.capped().to(x.dtype)) + self.bias[:, None, None]


class LipSwish(nn.Module):
    """x sigmoid(s x) / 1.1 with a learned slope s > 0; 1-Lipschitz for every s (arXiv:1906.02735)."""

    def __init__(self, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.tensor(0.5, dtype=dtype, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return x * torch.sigmoid(functional.softplus(self.raw) * x) / SWISH_SLOPE


class Residual(nn.Sequential):
    """A chain of capped layers with LipSwish between them: its Lipschitz constant is at most the product of the caps.

    Args:
        layers: `CappedLinear` or `CappedConv2d`, in order.
    """

    def __init__(self, layers: Sequence[CappedLinear | CappedConv2d]) -> None:
        parts: list[nn.Module] = []
        for layer in layers:
            if parts:
                parts.append(LipSwish(dtype=layer.weight.dtype, device=layer.weight.device))
            parts.append(layer)
        super().__init__(*parts)
        self.layers = tuple(layers)

    @property
    def lipschitz(self) -> float:
        """The product of the caps."""
        return float(torch.tensor([layer.cap for layer in self.layers], dtype=torch.float64).prod())

    def norm(self) -> float:
        """Product of the true norms of the layers in use: an upper bound of the actual Lipschitz constant."""
        return float(torch.tensor([layer.norm() for layer in self.layers], dtype=torch.float64).prod())


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows or columns: U V^T of the singular value decomposition."""
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right


def linear_residual(noise: Noise, *, dim: int, width: int, depth: int, cap: float) -> Residual:
    """A residual branch of `depth` hidden layers, each layer capped by cap^(1 / (depth + 1)).

    Weights start orthogonal, so that no direction is damped more than the cap requires; with independent entries one
    direction has the norm, and the others are damped so much that they hardly learn.
    """
    sizes = [dim, *(width,) * depth, dim]
    share = cap ** (1 / (depth + 1))
    pairs = list(pairwise(sizes))
    return Residual([CappedLinear(orthogonal(noise.normal(out, inner)), share) for inner, out in pairs])


def conv_residual(
    noise: Noise, *, channels: int, size: tuple[int, int], width: int, depth: int, cap: float, kernel: int = 3
) -> Residual:
    """A capped residual branch with circular convolutions of `width` hidden channels."""
    sizes = [channels, *(width,) * depth, channels]
    share = cap ** (1 / (depth + 1))
    pairs = list(pairwise(sizes))
    return Residual(
        [
            CappedConv2d(noise.normal(out, inner, kernel, kernel) / (kernel * inner**0.5), size, share)
            for inner, out in pairs
        ]
    )
