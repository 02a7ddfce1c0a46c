"""Soft sorting with networks of relaxed comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from scipy import special
from torch import Tensor

from kexue_bench import Claimed, method

from ..contract import Bound
from ..kinds import MatrixSortOperator

NETWORKS = ("odd-even", "bitonic")


@method(
    "sorting-network",
    "odd-even or bitonic network of soft comparisons",
    needs="sort",
    claims=(
        "hard-limit",
        "gradient-matches-value",
        "row-stochastic",
        "doubly-stochastic",
        Claimed(name="error-bound", when="law != 'logistic-phi'"),
    ),
    references=("Petersen et al. 2021, arXiv:2105.04019", "Petersen et al. 2022, arXiv:2203.09630"),
    variants=("sorting-network[law=[logistic,cauchy,optimal]]", "sorting-network[network=bitonic]"),
    order=190,
)
@dataclass(frozen=True, kw_only=True)
class SortingNetwork(MatrixSortOperator):
    """min(a, b) becomes f a + (1 - f) b with f = F((b - a) / s), in every comparison of the network.

    The steepness in the papers is 1 / s. The soft permutation is a product of such mixtures, hence doubly stochastic. F
    is a distribution function: `logistic`; `logistic-phi`, of the difference divided by its absolute value to the power
    1/4; `cauchy` and `optimal`, which make every comparison monotone; `normal`. The error of a comparison is at most c
    s, c the largest t F(-t), and sorting is a non-expansion, so the error of a network with L layers is at most L c s.
    L is n (odd-even) or log2 n (log2 n + 1) / 2 (bitonic, n a power of 2).

    Args:
        network: `odd-even` or `bitonic`.
        law: the distribution F, `logistic`, `logistic-phi`, `cauchy`, `optimal` or `normal`.

    Examples:
        >>> import torch
        >>> x = torch.tensor([0.3, 1.2, -0.5, 0.9])
        >>> SortingNetwork(law="cauchy").apply(x, softness=0.1)
        tensor([-0.4048,  0.3316,  0.8672,  1.1060])
    """

    network: str = "odd-even"
    law: str = "cauchy"

    def __post_init__(self) -> None:
        for field, known in (("network", NETWORKS), ("law", tuple(_LAWS))):
            if getattr(self, field) not in known:
                raise ValueError(f"{field} must be one of {', '.join(known)}, got {getattr(self, field)!r}")

    def order(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `SortOperator.order`."""
        return self._run(x, x.unsqueeze(-1), softness).squeeze(-1)

    def permutation(self, x: Tensor, softness: float | Tensor) -> Tensor:
        """See `MatrixSortOperator.permutation`."""
        eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
        return self._run(x, eye.expand(*x.shape, -1), softness)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound | None:
        """See `Smoothing.bound`; None for `logistic-phi`, whose softness is in another unit."""
        worst = _WORST.get(self.law)
        return None if worst is None else Bound(0.0, len(layers(n, self.network)) * worst * softness)

    def _run(self, x: Tensor, carried: Tensor, softness: float | Tensor) -> Tensor:
        """The network with comparisons of `x` [*batch, n], applied to every column of `carried` [*batch, n, m]."""
        carried = torch.cat([x.unsqueeze(-1), carried], -1)
        for low, high in layers(x.shape[-1], self.network):
            a, b = carried[..., list(low), :], carried[..., list(high), :]
            f = _LAWS[self.law](b[..., :1] - a[..., :1], softness)
            places = torch.tensor([*low, *high], device=x.device)
            carried = carried.index_copy(-2, places, torch.cat([b + f * (a - b), a + f * (b - a)], -2))
        return carried[..., 1:]


@cache
def layers(n: int, network: str) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Pairs of places (for the smaller entry, for the larger entry) compared at once, layer by layer.

    Raises:
        ValueError: the size of a bitonic network is not a power of 2.
    """
    if network == "odd-even":
        return tuple((tuple(range(i % 2, n - 1, 2)), tuple(range(i % 2 + 1, n, 2))) for i in range(n) if n > 1 + i % 2)
    if n & (n - 1):
        raise ValueError(f"a bitonic network sorts a power of 2 entries, got {n}; use odd-even, or pad with infinities")
    out = []
    block = 2
    while block <= n:
        step = block // 2
        while step:
            pairs = [(i, i | step) for i in range(n) if not i & step]
            # Blocks alternate in direction, except in the last merge.
            turned = [(j, i) if i & block else (i, j) for i, j in pairs]
            out.append((tuple(i for i, _ in turned), tuple(j for _, j in turned)))
            step //= 2
        block *= 2
    return tuple(out)


def _phi(d: Tensor, s: float | Tensor) -> Tensor:
    # Clamped where the sigmoid is 0 or 1, to avoid infinity times a slope of zero.
    return torch.sigmoid((d / s).clamp(-1e30, 1e30) / (d.abs() + 1e-10).pow(0.25))


def _optimal(d: Tensor, s: float | Tensor) -> Tensor:
    t = d / s
    tail = 1 - 1 / (16 * t.abs().clamp(min=0.25))
    return torch.where(t.abs() <= 0.25, t + 0.5, torch.where(t > 0, tail, 1 - tail))


_LAWS: dict[str, Callable[[Tensor, float | Tensor], Tensor]] = {
    "logistic": lambda d, s: torch.sigmoid(d / s),
    "logistic-phi": _phi,
    "cauchy": lambda d, s: torch.atan(d / s) / math.pi + 0.5,
    "optimal": _optimal,
    "normal": lambda d, s: torch.special.ndtr(d / s),
}
_WORST = {
    "logistic": float(special.lambertw(1 / math.e).real),
    "cauchy": 1 / math.pi,
    "optimal": 1 / 16,
    "normal": 0.16997120747990369,
}
