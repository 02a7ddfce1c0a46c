"""Independent draws from the target: the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from kexue_bench import method

from ...contract import Linear, StepInfo
from ..words import UNADJUSTED

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise


class Drawable(Protocol):
    """A potential that can be drawn from."""

    def draw(self, noise: Noise, n: int) -> Tensor:
        """Independent draws, `[n, d]`; one evaluation a row."""
        ...


@method(
    "exact",
    "independent draws from the target, the oracle: a chain of n of them has mse 1 / n",
    claims=(*UNADJUSTED, "keeps-target", "reversible"),
    needs="exact-draws",
    references=("the definition of the target",),
    order=10,
)
@dataclass(frozen=True, kw_only=True)
class ExactDraws:
    """`x' ~ exp(-U) / Z`, whatever x was; one evaluation a draw. The potential must have `draw(noise, n)`.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy.samplers.tasks.gaussian import Gaussian
        >>> potential, noise = Gaussian().target().potential(), Noise.seeded(0)
        >>> sampler = ExactDraws()
        >>> state, info = sampler.step(torch.zeros(5, 1), potential, noise)
        >>> sampler.position(state).shape
        torch.Size([5, 1])
    """

    def init(self, x: Tensor, potential: Drawable, noise: Noise) -> Tensor:
        """See `Sampler.init`."""
        return x

    def step(self, state: Tensor, potential: Drawable, noise: Noise) -> tuple[Tensor, StepInfo]:
        """See `Sampler.step`."""
        return potential.draw(noise, len(state)), StepInfo()

    def position(self, state: Tensor) -> Tensor:
        """See `Sampler.position`."""
        return state

    def linear(self, precision: Tensor) -> Linear:
        """A = 0 and B a root of the covariance."""
        root = torch.linalg.cholesky(torch.linalg.inv(precision))
        eye = torch.eye(len(precision), dtype=precision.dtype)
        return Linear(A=torch.zeros_like(eye), B=root, Q=eye)
