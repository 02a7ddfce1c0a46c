"""Objectives and noise of released codes: IGEBM's softplus and logsumexp, and JEM's decoupled steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench import method
from kexue_bench.errors import NotOffered

from ...samplers.methods.decoupled import Decoupled
from .. import laws
from ..chains import check_count, check_positive, check_share, langevin
from ..words import CHAIN_LAW, LENGTH, STEP
from .persistent import Persistent, restarted

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ...contract import Energy, Sampler

_NODES = 80
_DELTA = 1e-5


@dataclass(frozen=True, kw_only=True)
class _Released(Persistent):
    """Chains of `ula` that are kept, as of `pcd`, under another objective."""

    k: int = 10
    h: float = 0.1

    def __post_init__(self) -> None:
        check_count(k=self.k)
        check_positive(h=self.h)

    @property
    def walker(self) -> Sampler:
        """See `Persistent`."""
        return langevin("ula", self.h)

    def _width(self, theta: float) -> float:
        return laws.stationary(theta, self.h, math.sqrt(2 * self.h))


@method(
    "softplus",
    "softplus of the difference of energies between data and kept chains",
    claims=CHAIN_LAW,
    knobs=(STEP, LENGTH),
    references=("Du and Mordatch, arXiv:1903.08689, released code",),
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class SoftplusContrast(_Released):
    """`mean softplus(E(x) - E(y))` over pairs of a datum and a chain; its gradient is bounded however far they are.

    Pairs whose datum has the higher energy weigh more, so that the gradient does not vanish where data and chains have
    the same law: on N(0, 1) theta* is 0.51 for h = 0.1, a temperature of 2.

    Args:
        k: steps at each call, >= 1.
        h: step size, > 0.

    Raises:
        ValueError: a setting is out of range; a batch of another size than the one that `init` got.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, SoftplusContrast
        >>> criterion, noise = SoftplusContrast(h=0.01), Noise.seeded(0)
        >>> energy, data = Mlp.drawn(noise, dim=2, width=8), noise.normal(64, 2)
        >>> loss, state = criterion.loss(energy, data, criterion.init(data, noise), noise)
        >>> loss.backward()
    """

    def compared(self, positive: Tensor, negative: Tensor) -> Tensor:
        """See the class."""
        return functional.softplus(positive - negative).mean(-1)

    def gaussian(self, variance: float) -> tuple[float, float]:
        """Fixed point and n Var by Gauss-Hermite quadrature over the pair.

        Raises:
            NotOffered: no theta fits.
        """
        nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
        weights = weights / weights.sum()
        x = math.sqrt(variance) * nodes[:, None]

        def moments(theta: float) -> tuple[float, float]:
            y = math.sqrt(self._width(theta)) * nodes[None, :]
            difference = (x**2 - y**2) / 2
            g = difference / (1 + np.exp(-theta * difference))
            return float(weights @ g @ weights), float(weights @ g**2 @ weights)

        theta = laws.root(lambda at: moments(at)[0], 1 / self.h)
        slope = _derivative(lambda at: moments(at)[0], theta)
        return theta, moments(theta)[1] / slope**2


@method(
    "logsumexp",
    "chains weighted by exp(-E), as of an importance sampler with the wrong proposal",
    claims=CHAIN_LAW,
    knobs=(STEP, LENGTH),
    references=("Du and Mordatch, arXiv:1903.08689, released code",),
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class LogsumexpContrast(_Released):
    """`mean E(x) - sum w E(y)`, w = softmax(-E(y)) over the chains of a batch, without a gradient of w.

    The chains have the law exp(-E) already, and the weights count it twice: on N(0, s) the weighted variance
    1 / (1 / v + theta) is s, so that theta* is about 1 / (2 s), a temperature of 2.

    Args:
        k: steps at each call, >= 1.
        h: step size, > 0.

    Raises:
        ValueError: a setting is out of range; a batch of another size than the one that `init` got.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import LogsumexpContrast, Mlp
        >>> criterion, noise = LogsumexpContrast(h=0.01), Noise.seeded(0)
        >>> energy, data = Mlp.drawn(noise, dim=2, width=8), noise.normal(64, 2)
        >>> loss, state = criterion.loss(energy, data, criterion.init(data, noise), noise)
        >>> loss.backward()
    """

    def compared(self, positive: Tensor, negative: Tensor) -> Tensor:
        """See the class."""
        weights = torch.softmax(-negative.detach(), -1)
        return positive.mean(-1) - (weights * negative).sum(-1)

    def gaussian(self, variance: float) -> tuple[float, float]:
        """The root of 1 / v + theta = 1 / s; n Var of the self-normalised mean by its linearisation.

        Raises:
            NotOffered: no theta fits.
        """

        def mean(theta: float) -> float:
            return (variance - 1 / (1 / self._width(theta) + theta)) / 2

        theta = laws.root(mean, 1 / self.h)
        v = self._width(theta)
        # E w^2 (y^2 - s)^2 / (E w)^2: w^2 tilts the chain to the variance u.
        u = v / (1 + 2 * theta * v)
        ratio = (1 + theta * v) / math.sqrt(1 + 2 * theta * v)
        chain = ratio * (3 * u**2 - 2 * variance * u + variance**2)
        return theta, (2 * variance**2 + chain) / 4 / _derivative(mean, theta) ** 2


@method(
    "jem",
    "replay buffer with decoupled noise, as JEM and IGEBM released it",
    needs="network",
    variants=("jem", "jem[rate=10.0,sd=0.005]"),
    references=("Grathwohl et al., arXiv:1912.03263, released code", "Du and Mordatch, arXiv:1903.08689"),
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class Jem(Persistent):
    """`mean E(x + jitter e) - mean E(y)`, y from a buffer with steps y - rate grad E + sd xi.

    The chains have the temperature T = sd^2 / (2 rate), and so has the energy: without jitter and restarts, on
    N(0, s), theta* = (1 - sqrt(1 - sd^2 / s)) / rate, about T / s. No theta fits data narrower than sd. IGEBM: rate 10,
    sd 0.005 (T = 1.25e-6); JEM: rate 1, sd 0.01 (T = 5e-5).

    Args:
        k: steps at each call, >= 1.
        rate: factor of the gradient, > 0.
        sd: of the noise, > 0.
        fresh: probability that a chain starts anew, in [0, 1].
        jitter: noise added to the data, >= 0.

    Raises:
        ValueError: a setting is out of range; a batch of another size than the one that `init` got.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Jem, Mlp
        >>> criterion, noise = Jem(), Noise.seeded(0)
        >>> energy, data = Mlp.drawn(noise, dim=2, width=8), noise.normal(64, 2)
        >>> loss, state = criterion.loss(energy, data, criterion.init(data, noise), noise)
        >>> loss.backward()
    """

    k: int = 20
    rate: float = 1.0
    sd: float = 0.01
    fresh: float = 0.05
    jitter: float = 0.03

    def __post_init__(self) -> None:
        check_count(k=self.k)
        check_positive(rate=self.rate, sd=self.sd)
        check_share(fresh=self.fresh)
        if not self.jitter >= 0:
            raise ValueError(f"jitter must be >= 0, got {self.jitter}")

    @property
    def walker(self) -> Sampler:
        """See `Persistent`."""
        return Decoupled(rate=self.rate, sd=self.sd)

    def samples(self, energy: Energy, data: Tensor, state: Tensor, noise: Noise) -> Tensor:
        """The chains, some of them anew, k steps on."""
        return super().samples(energy, data, restarted(state, data, self.fresh, noise), noise)

    def loss(self, energy: Energy, data: Tensor, state: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """See `Criterion.loss`."""
        noisy = data + self.jitter * noise.normal(*data.shape).to(data.dtype)
        return super().loss(energy, noisy, state, noise)

    def gaussian(self, variance: float) -> tuple[float, float]:
        """For chains that have lived long enough (some 1 / (2 rate theta) steps, or many restarts).

        Raises:
            NotOffered: no theta fits.
        """
        if self.sd**2 >= variance + self.jitter**2:
            raise NotOffered(f"no fixed point: sd^2 = {self.sd**2:.3g} is at least the variance of the data")
        seen = variance + self.jitter**2

        def chain(theta: float) -> laws.ChainLaw:
            return laws.replayed(seen, theta, self.rate, self.sd, self.k, self.fresh)

        return laws.contrast(chain, seen, h=self.rate)


def _derivative(function: Callable[[float], float], at: float) -> float:
    delta = _DELTA * at
    return (function(at + delta) - function(at - delta)) / (2 * delta)
