"""Noise-contrastive estimation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from kexue_bench import Knob, method
from kexue_bench.lab.precision import seen

from .. import laws
from ..chains import check_positive, energies
from ..words import EXACT_LAW

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

    from ...contract import Energy

_NEWTON, _LONGEST, _CLOSE = 20, 2.0, 1e-4


class NoiseLaw(NamedTuple):
    """The normal noise: its mean `[*stack, 1, d]`, and the lower Cholesky factor `[*stack, d, d]` of its covariance."""

    mean: Tensor
    factor: Tensor


@method(
    "nce",
    "noise-contrastive estimation with log Z free and normal noise",
    claims=EXACT_LAW,
    knobs=(Knob(field="ratio", grid=(1.0, 3.0, 10.0)), Knob(field="spread", grid=(0.7, 1.0, 1.5, 2.0))),
    references=("Gutmann and Hyvärinen, JMLR 13, 2012",),
    variants=("nce", "nce[ratio=10.0]"),
    order=100,
)
@dataclass(frozen=True, kw_only=True)
class Nce:
    """`mean softplus(-G(x)) + ratio mean softplus(G(y))`, G = -E - log Z - log q - log ratio, y ~ q.

    q is normal with the mean of the data given to `init` and `spread`^2 times their covariance. log Z is the minimizer
    of the loss of the batch, so that a constant added to E changes nothing. On N(0, s): theta* = 1 / s; n Var for
    s = 1 and spread = 2 is 2.995 (ratio 1) and 2.122 (ratio 10); 2 (1 + 1 / ratio) if the noise is the data.

    Args:
        ratio: noise points a datum, > 0; rounded to whole points of a batch.
        spread: standard deviation of the noise in those of the data, > 0; below 1, tails are hardly seen.

    Raises:
        ValueError: a setting is out of range.

    Examples:
        >>> from kexue_bench.lab import Noise
        >>> from kexue_energy import Mlp, Nce
        >>> criterion, noise = Nce(), Noise.seeded(0)
        >>> energy, data = Mlp.drawn(noise, dim=2, width=8), noise.normal(64, 2)
        >>> loss, state = criterion.loss(energy, data, criterion.init(data, noise), noise)
        >>> loss.backward()
    """

    ratio: float = 1.0
    spread: float = 2.0

    def __post_init__(self) -> None:
        check_positive(ratio=self.ratio, spread=self.spread)

    def init(self, data: Tensor, noise: Noise) -> NoiseLaw:
        """The law of the noise."""
        mean = data.mean(-2, keepdim=True)
        centred = data - mean
        covariance = centred.mT @ centred / data.shape[-2]
        return NoiseLaw(mean, self.spread * torch.linalg.cholesky(covariance))

    def loss(self, energy: Energy, data: Tensor, state: NoiseLaw, noise: Noise) -> tuple[Tensor, NoiseLaw]:
        """See `Criterion.loss`."""
        count = max(1, round(self.ratio * data.shape[-2]))
        drawn = noise.normal(*data.shape[:-2], count, data.shape[-1]).to(data.dtype)
        y = state.mean + drawn @ state.factor.mT
        at_data = -energies(energy, data) - log_density(data, state) - math.log(self.ratio)
        at_noise = -energies(energy, y) - log_density(y, state) - math.log(self.ratio)
        # The derivative with respect to log Z is 0 at the minimizer, so that it needs no graph.
        log_z = minimizer(at_data.detach(), at_noise.detach(), self.ratio).unsqueeze(-1)
        wrong = functional.softplus(log_z - at_data).mean(-1)
        return wrong + self.ratio * functional.softplus(at_noise - log_z).mean(-1), state

    def gaussian(self, variance: float) -> tuple[float, float]:
        """See `laws.noise_contrastive`."""
        return laws.noise_contrastive(variance, self.spread**2 * variance, self.ratio)


def log_density(x: Tensor, law: NoiseLaw) -> Tensor:
    """The log-density of the noise, `[*stack, B]`."""
    z = torch.linalg.solve_triangular(law.factor, (x - law.mean).mT, upper=False)
    log_det = law.factor.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)
    return -z.square().sum(-2) / 2 - log_det - x.shape[-1] * math.log(2 * math.pi) / 2


def minimizer(at_data: Tensor, at_noise: Tensor, ratio: float) -> Tensor:
    """The log Z that minimizes the loss of a batch, `[*stack]`; both are G + log Z, `[*stack, B]`.

    The loss is convex in log Z. Newton's method from the importance-sampling estimate, with bounded steps.
    """
    log_z = torch.logsumexp(at_noise, -1, keepdim=True) - math.log(at_noise.shape[-1] / ratio)
    for _ in range(_NEWTON):
        p, q = torch.sigmoid(log_z - at_data), torch.sigmoid(at_noise - log_z)
        slope = p.mean(-1, keepdim=True) - ratio * q.mean(-1, keepdim=True)
        curvature = (p * (1 - p)).mean(-1, keepdim=True) + ratio * (q * (1 - q)).mean(-1, keepdim=True)
        tiny = torch.finfo(curvature.dtype).tiny
        move = (slope / curvature.clamp_min(tiny)).clamp(-_LONGEST, _LONGEST)
        log_z = log_z - move
        # The error left is of the order of the square of a move, and that of the gradient too.
        if seen(move.abs().amax() < _CLOSE, otherwise=False):
            break
    return log_z.squeeze(-1)
