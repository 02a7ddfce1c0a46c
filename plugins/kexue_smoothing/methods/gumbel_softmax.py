"""Soft samples of a categorical variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from kexue_bench import Claimed, method

from ..contract import Bound
from ..kinds import SampleOperator
from ..simplex import EntmaxWeights, rival_weight
from ..words import BOUNDED

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise


@method(
    "gumbel-softmax",
    "softmax or entmax weights of x plus Gumbel noise, a soft sample",
    needs="sample",
    claims=(*BOUNDED, "unit-interval", "sums-to-k", Claimed(name="vertex-exact", when="alpha > 1")),
    references=("Jang, Gu and Poole 2017, arXiv:1611.01144", "Maddison, Mnih and Teh 2017, arXiv:1611.00712"),
    variants=("gumbel-softmax[alpha=[2.0,1.5]]",),
    order=130,
)
@dataclass(frozen=True, kw_only=True)
class GumbelSoftmax(EntmaxWeights, SampleOperator):
    """`entmax_alpha((x + g) / s)`, g independent standard Gumbel; both papers use alpha 1, softmax.

    The index of the largest x_i + g_i is a sample from the categorical distribution softmax(x). The operator smooths
    its indicator, not that of the largest x_i: the error is relative to the sample from the same noise, and gaps are
    those of x + g.

    Examples:
        >>> import torch
        >>> from kexue_bench.lab import Noise
        >>> x = torch.zeros(2, 3)
        >>> GumbelSoftmax().apply(x, softness=0.5, noise=Noise.seeded(0)).sum().item()
        2.0
    """

    alpha: float = 1.0

    def perturbed(self, x: Tensor, noise: Noise) -> Tensor:
        """See `SampleOperator.perturbed`."""
        return x + noise.gumbel(*x.shape).to(x.dtype)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, 2 * rival_weight(n, gap / softness, self.alpha))
