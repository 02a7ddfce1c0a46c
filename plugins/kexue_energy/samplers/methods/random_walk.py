"""Random-walk Metropolis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kexue_bench import Knob, method

from ...contract import Potential, StepInfo
from ..checks import positive
from ..metropolis import accept, choose
from ..words import ADJUSTED

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


class Place(NamedTuple):
    """Where chains are `[C, d]`, and U there `[C]`."""

    x: Tensor
    value: Tensor


@method(
    "random-walk",
    "random-walk Metropolis: a Gaussian step accepted by the density ratio, without gradients",
    references=(
        "Metropolis et al. 1953, doi:10.1063/1.1699114",
        "Roberts, Gelman and Gilks 1997, doi:10.1214/aoap/1034625254",
    ),
    claims=(*ADJUSTED, "acceptance"),
    knobs=(Knob(field="sd", grid=(0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 2.4)),),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class RandomWalk:
    """`y = x + s xi`, accepted with probability `min(1, exp(U(x) - U(y)))`.

    On N(0, I) of one dimension the acceptance is (2 / pi) atan(2 / s).

    Args:
        sd: s, > 0, in units of the smallest standard deviation of the target.

    Raises:
        ValueError: `sd` out of range.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import FunctionPotential
        >>> potential = FunctionPotential(lambda x: x.square().sum(1) / 2, dim=2)
        >>> sampler, noise = RandomWalk(sd=1.0), Noise.seeded(0)
        >>> state = sampler.init(torch.zeros(5, 2), potential, noise)
        >>> state, info = sampler.step(state, potential, noise.at(1))
        >>> info.accept.shape
        torch.Size([5])
    """

    sd: float = 1.0

    def __post_init__(self) -> None:
        positive("sd", self.sd)

    def init(self, x: Tensor, potential: Potential, noise: Noise) -> Place:
        """See `Sampler.init`."""
        return Place(x, potential.value(x))

    def step(self, state: Place, potential: Potential, noise: Noise) -> tuple[Place, StepInfo]:
        """See `Sampler.step`."""
        y = state.x + self.sd * noise.normal(*state.x.shape)
        value = potential.value(y)
        take, probability = accept(state.value - value, noise)
        return choose(take, (y, value), state), StepInfo(accept=probability)

    def position(self, state: Place) -> Tensor:
        """See `Sampler.position`."""
        return state.x
