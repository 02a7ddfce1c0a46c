"""Parallel tempering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import Claimed, Knob, method

from ...contract import Potential, StepInfo
from ..checks import at_least, positive
from ..metropolis import Point, accept
from ..words import RUNGS_PAID, STEP
from .mala import langevin_step

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "parallel-tempering",
    "MALA at a ladder of temperatures that exchange their points; every rung's gradient is billed",
    references=("Geyer 1991, Interface Proceedings", "arXiv:physics/0508111"),
    claims=(
        Claimed(name="keeps-target", when="'gaussian' in offers"),
        "independent-chains",
        "acceptance",
    ),
    unless=RUNGS_PAID,
    knobs=(STEP, Knob(field="ratio", grid=(1.3, 1.6, 2.0, 3.0, 5.0))),
    order=170,
)
@dataclass(frozen=True, kw_only=True)
class ParallelTempering:
    """`rungs` chains at T_k = ratio^k, each with a step of MALA of size h T_k; then neighbours exchange their points.

    A coin of each chain chooses the pairs (0, 1), (2, 3), .. or (1, 2), (3, 4), ..; a pair exchanges with probability
    `min(1, exp((1 / T_i - 1 / T_j) (U_i - U_j)))`. On N(0, I_d) that has the mean 2 I_u(d/2, d/2) with
    u = 1 / (1 + T_j / T_i). The position is that of T = 1.

    Args:
        h: step size at T = 1, > 0, in units of the squared smallest standard deviation of the target.
        ratio: of neighbouring temperatures, > 1.
        rungs: >= 2; a step costs as many gradients.

    Raises:
        ValueError: a field out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = ParallelTempering(rungs=3), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> state.x.shape, sampler.position(state).shape
        (torch.Size([5, 3, 2]), torch.Size([5, 2]))
    """

    h: float = 0.5
    ratio: float = 3.0
    rungs: int = 4

    def __post_init__(self) -> None:
        positive("h", self.h)
        at_least("rungs", self.rungs, 2)
        if not self.ratio > 1:
            raise ValueError(f"temperatures must increase, got the ratio {self.ratio}; give a ratio > 1")

    def temperatures(self, like: Tensor) -> Tensor:
        """The ladder, `[rungs]`, from 1 upwards."""
        return self.ratio ** torch.arange(self.rungs, dtype=like.dtype, device=like.device)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Point:
        """See `Sampler.init`; `[C, d]` puts every rung at the same point, `[C, rungs, d]` gives each its own."""
        if x.ndim == 2:
            x = x.unsqueeze(1).expand(-1, self.rungs, -1).clone()
        return Point(x, *potential.both(x))

    def step(self, state: Point, potential: Potential, noise: Noise) -> tuple[Point, StepInfo]:
        """See `Sampler.step`; the acceptance is that of MALA at T = 1."""
        ladder = self.temperatures(state.x)
        scaled = Point(state.x, state.value / ladder, state.slope / ladder.unsqueeze(1))
        moved, probability = langevin_step(scaled, potential.tempered(ladder), noise, self.h * ladder.unsqueeze(1))
        point = Point(moved.x, moved.value * ladder, moved.slope * ladder.unsqueeze(1))
        return self._exchanged(point, ladder, noise), StepInfo(accept=probability[:, 0])

    def position(self, state: Point) -> Tensor:
        """See `Sampler.position`."""
        return state.x[:, 0]

    def _exchanged(self, point: Point, ladder: Tensor, noise: Noise) -> Point:
        cold, beta = point.value, 1 / ladder
        ratio = (beta[:-1] - beta[1:]) * (cold[:, :-1] - cold[:, 1:])
        take, _ = accept(ratio, noise)
        pairs = torch.arange(self.rungs - 1, device=cold.device)
        take = take & (pairs % 2 == noise.integers(2, len(cold), 1))
        order = torch.arange(self.rungs, device=cold.device).expand(len(cold), -1).clone()
        order[:, :-1] += take.long()
        order[:, 1:] -= take.long()
        rows = order.unsqueeze(-1).expand_as(point.x)
        return Point(point.x.gather(1, rows), cold.gather(1, order), point.slope.gather(1, rows))
