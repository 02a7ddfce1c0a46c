"""Soft indicators and soft indices from maps to the simplex."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from kexue_bench import Claimed, method

from ..contract import Bound
from ..kinds import ArgmaxOperator, CumaxOperator, OneHotOperator
from ..simplex import EntmaxWeights, rival_weight
from ..words import BOUNDED, INDICATOR


@method(
    "entmax",
    "weights that maximize <p, x> + s H(p), H the Tsallis entropy of order alpha",
    needs="one-hot",
    claims=(*INDICATOR, Claimed(name="vertex-exact", when="alpha > 1")),
    references=("Peters, Niculae and Martins 2019, arXiv:1905.05702",),
    variants=("entmax[alpha=[1.5,1.25]]",),
    order=120,
)
@dataclass(frozen=True, kw_only=True)
class Entmax(EntmaxWeights, OneHotOperator):
    """`entmax_alpha(x / s) = argmax_p <p, x> + s H(p)`, H the Tsallis entropy of order alpha.

    alpha 1 is softmax. For alpha > 1 the weights are sparse and exactly the indicator, with zero gradient, once the gap
    is s / (alpha - 1). alpha 2 is `Sparsemax`. The sum of absolute errors is 2 (1 - p_max), largest if all other
    entries are tied; there is no uniform bound because at ties p is the uniform distribution. Large alpha loses digits
    in float32: the weights are powers 1 / (alpha - 1) of small numbers.

    Examples:
        >>> import torch
        >>> x = torch.tensor([-2.0, 0.0, 0.5])
        >>> Entmax(alpha=1.5).apply(x, softness=1.0)
        tensor([0.0000, 0.3260, 0.6740])
    """

    alpha: float = 1.5

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, 2 * rival_weight(n, gap / softness, self.alpha))


@method(
    "sparsemax",
    "Euclidean projection of x / s onto the simplex",
    needs="one-hot",
    claims=(*INDICATOR, "vertex-exact"),
    references=("Martins and Astudillo 2016, arXiv:1602.02068",),
    order=110,
)
@dataclass(frozen=True, kw_only=True)
class Sparsemax(Entmax):
    """`argmin_p |p - x / s|^2` over p in the simplex: `Entmax` at alpha 2.

    Exactly the indicator of the largest entry once the gap is s.

    Args:
        alpha: 2.

    Examples:
        >>> import torch
        >>> Sparsemax().apply(torch.tensor([-2.0, 0.0, 0.5]), softness=1.0)
        tensor([0.0000, 0.2500, 0.7500])
    """

    alpha: float = 2.0

    def __post_init__(self) -> None:
        if self.alpha != 2:
            raise ValueError(f"sparsemax has alpha 2, got {self.alpha!r}; use entmax")


@method(
    "soft-argmax",
    "mean index under sparsemax or entmax weights",
    needs="argmax",
    claims=(*BOUNDED, Claimed(name="vertex-exact", when="alpha > 1")),
    variants=("soft-argmax[alpha=[2.0,1.5]]",),
    references=("Levine et al., Journal of Machine Learning Research 17, 2016",),
    order=140,
)
@dataclass(frozen=True, kw_only=True)
class SoftArgmax(EntmaxWeights, ArgmaxOperator):
    """`sum_i i p_i` with weights `p = entmax_alpha(x / s)`, entries counted from 0.

    If two entries compete, the index lies between them. The error is largest if the largest entry is first (or last)
    and the m farthest others are tied at the gap, for the worst m.

    Examples:
        >>> import torch
        >>> x = torch.tensor([1.0, 2.0, 0.5, -1.0, 1.9])
        >>> round(SoftArgmax().apply(x, softness=0.2).item(), 4)
        2.1237
    """

    alpha: float = 1.0

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return distance_bound(n, gap / softness, self.alpha)


@method(
    "cumax",
    "running sums of sparsemax or entmax weights",
    needs="cumax",
    claims=(*BOUNDED, "unit-interval", Claimed(name="vertex-exact", when="alpha > 1")),
    references=("Shen et al. 2019, arXiv:1810.09536",),
    variants=("cumax[alpha=[2.0,1.5]]",),
    order=150,
)
@dataclass(frozen=True, kw_only=True)
class Cumax(EntmaxWeights, CumaxOperator):
    """`sum_{j <= i} p_j` with weights `p = entmax_alpha(x / s)`: a soft step from 0 to 1 at the largest entry.

    ON-LSTM uses it with softmax at s = 1. The sum of its absolute errors is sum_i p_i |i - argmax|, so it has the bound
    of `SoftArgmax`.

    Examples:
        >>> import torch
        >>> Cumax().apply(torch.tensor([0.5, 1.0, -1.0, 2.0]), softness=1.0)
        tensor([0.1360, 0.3602, 0.3905, 1.0000])
    """

    alpha: float = 1.0

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return distance_bound(n, gap / softness, self.alpha)


def distance_bound(n: int, gap: float, alpha: float) -> Bound:
    """Largest mean distance of the index from the argmax, over the number m of entries tied at the gap."""
    # The m farthest of n - 1 entries are (2 n - m - 1) / 2 away on average.
    losses = (rival_weight(m + 1, gap, alpha) * (2 * n - m - 1) / 2 for m in range(1, n))
    return Bound(0.0, max(losses, default=0.0))
