"""Score matching, exact and along random directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kexue_bench import method

from ..chains import energies

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ...contract import Energy

PROJECTIONS = ("gaussian", "rademacher")
_CLAIMS = ("consistent", "fixed-point", "asymptotic-variance", "shift-invariant", "gradient-matches-value")


@method(
    "score-matching",
    "score matching with the exact trace of the Hessian",
    claims=_CLAIMS,
    references=("Hyvärinen, JMLR 6, 2005",),
    order=20,
)
@dataclass(frozen=True, kw_only=True)
class ScoreMatching:
    """`mean (|grad E|^2 / 2 - tr Hess E)`: the Fisher divergence up to a constant, without log Z (theorem 1).

    The energy must be smooth (no ReLU). Takes d backward passes through the gradient. On N(0, s) its estimate is that
    of maximum likelihood.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, ScoreMatching
        >>> noise = Noise.seeded(0)
        >>> energy = Mlp.drawn(noise, dim=2, width=8)
        >>> loss, _ = ScoreMatching().loss(energy, noise.normal(64, 2), None, noise)
        >>> loss.backward()
    """

    def init(self, data: Tensor, noise: Noise) -> None:
        """No state."""
        return

    def loss(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
        """See `Criterion.loss`."""
        with torch.enable_grad():
            x, slope = slopes(energy, data)
            trace = sum(_along(slope[..., i], x)[..., i] for i in range(x.shape[-1]))
        return (slope.square().sum(-1) / 2 - trace).mean(-1), state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """1 / s and 2 / s^2."""
        return 1 / variance, 2 / variance**2


@dataclass(frozen=True, kw_only=True)
class _Sliced:
    """One random direction v for every datum."""

    projection: str = "gaussian"

    def __post_init__(self) -> None:
        if self.projection not in PROJECTIONS:
            raise ValueError(f"projection must be one of {', '.join(PROJECTIONS)}, got {self.projection!r}")

    def init(self, data: Tensor, noise: Noise) -> None:
        """No state."""
        return

    def _parts(self, energy: Energy, data: Tensor, noise: Noise) -> tuple[Tensor, Tensor, Tensor]:
        """The gradient of E, v' grad E and v' Hess E v."""
        drawn = noise.normal if self.projection == "gaussian" else noise.rademacher
        v = drawn(*data.shape).to(data.dtype)
        x, slope = slopes(energy, data)
        along = (v * slope).sum(-1)
        return slope, along, (v * _along(along, x)).sum(-1)


@method(
    "sliced",
    "score matching along one random direction a datum",
    claims=_CLAIMS,
    references=("Song et al., arXiv:1905.07088",),
    variants=("sliced", "sliced[projection=rademacher]"),
    order=30,
)
@dataclass(frozen=True, kw_only=True)
class Sliced(_Sliced):
    """`mean ((v' grad E)^2 / 2 - v' Hess E v)` with one v for each datum (equation 7 with m = 1).

    One backward pass through the gradient in any dimension. On N(0, s) in one dimension n Var is 6 / s^2 with normal v
    and 2 / s^2 with signs.

    Args:
        projection: law of v, `gaussian` or `rademacher`.

    Raises:
        ValueError: an unknown projection.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, Sliced
        >>> noise = Noise.seeded(0)
        >>> energy = Mlp.drawn(noise, dim=2, width=8)
        >>> loss, _ = Sliced(projection="rademacher").loss(energy, noise.normal(64, 2), None, noise)
        >>> loss.backward()
    """

    def loss(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
        """See `Criterion.loss`."""
        with torch.enable_grad():
            _, along, curvature = self._parts(energy, data, noise)
        return (along.square() / 2 - curvature).mean(-1), state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """1 / s, and 2 E v^4 / s^2."""
        return 1 / variance, (6 if self.projection == "gaussian" else 2) / variance**2


@method(
    "sliced-vr",
    "sliced score matching with the exact norm of the gradient",
    claims=_CLAIMS,
    references=("Song et al., arXiv:1905.07088",),
    order=40,
)
@dataclass(frozen=True, kw_only=True)
class SlicedVr(_Sliced):
    """`mean (|grad E|^2 / 2 - v' Hess E v)` (equation 8): the expectation over v of the first term of `sliced`.

    On N(0, s) in one dimension n Var is 4 / s^2 with normal v and 2 / s^2 with signs.

    Args:
        projection: law of v, `gaussian` or `rademacher`.

    Raises:
        ValueError: an unknown projection.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, SlicedVr
        >>> noise = Noise.seeded(0)
        >>> energy = Mlp.drawn(noise, dim=2, width=8)
        >>> loss, _ = SlicedVr().loss(energy, noise.normal(64, 2), None, noise)
        >>> loss.backward()
    """

    def loss(self, energy: Energy, data: Tensor, state: object, noise: Noise) -> tuple[Tensor, object]:
        """See `Criterion.loss`."""
        with torch.enable_grad():
            slope, _, curvature = self._parts(energy, data, noise)
        return (slope.square().sum(-1) / 2 - curvature).mean(-1), state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """1 / s, and (2 + Var v^2) / s^2."""
        return 1 / variance, (4 if self.projection == "gaussian" else 2) / variance**2


def slopes(energy: Energy, data: Tensor) -> tuple[Tensor, Tensor]:
    """The data as a leaf, and grad E there with its graph; call it with grad enabled."""
    x = data.detach().requires_grad_()
    (slope,) = torch.autograd.grad(energies(energy, x).sum(), x, create_graph=True)
    return x, slope


def _along(value: Tensor, x: Tensor) -> Tensor:
    """The gradient of a sum of rows with respect to x, with its graph."""
    (slope,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    return slope
