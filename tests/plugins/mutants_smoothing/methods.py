"""Operators that `verify` must fail, each by the first claim that it makes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from kexue_bench import method
from kexue_smoothing.contract import Bound
from kexue_smoothing.kinds import MaxOperator, TopKOperator
from kexue_smoothing.methods.log_sum_exp import LogSumExp
from kexue_smoothing.methods.pairwise_rank import PairwiseRank
from kexue_smoothing.methods.simplex_maps import Entmax
from kexue_smoothing.methods.soft_permutations import SoftSort
from kexue_smoothing.methods.soft_relu import Swish
from kexue_smoothing.methods.sorting_network import SortingNetwork
from kexue_smoothing.methods.weighted_max import WeightedMax


@method("overflowing-logsumexp", "wrong in one way", needs="max", claims=("error-bound",))
@dataclass(frozen=True, kw_only=True)
class OverflowingLogSumExp(LogSumExp):
    """The textbook formula without its shift."""

    def apply(self, x, *, softness, dim=-1, mask=None):
        return softness * (x / softness).exp().sum(dim).log()


@method("upper-boltzmann", "wrong in one way", needs="max", claims=("upper-bound", "monotone"))
@dataclass(frozen=True, kw_only=True)
class UpperBoltzmann(WeightedMax):
    """A weighted mean, which cannot exceed the maximum, declared an upper bound and monotone."""

    alpha: float = 1.0


@method("loose-softsort", "wrong in one way", needs="sort", claims=("tight-bound", "error-bound"))
@dataclass(frozen=True, kw_only=True)
class LooseSoftSort(SoftSort):
    """A bound of s log n, which holds and is never reached."""

    def bound(self, n, gap, softness, *, x=None, k=1):
        return Bound(0.0, 2 * super().bound(n, gap, softness).high)


@method("optimistic-softsort", "wrong in one way", needs="sort", claims=("error-bound",))
@dataclass(frozen=True, kw_only=True)
class OptimisticSoftSort(SoftSort):
    """A bound for two entries, declared for all n."""

    def bound(self, n, gap, softness, *, x=None, k=1):
        return super().bound(2, gap, softness)


@method("detached-entmax", "wrong in one way", needs="one-hot", claims=("gradient-matches-value",))
@dataclass(frozen=True, kw_only=True)
class DetachedEntmax(Entmax):
    """A threshold without its own derivative."""

    alpha: float = 2.0

    def weights(self, u):
        threshold = (u - super().weights(u)).detach().amax(-1, keepdim=True)
        return torch.relu(u - threshold)


@method("slipped-iterative", "wrong in one way", needs="top-k", claims=("hard-limit", "sums-to-k"))
@dataclass(frozen=True, kw_only=True)
class SlippedIterative(TopKOperator):
    """Repeated softmax whose logarithmic mask is not divided by the softness: (.5, 0, 0, 1.5) in the limit."""

    def choose(self, u, k, softness):
        total = torch.zeros_like(u)
        for _ in range(k):
            p = torch.softmax(u, -1)
            total, u = total + p, u + torch.log1p(-p.clamp(max=1 - 1e-15))
        return total

    def bound(self, n, gap, softness, *, x=None, k=1):
        return Bound(0.0, 2.0 * k)


@method("counting-itself", "wrong in one way", needs="rank", claims=("hard-limit", "symmetric"))
@dataclass(frozen=True, kw_only=True)
class CountingItself(PairwiseRank):
    """A rank half too large: one plus all soft comparisons, its own among them."""

    def ranks(self, x, softness):
        return super().ranks(x, softness) + 0.5


@method("uncapped-top-k", "wrong in one way", needs="top-k", claims=("unit-interval", "sums-to-k"))
@dataclass(frozen=True, kw_only=True)
class UncappedTopK(TopKOperator):
    """k times softmax: sums to k, but leaves [0, 1]."""

    def choose(self, u, k, softness):
        return k * torch.softmax(u, -1)

    def bound(self, n, gap, softness, *, x=None, k=1):
        return Bound(0.0, 2.0 * k)


@method("exact-softmax", "wrong in one way", needs="one-hot", claims=("vertex-exact", "sums-to-k"))
@dataclass(frozen=True, kw_only=True)
class ExactSoftmax(Entmax):
    """Softmax declared exact at a finite gap."""

    alpha: float = 1.0

    def bound(self, n, gap, softness, *, x=None, k=1):
        return Bound(0.0, 0.0 if gap >= softness else 2.0)


@method("monotone-swish", "wrong in one way", needs="relu", claims=("monotone", "upper-bound"))
@dataclass(frozen=True, kw_only=True)
class MonotoneSwish(Swish):
    """Declared monotone and above the rectifier; it is neither."""


@method("lopsided-network", "wrong in one way", needs="sort", claims=("doubly-stochastic", "row-stochastic"))
@dataclass(frozen=True, kw_only=True)
class LopsidedNetwork(SortingNetwork):
    """A relaxed comparison that mixes only where the larger goes: rows sum to 1, columns do not."""

    network: str = "odd-even"
    law: str = "cauchy"

    def permutation(self, x, softness):
        p = super().permutation(x, softness)
        return torch.cat([p[..., :1, :].softmax(-1), p[..., 1:, :]], -2)

    def order(self, x, softness):
        return (self.permutation(x, softness) @ x.unsqueeze(-1)).squeeze(-1)


@method("first-of-all", "wrong in one way", needs="max", claims=("symmetric", "error-bound"))
@dataclass(frozen=True, kw_only=True)
class FirstOfAll(MaxOperator):
    """A soft maximum that looks at the first two entries more than at the others."""

    def above(self, row, softness):
        weights = torch.linspace(0.01, 0.0, row.below.shape[-1], dtype=row.below.dtype)
        return softness * torch.logsumexp(row.below / softness + weights, -1)

    def bound(self, n, gap, softness, *, x=None, k=1):
        return None
