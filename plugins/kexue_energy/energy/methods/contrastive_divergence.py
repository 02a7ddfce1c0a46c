"""Contrastive divergence: chains that start at the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from kexue_bench import Claimed, method
from kexue_bench.errors import NotOffered

from .. import laws
from ..chains import check_count, check_positive, check_sampler, energies, langevin, walk
from ..words import LENGTH, STEP

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ...contract import Energy


@method(
    "cd",
    "contrastive divergence with k Langevin steps from the data",
    claims=(
        Claimed(name="fixed-point", when="sampler == 'ula'"),
        Claimed(name="asymptotic-variance", when="sampler == 'ula'"),
        "shift-invariant",
    ),
    knobs=(STEP, LENGTH),
    variants=("cd", "cd[k=10]"),
    references=("Hinton, Neural Computation 14, 2002",),
    order=60,
)
@dataclass(frozen=True, kw_only=True)
class Cd:
    """`mean E(x) - mean E(y)`, y the chain that starts at x and takes k steps; its gradient ignores how y moves.

    Costs k + 2 evaluations a datum. On N(0, s) with `ula` the fixed point is the same for every k,
    theta* = (1 - sqrt(1 - 2h / s)) / h, and with a = 1 - h theta*, a^2 = 1 - 2h / s,
    n Var = 4 / (s^2 (1 - a^2k) a^2). With `mala` it is 1 / s.

    Args:
        k: steps of the chain, >= 1.
        h: step size, > 0.
        sampler: `ula` or `mala`.

    Raises:
        ValueError: a setting is out of range.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Cd, Mlp
        >>> noise = Noise.seeded(0)
        >>> energy = Mlp.drawn(noise, dim=2, width=8)
        >>> loss, _ = Cd(k=10, h=0.01).loss(energy, noise.normal(64, 2), None, noise)
        >>> loss.backward()
    """

    k: int = 1
    h: float = 0.1
    sampler: str = "ula"

    def __post_init__(self) -> None:
        check_count(k=self.k)
        check_positive(h=self.h)
        check_sampler(self.sampler)

    def init(self, data: Tensor, noise: Noise) -> None:
        """No state."""
        return

    def samples(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> Tensor:
        """The chains of a batch, of its shape."""
        return walk(energy, data, langevin(self.sampler, self.h), self.k, noise)

    def loss(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
        """See `Criterion.loss`."""
        chains = self.samples(energy, data, state, noise)
        return energies(energy, data).mean(-1) - energies(energy, chains).mean(-1), state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """See the class.

        Raises:
            NotOffered: no theta fits (2h > s), or the sampler is `mala`, whose variance is not known.
        """
        if self.sampler != "ula":
            raise NotOffered("the variance of contrastive divergence is known for sampler='ula' only")

        def chain(theta: float) -> laws.ChainLaw:
            width = laws.after(variance, theta, self.h, math.sqrt(2 * self.h), self.k)
            return laws.normal_chain(width, (1 - self.h * theta) ** self.k * variance)

        return laws.contrast(chain, variance, h=self.h)
