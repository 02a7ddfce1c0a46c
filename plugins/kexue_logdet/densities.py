"""Two-dimensional densities with known entropy, as in the toy problems of i-ResNet and residual flows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

ENTROPY = {"checkerboard": math.log(32), "eight-gaussians": 2.83188040157, "two-moons": 2.3936}
"""Nats. Checkerboard: uniform on an area of 32; the others by quadrature of -p log p (two moons to four digits)."""


def draw(name: str, n: int, noise: Noise) -> Tensor:
    """Points `[n, 2]`.

    Args:
        name: `checkerboard` (squares of side 2 in [-4, 4]^2), `eight-gaussians` (radius 4, standard deviation 1/2, all
            over 1.414) or `two-moons` (continuous angle, standard deviation 0.1, all times 2).
        n: number of points.
        noise: source of randomness.

    Raises:
        ValueError: no such density.
    """
    if name == "checkerboard":
        u = noise.uniform(n, 2)
        first = 4 * u[:, 0] - 2
        second = u[:, 1] - 2 * noise.integers(2, n) + first.floor() % 2
        return 2 * torch.stack([first, second], dim=1)
    if name == "eight-gaussians":
        angle = noise.integers(8, n) * (math.pi / 4)
        centre = 4 * torch.stack([angle.cos(), angle.sin()], dim=1).to(noise.dtype)
        return (centre + noise.normal(n, 2) / 2) / 1.414
    if name == "two-moons":
        angle, lower = math.pi * noise.uniform(n), noise.integers(2, n) == 1
        x = torch.where(lower, 1 - angle.cos(), angle.cos())
        y = torch.where(lower, 0.5 - angle.sin(), angle.sin())
        return 2 * (torch.stack([x, y], dim=1) + 0.1 * noise.normal(n, 2))
    raise ValueError(f"data must be one of {', '.join(ENTROPY)}, got {name!r}")
