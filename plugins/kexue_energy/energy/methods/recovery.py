"""Recovery likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from kexue_bench import Knob, method

from ...contract import Energy
from .. import laws
from ..chains import check_count, check_positive, energies, langevin, walk
from ..words import CHAIN_LAW, LENGTH, STEP

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "recovery-likelihood",
    "likelihood of the data given a noisy copy, by chains from the copy",
    claims=CHAIN_LAW,
    knobs=(STEP, LENGTH, Knob(field="sigma", grid=(0.1, 0.3, 1.0))),
    references=("Gao et al., arXiv:2012.08125",),
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class RecoveryLikelihood:
    """`mean E(x) - mean E(y)`, y after k steps on E(y) + |y - z|^2 / (2 sigma^2) from z = x + sigma e (equation 7).

    Given its noisy copy, a datum has one narrow mode, so that short chains settle. One level of noise: the energy is
    that of the data. On N(0, s), with b = 1 - h (theta + 1 / sigma^2) and A = b^k + (1 - b^k) / (1 + theta sigma^2),
    y has the variance A^2 (s + sigma^2) + 2h (1 - b^2k) / (1 - b^2) and the covariance A s with x.

    Args:
        k: steps, >= 1.
        h: step size, > 0; stable below 2 / (curvature + 1 / sigma^2).
        sigma: standard deviation of the noise, > 0, in the unit of the data.

    Raises:
        ValueError: a setting is out of range.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, RecoveryLikelihood
        >>> noise = Noise.seeded(0)
        >>> energy = Mlp.drawn(noise, dim=2, width=8)
        >>> loss, _ = RecoveryLikelihood(h=0.01).loss(energy, noise.normal(64, 2), None, noise)
        >>> loss.backward()
    """

    k: int = 10
    h: float = 0.1
    sigma: float = 1.0

    def __post_init__(self) -> None:
        check_count(k=self.k)
        check_positive(h=self.h, sigma=self.sigma)

    def init(self, data: Tensor, noise: Noise) -> None:
        """No state."""
        return

    def samples(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> Tensor:
        """The data recovered from their noisy copies."""
        noisy = data + self.sigma * noise.normal(*data.shape).to(data.dtype)
        return walk(_Near(energy, noisy, self.sigma), noisy, langevin("ula", self.h), self.k, noise)

    def loss(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
        """See `Criterion.loss`."""
        chains = self.samples(energy, data, state, noise)
        return energies(energy, data).mean(-1) - energies(energy, chains).mean(-1), state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """See the class.

        Raises:
            NotOffered: no theta fits.
        """
        tied = 1 / self.sigma**2

        def chain(theta: float) -> laws.ChainLaw:
            b = (1 - self.h * (theta + tied)) ** self.k
            kept = b + (1 - b) / (1 + theta * self.sigma**2)
            own = laws.after(0.0, theta + tied, self.h, math.sqrt(2 * self.h), self.k)
            return laws.normal_chain(kept**2 * (variance + self.sigma**2) + own, kept * variance)

        return laws.contrast(chain, variance, h=self.h)


class _Near(Energy):
    """E(y) + |y - z|^2 / (2 sigma^2), row by row."""

    def __init__(self, energy: Energy, noisy: Tensor, sigma: float) -> None:
        super().__init__(noisy.shape[-1])
        self.energy, self._noisy, self._sigma = energy, noisy, sigma

    def forward(self, x: Tensor) -> Tensor:
        return self.energy(x) + (x - self._noisy).square().sum(-1) / (2 * self._sigma**2)
