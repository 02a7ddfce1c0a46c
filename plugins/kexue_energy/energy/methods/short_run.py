"""Short runs from noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from kexue_bench import method

from .. import laws
from ..chains import check_count, check_positive, energies, langevin, walk
from ..words import CHAIN_LAW, LENGTH, STEP

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ...contract import Energy


@method(
    "short-run",
    "k Langevin steps from noise at each call, never settled",
    claims=CHAIN_LAW,
    knobs=(STEP, LENGTH),
    references=("Nijkamp et al., arXiv:1904.09770",),
    order=90,
)
@dataclass(frozen=True, kw_only=True)
class ShortRunTraining:
    """`mean E(x) - mean E(y)`, y after k steps from N(0, spread^2 I): it trains a sampler of k steps, not a density.

    On N(0, s), theta* is where a^2k spread^2 + (1 - a^2k) v = s, a = 1 - h theta and v = 1 / (theta (1 - h theta / 2));
    it may be far from 1 / s, and for a narrow start and few steps it does not exist.

    Args:
        k: steps, >= 1.
        h: step size, > 0.
        spread: standard deviation of the start, > 0.

    Raises:
        ValueError: a setting is out of range.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, ShortRunTraining
        >>> noise = Noise.seeded(0)
        >>> energy = Mlp.drawn(noise, dim=2, width=8)
        >>> loss, _ = ShortRunTraining(h=0.01).loss(energy, noise.normal(64, 2), None, noise)
        >>> loss.backward()
    """

    k: int = 10
    h: float = 0.1
    spread: float = 2.0

    def __post_init__(self) -> None:
        check_count(k=self.k)
        check_positive(h=self.h, spread=self.spread)

    def init(self, data: Tensor, noise: Noise) -> None:
        """No state."""
        return

    def samples(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> Tensor:
        """Runs from noise, of the shape of the batch."""
        start = self.spread * noise.normal(*data.shape).to(data.dtype)
        return walk(energy, start, langevin("ula", self.h), self.k, noise)

    def loss(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
        """See `Criterion.loss`."""
        chains = self.samples(energy, data, state, noise)
        return energies(energy, data).mean(-1) - energies(energy, chains).mean(-1), state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """See the class; n Var by the same derivative.

        Raises:
            NotOffered: no theta fits.
        """

        def chain(theta: float) -> laws.ChainLaw:
            return laws.normal_chain(laws.after(self.spread**2, theta, self.h, math.sqrt(2 * self.h), self.k))

        return laws.contrast(chain, variance, h=self.h)
