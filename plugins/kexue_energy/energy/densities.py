"""Two-dimensional densities with known log-density and entropy, inside [-6, 6]^2."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

NAMES = ("eight-gaussians", "two-moons", "checkerboard", "rings")
_CENTRES, _WIDTH = 4 / 1.414, 0.5 / 1.414
_MOON = 0.2
_RADII, _RING = (3.0, 1.5), 0.24
_NODES = 80
"""Of the Gauss-Legendre rule over the angle of a moon: their distance is at most a fifth of its width."""
_ROWS = 2**14


def draw(name: str, noise: Noise, *shape: int) -> Tensor:
    """Points `[*shape, 2]`.

    Args:
        name: `eight-gaussians` (radius 4, standard deviation 1/2, all over 1.414), `two-moons` (standard deviation
            0.1, all times 2), `checkerboard` (squares of side 2 in [-4, 4]^2) or `rings` (radii 3 and 1.5, standard
            deviation 0.24).
        noise: source of randomness; a stack of streams along the first axis of `shape`.
        shape: the stack and the number of points.
    """
    if name == "eight-gaussians":
        angle = (noise.integers(8, *shape) * (math.pi / 4)).to(noise.dtype)
        return _CENTRES * _circle(angle) + _WIDTH * noise.normal(*shape, 2)
    if name == "two-moons":
        angle, lower = math.pi * noise.uniform(*shape), noise.integers(2, *shape) == 1
        return _moon(angle, lower) + _MOON * noise.normal(*shape, 2)
    if name == "checkerboard":
        first = 4 * noise.uniform(*shape) - 2
        second = noise.uniform(*shape) - 2 * noise.integers(2, *shape) + first.floor() % 2
        return 2 * torch.stack([first, second], dim=-1)
    angle, inner = 2 * math.pi * noise.uniform(*shape), noise.integers(2, *shape)
    radius = angle.new_tensor(_RADII)[inner]
    return radius.unsqueeze(-1) * _circle(angle) + _RING * noise.normal(*shape, 2)


def log_density(name: str, x: Tensor) -> Tensor:
    """The log-density at `[*batch, 2]`, `[*batch]`; minus infinity outside of the checkerboard."""
    if name == "eight-gaussians":
        angle = torch.arange(8, dtype=x.dtype, device=x.device) * (math.pi / 4)
        return _mixture(x, _CENTRES * _circle(angle), _WIDTH)
    if name == "two-moons":
        node, weight = (torch.from_numpy(part).to(x) for part in np.polynomial.legendre.leggauss(_NODES))
        angle = (node + 1) * (math.pi / 2)
        lower = torch.zeros_like(angle, dtype=torch.bool)
        centres = torch.cat([_moon(angle, lower), _moon(angle, ~lower)])
        return _mixture(x, centres, _MOON, (weight / 4).log().repeat(2))
    if name == "checkerboard":
        squares = (x / 2).floor()
        inside = ((x.abs() < 4).all(-1)) & (squares.sum(-1) % 2 == 0)
        level = x.new_full(inside.shape, -math.log(32))
        return level.masked_fill(~inside, -torch.inf)
    size = x.norm(dim=-1)
    rings = []
    for radius in _RADII:
        scaled = size * radius / _RING**2
        rings.append(-((size - radius) ** 2) / (2 * _RING**2) + torch.special.i0e(scaled).log())
    return torch.logsumexp(torch.stack(rings), 0) - math.log(2 * 2 * math.pi * _RING**2)


def _circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def _moon(angle: Tensor, lower: Tensor) -> Tensor:
    x = torch.where(lower, 1 - angle.cos(), angle.cos())
    y = torch.where(lower, 0.5 - angle.sin(), angle.sin())
    return 2 * torch.stack([x, y], dim=-1)


def _mixture(x: Tensor, centres: Tensor, sd: float, weights: Tensor | None = None) -> Tensor:
    """The log of the mean of normal densities with these centres `[m, 2]`, or of their sum with log-weights `[m]`."""
    level = -math.log(len(centres)) if weights is None else weights

    def part(rows: Tensor) -> Tensor:
        gaps = torch.cdist(rows, centres, compute_mode="donot_use_mm_for_euclid_dist").square()
        return torch.logsumexp(level - gaps / (2 * sd**2), -1)

    value = torch.cat([part(rows) for rows in x.reshape(-1, 2).split(_ROWS)])
    return value.reshape(x.shape[:-1]) - math.log(2 * math.pi * sd**2)
