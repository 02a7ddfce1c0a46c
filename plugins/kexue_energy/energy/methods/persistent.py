"""Chains that persist from step to step: persistent contrastive divergence, the replay buffer, and JEM's setting."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import Claimed, Knob, method

from .. import laws
from ..chains import check_count, check_positive, check_sampler, check_share, energies, langevin, like, walk
from ..words import LENGTH, STEP

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ...contract import Energy, Sampler


class Persistent(ABC):
    """Base: the state holds one chain for each datum of a batch, `[*stack, B, d]`; a subclass gives its sampler."""

    k: int

    @property
    @abstractmethod
    def walker(self) -> Sampler:
        """The sampler of the chains."""

    def init(self, data: Tensor, noise: Noise) -> Tensor:
        """Chains with the mean and the standard deviations of the data, as many as data."""
        return like(data, noise)

    def samples(self, energy: Energy, data: Tensor, state: Tensor, noise: Noise) -> Tensor:
        """The chains, k steps on."""
        if state.shape != data.shape:
            raise ValueError(
                f"the state must hold one chain for each of the data {list(data.shape)}, got {list(state.shape)}; "
                "call init with a batch of the size that loss gets"
            )
        return walk(energy, state, self.walker, self.k, noise)

    def loss(self, energy: Energy, data: Tensor, state: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """See `Criterion.loss`."""
        chains = self.samples(energy, data, state, noise)
        return self.compared(energies(energy, data), energies(energy, chains)), chains

    def compared(self, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss from the energies of data and chains, `[*stack, B]` both."""
        return positive.mean(-1) - negative.mean(-1)


def restarted(state: Tensor, data: Tensor, fresh: float, noise: Noise) -> Tensor:
    """Each chain starts anew, as `like` the data, with probability `fresh`."""
    anew = noise.uniform(*state.shape[:-1]).unsqueeze(-1) < fresh
    return torch.where(anew, like(data, noise), state)


@method(
    "pcd",
    "persistent contrastive divergence: one chain for each datum of a batch",
    claims=(
        Claimed(name="consistent", when="sampler == 'mala'"),
        Claimed(name="fixed-point", when="sampler == 'ula'"),
        Claimed(name="asymptotic-variance", when="sampler == 'ula'"),
        "shift-invariant",
    ),
    knobs=(STEP, LENGTH),
    references=("Tieleman, ICML 2008",),
    order=70,
)
@dataclass(frozen=True, kw_only=True)
class Pcd(Persistent):
    """`mean E(x) - mean E(y)`, y chains that take k steps at each call and are kept in the state.

    On N(0, s) with `ula` and chains that have settled: theta* = (1 - sqrt(1 - 2h / s)) / h, as of `cd`, and
    n Var = 4 / (s^2 (1 - 2h / s)). With `mala` the fixed point is 1 / s, n Var 4 / s^2.

    Args:
        k: steps at each call, >= 1.
        h: step size, > 0.
        sampler: `ula` or `mala`.

    Raises:
        ValueError: a setting is out of range; a batch of another size than the one that `init` got.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, Pcd
        >>> criterion, noise = Pcd(h=0.01), Noise.seeded(0)
        >>> energy, data = Mlp.drawn(noise, dim=2, width=8), noise.normal(64, 2)
        >>> loss, state = criterion.loss(energy, data, criterion.init(data, noise), noise)
        >>> loss.backward()
    """

    k: int = 10
    h: float = 0.1
    sampler: str = "ula"

    def __post_init__(self) -> None:
        check_count(k=self.k)
        check_positive(h=self.h)
        check_sampler(self.sampler)

    @property
    def walker(self) -> Sampler:
        """See `Persistent`."""
        return langevin(self.sampler, self.h)

    def gaussian(self, variance: float) -> tuple[float, float]:
        """See the class.

        Raises:
            NotOffered: no theta fits (2h > s).
        """
        if self.sampler == "mala":
            return 1 / variance, 4 / variance**2
        return laws.contrast(
            lambda theta: laws.normal_chain(laws.stationary(theta, self.h, math.sqrt(2 * self.h))), variance, h=self.h
        )


@method(
    "replay",
    "replay buffer with restarts and a penalty on energies",
    claims=("fixed-point", "asymptotic-variance", Claimed(name="shift-invariant", when="l2 == 0")),
    knobs=(STEP, LENGTH, Knob(field="l2", grid=(0.001, 0.01, 0.1, 1.0))),
    references=("Du and Mordatch, arXiv:1903.08689",),
    order=80,
)
@dataclass(frozen=True, kw_only=True)
class Replay(Persistent):
    """`mean E(x) - mean E(y) + l2 mean (E(x)^2 + E(y)^2)`, y from a buffer of which a share starts anew at each call.

    A chain lives K / fresh steps on average. The released code has l2 = 1 and fresh = 0.05, with decoupled noise
    (`jem`). The penalty fixes the level of E, shrinks it and moves the fixed point; on N(0, s) both are declared.

    Args:
        k: steps at each call, >= 1.
        h: step size of `ula`, > 0.
        fresh: probability that a chain starts anew, in [0, 1], at a normal with the moments of the batch.
        l2: weight of the squared energies, >= 0.

    Raises:
        ValueError: a setting is out of range; a batch of another size than the one that `init` got.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, Replay
        >>> criterion, noise = Replay(h=0.01), Noise.seeded(0)
        >>> energy, data = Mlp.drawn(noise, dim=2, width=8), noise.normal(64, 2)
        >>> loss, state = criterion.loss(energy, data, criterion.init(data, noise), noise)
        >>> loss.backward()
    """

    k: int = 10
    h: float = 0.1
    fresh: float = 0.05
    l2: float = 0.01

    def __post_init__(self) -> None:
        check_count(k=self.k)
        check_positive(h=self.h)
        check_share(fresh=self.fresh)
        if not self.l2 >= 0:
            raise ValueError(f"l2 must be >= 0, got {self.l2}")

    @property
    def walker(self) -> Sampler:
        """See `Persistent`."""
        return langevin("ula", self.h)

    def samples(self, energy: Energy, data: Tensor, state: Tensor, noise: Noise) -> Tensor:
        """The chains, some of them anew, k steps on."""
        return super().samples(energy, data, restarted(state, data, self.fresh, noise), noise)

    def compared(self, positive: Tensor, negative: Tensor) -> Tensor:
        """With the penalty."""
        return super().compared(positive, negative) + self.l2 * (positive.square() + negative.square()).mean(-1)

    def gaussian(self, variance: float) -> tuple[float, float]:
        """See `laws.replayed`.

        Raises:
            NotOffered: no theta fits.
        """

        def chain(theta: float) -> laws.ChainLaw:
            return laws.replayed(variance, theta, self.h, math.sqrt(2 * self.h), self.k, self.fresh)

        return laws.contrast(chain, variance, h=self.h, penalty=self.l2)
