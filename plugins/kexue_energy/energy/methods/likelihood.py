"""Maximum likelihood with log Z by quadrature."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import method

from ..chains import check_positive, energies

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ...contract import Energy

_MOST = 2


@method(
    "mle",
    "maximum likelihood with log Z by quadrature",
    needs="low-dimensional",
    claims=("consistent", "fixed-point", "asymptotic-variance", "shift-invariant", "gradient-matches-value"),
    references=("Fisher, Phil. Trans. R. Soc. A 222, 1922",),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class Mle:
    """`mean E(x) + log Z`, Z the trapezoidal sum of exp(-E) over a grid on [-bound, bound]^d.

    Possible in one or two dimensions only; elsewhere it is what the other criteria stand in for. Evaluates points^d
    energies beside the data. For data N(0, s) and E = theta x^2 / 2: theta* = 1 / s, n Var = 2 / s^2.

    Args:
        points: points on each axis, >= 2.
        bound: half of the width of the box, > 0.

    Raises:
        ValueError: a setting is out of range, or more than two dimensions.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mle, Mlp
        >>> noise = Noise.seeded(0)
        >>> energy = Mlp.drawn(noise, dim=2, width=8)
        >>> loss, _ = Mle().loss(energy, noise.normal(64, 2), None, noise)
        >>> loss.backward()
    """

    points: int = 101
    bound: float = 6.0

    def __post_init__(self) -> None:
        if self.points < 2:
            raise ValueError(f"points must be >= 2, got {self.points}")
        check_positive(bound=self.bound)

    def init(self, data: Tensor, noise: Noise) -> None:
        """No state."""
        return

    def loss(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
        """See `Criterion.loss`."""
        return energies(energy, data).mean(-1) + log_z(energy, data, self.points, self.bound), state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """1 / s and 2 / s^2."""
        return 1 / variance, 2 / variance**2


def log_z(energy: Energy, like: Tensor, points: int, bound: float) -> Tensor:
    """The log of the integral of exp(-E) over [-bound, bound]^d by the trapezoidal rule, `[*stack]`.

    Args:
        like: data `[*stack, B, d]`: its stack, dtype and device.

    Raises:
        ValueError: d > 2.
    """
    dim = like.shape[-1]
    if dim > _MOST:
        raise ValueError(f"quadrature needs d <= {_MOST}, got {dim}; use score-matching, denoising or nce")
    axis = torch.linspace(-bound, bound, points, dtype=like.dtype, device=like.device)
    grid = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    value = energies(energy, grid.expand(*like.shape[:-2], *grid.shape))
    return torch.logsumexp(-value, -1) + dim * math.log(2 * bound / (points - 1))
