"""The Barker proposal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import softplus

from kexue_bench import method

from ...contract import Potential, StepInfo
from ..checks import positive
from ..metropolis import Point, accept, choose
from ..words import ADJUSTED, STEP

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


@method(
    "barker",
    "Barker proposal: the gradient chooses the sign of each coordinate's step, not its length",
    references=("arXiv:1908.11812",),
    claims=ADJUSTED,
    knobs=(STEP,),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class Barker:
    """`y_i = x_i + b_i w_i` with w_i ~ N(0, 2 h) and b_i = 1 with probability `1 / (1 + exp(w_i g_i))`, otherwise -1.

    arXiv:1908.11812, algorithm 1: the log ratio is U(x) - U(y) + sum_i [s(D_i g_i) - s(-D_i k_i)], with D = y - x,
    g = grad U(x), k = grad U(y) and s(t) = log(1 + exp(t)).

    Args:
        h: half of the variance of the proposal, > 0, in units of the squared smallest standard deviation of the target.

    Raises:
        ValueError: `h` out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = Barker(h=0.5), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> info.accept.shape
        torch.Size([5])
    """

    h: float = 0.5

    def __post_init__(self) -> None:
        positive("h", self.h)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Point:
        """See `Sampler.init`."""
        return Point(x, *potential.both(x))

    def step(self, state: Point, potential: Potential, noise: Noise) -> tuple[Point, StepInfo]:
        """See `Sampler.step`."""
        x, value, slope = state
        length = math.sqrt(2 * self.h) * noise.normal(*x.shape)
        forward = noise.uniform(*x.shape) < torch.sigmoid(-length * slope)
        move = torch.where(forward, length, -length)
        y = x + move
        new_value, new_slope = potential.both(y)
        ratio = value - new_value + (softplus(move * slope) - softplus(-move * new_slope)).sum(-1)
        take, probability = accept(ratio, noise)
        return choose(take, (y, new_value, new_slope), state), StepInfo(accept=probability)

    def position(self, state: Point) -> Tensor:
        """See `Sampler.position`."""
        return state.x
