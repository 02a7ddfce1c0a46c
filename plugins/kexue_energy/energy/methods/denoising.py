"""Denoising score matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import Knob, method

from ..chains import check_positive
from .score_matching import slopes

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ...contract import Energy


@method(
    "denoising",
    "score matching of the data smoothed by normal noise",
    claims=("fixed-point", "asymptotic-variance", "shift-invariant", "gradient-matches-value"),
    knobs=(Knob(field="sigma", grid=(0.05, 0.1, 0.15, 0.3, 0.5)),),
    references=("Vincent, Neural Computation 23, 2011",),
    order=50,
)
@dataclass(frozen=True, kw_only=True)
class Denoising:
    """`mean |sigma grad E(x + sigma e) - e|^2 / 2`, e ~ N(0, I): sigma^2 times the objective of equation 9.

    It learns the density of x + sigma e, not that of x: on N(0, s), theta* = 1 / (s + sigma^2) and
    n Var = s / (sigma^2 (s + sigma^2)^2). One backward pass through the gradient, and no second derivative in x.

    Args:
        sigma: standard deviation of the noise, > 0, in the unit of the data.

    Raises:
        ValueError: sigma is not positive.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Denoising, Mlp
        >>> noise = Noise.seeded(0)
        >>> energy = Mlp.drawn(noise, dim=2, width=8)
        >>> loss, _ = Denoising(sigma=0.3).loss(energy, noise.normal(64, 2), None, noise)
        >>> loss.backward()
    """

    sigma: float = 0.15

    def __post_init__(self) -> None:
        check_positive(sigma=self.sigma)

    def init(self, data: Tensor, noise: Noise) -> None:
        """No state."""
        return

    def loss(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
        """See `Criterion.loss`."""
        e = noise.normal(*data.shape).to(data.dtype)
        with torch.enable_grad():
            _, slope = slopes(energy, data + self.sigma * e)
        return (self.sigma * slope - e).square().sum(-1).mean(-1) / 2, state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """See the class."""
        smoothed = variance + self.sigma**2
        return 1 / smoothed, variance / (self.sigma * smoothed) ** 2
