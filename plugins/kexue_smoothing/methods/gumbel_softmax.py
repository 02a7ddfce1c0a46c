"""A soft sample of a categorical variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from .. import simplex
from ..contract import Bound
from ..kinds import SampleOperator
from .weighted_max import checked_alpha

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@dataclass(frozen=True, kw_only=True)
class GumbelSoftmax(SampleOperator):
    """entmax_alpha((x + g) / s), g independent standard Gumbel: a soft sample from the categorical law softmax(x).

    Jang, Gu and Poole 2017, arXiv:1611.01144; Maddison, Mnih and Teh 2017, arXiv:1611.00712, with softmax (alpha 1).
    What it stands for is the indicator of the largest x_i + g_i, a sample, and never that of the largest x_i: its error
    is taken against the sample that the same noise gives, and a gap is one of x + g.

    Args:
        alpha: 1 softmax, 1.5 entmax, 2 sparsemax; any number >= 1.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> x = torch.zeros(2, 3)
        >>> GumbelSoftmax().apply(x, softness=0.5, noise=Noise.seeded(0)).sum().item()
        2.0
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        checked_alpha(self.alpha)

    def perturbed(self, x: Tensor, noise: Noise) -> Tensor:
        """See `SampleOperator.perturbed`."""
        return x + noise.gumbel(*x.shape).to(x.dtype)

    def weights(self, u: Tensor) -> Tensor:
        """See `WeightOperator.weights`."""
        return simplex.weights(u, self.alpha)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:  # noqa: ARG002  # one signature for all
        """See `Smoothing.bound`."""
        return Bound(0.0, 2 * simplex.rival_weight(n, gap / softness, self.alpha))
