"""Random truncation of the power series of log(I + J): stopping distributions, and the chain of powers that they cut.

With T terms, p_k = P(T >= k), and a probe v, sum_{k<=T} (-1)^(k+1) v^T J^k v / (k p_k) has the mean log |det(I + J)|
for every distribution with unbounded T and every J of spectral radius rho < 1. Its variance is finite for T = certain +
geometric(p) exactly when rho^2 < 1 - p, and never for Poisson tails unless J is nilpotent: 1 / p_k then grows like k!.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from .contract import Operator
from .probes import draw, validate
from .truncation import disproved

if TYPE_CHECKING:
    from kexue_bench.lab.noise import Noise

LAWS = ("geometric", "norm", "poisson")
_GRID = 2**53
_POISSON_TERMS = 256


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """The distribution of the number T of terms.

    Args:
        law: `geometric`: T = certain + N with P(N >= j) = (1 - p)^(j - 1), j = 1, 2, ...; `norm`: the same, with p set
            from the norm of the operator by `at`; `poisson`: T = certain + N with N Poisson of mean `rate`.
        probability: p in (0, 1), for the geometric distribution; one number, or one per draw `[m]`.
        rate: mean of N, > 0, for the Poisson distribution.
        certain: number of terms that are never cut, >= 0.
    """

    law: str
    probability: float | Tensor
    rate: float
    certain: int

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise ValueError(f"stopping must be one of {', '.join(LAWS)}, got {self.law!r}")
        p = torch.as_tensor(self.probability)
        if not bool(((p > 0) & (p < 1)).all()):
            raise ValueError(f"probability must be in (0, 1), got {self.probability}")
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise ValueError(f"rate must be > 0 and finite, got {self.rate}")
        if self.certain < 0:
            raise ValueError(f"certain must be >= 0, got {self.certain}")

    @property
    def mean(self) -> float:
        """E T of the most expensive draw."""
        if self.law == "poisson":
            return self.certain + self.rate
        return self.certain + 1 / float(torch.as_tensor(self.probability).min())

    def at(self, norm: float | Tensor) -> Stopping:
        """The geometric distribution with p = 1 - norm: the variance is finite, because rho^2 <= norm^2 < norm = 1 - p.

        Raises:
            ValueError: the norm is not in (0, 1).
        """
        c = torch.as_tensor(norm)
        if not bool(((c > 0) & (c < 1)).all()):
            raise ValueError(
                f"stopping by the norm needs a norm in (0, 1), got {float(c.max()):g}; use golub-kahan-slq"
            )
        return replace(self, law="geometric", probability=1 - norm)

    def each(self, probes: int) -> Stopping:
        """The distribution for every probe of each repeat, p `[repeats]` -> `[repeats * probes]`."""
        return replace(self, probability=torch.as_tensor(self.probability).repeat_interleave(probes))

    def finite(self, radius: float) -> bool:
        """Whether the variance exists for a J of this spectral radius, 0 < radius < 1."""
        return self.law == "geometric" and radius**2 < 1 - float(torch.as_tensor(self.probability).max())

    def survival(self, terms: int) -> Tensor:
        """p_1 .. p_terms, float64, `[terms]`; `[terms, m]` if each draw has its own p."""
        j = torch.arange(1, terms + 1, dtype=torch.float64) - self.certain
        if isinstance(self.probability, Tensor):
            j = j.to(self.probability.device).unsqueeze(-1)
        if self.law == "geometric":
            return (1 - self.probability) ** (j - 1).clamp_min(0)
        # P(N >= j) as the incomplete gamma function: 1 - P(N < j) cancels to 0 from about the 20th term on.
        tail = torch.special.gammainc(j.clamp_min(1), torch.full_like(j, self.rate))
        return torch.where(j >= 1, tail, 1.0)

    def draw(self, noise: Noise, *shape: int) -> Tensor:
        """T, int64, `[*shape]`; from 53 random bits whatever the dtype of the stream, so that long tails are drawn."""
        u = (noise.integers(_GRID, *shape).double() + 0.5) / _GRID
        if self.law == "geometric":
            keep = torch.as_tensor(1 - self.probability, dtype=torch.float64, device=u.device)
            return self.certain + 1 + (u.log() / keep.log()).floor().long()
        tail = self.survival(self.certain + _POISSON_TERMS)[self.certain :].to(u.device)
        return self.certain + (u.unsqueeze(-1) < tail).sum(-1)


@dataclass(frozen=True, kw_only=True)
class Roulette:
    """Number and weights of the terms of a randomly cut power series: the common part of both roulettes.

    Args:
        probability: p of the geometric distribution, in (0, 1): P(T >= certain + j) = (1 - p)^(j - 1), j >= 1.
        certain: number of terms that are never cut, >= 0.
        probes: number m of probe vectors per repeat, >= 1, each with its own T. A repeat costs the sum of its T, on
            average m (certain + 1 / p) products (Poisson: m (certain + rate)).
        distribution: distribution of the probes, as for `power-series`.
        stopping: `geometric`; `norm`, the same with p = 1 - c, c the operator's bound of ||J||, so that the variance is
            finite; or `poisson`.
        rate: mean of T - certain under the Poisson distribution, > 0.
        bound_steps: power iterations k for c under `norm` if the operator has no bound, >= 1: 2 k - 1 products per
            repeat, and p = (1 - c) / 2, because such a c is too small.
    """

    random_cost: ClassVar[bool] = True

    probability: float = 0.1
    certain: int = 2
    probes: int = 5
    distribution: str = "rademacher"
    stopping: str = "geometric"
    rate: float = 2.0
    bound_steps: int = 4

    def __post_init__(self) -> None:
        if self.bound_steps < 1:
            raise ValueError(f"bound_steps must be >= 1, got {self.bound_steps}")
        validate(self.probes, self.distribution)
        self.law()

    def law(self) -> Stopping:
        """The distribution of T; under `norm` its p depends on the operator."""
        return Stopping(law=self.stopping, probability=self.probability, rate=self.rate, certain=self.certain)


def settled(
    law: Stopping, op: Operator, noise: Noise, *, repeats: int, probes: int, steps: int
) -> tuple[Stopping, int]:
    """The distribution with its p, and the products that a repeat spent on it.

    `norm` uses the operator's bound at no cost. Without one, each repeat estimates its own by `steps` power iterations
    on J^T J from a separate vector: 2 steps - 1 products, counted as `bounds`. Such an estimate lies below ||J||, so p
    is half of what it would allow; the estimates are unbiased for every p.
    """
    if law.law != "norm":
        return law, 0
    if op.bounds.norm is not None:
        return law.at(op.bounds.norm), 0
    v = draw(op, noise, "sphere", repeats=repeats, probes=1).mT
    with op.billing("bounds"):
        for _ in range(steps - 1):
            v = op.rmv(op.mv(v / v.norm(dim=-2, keepdim=True)))
        found = op.mv(v / v.norm(dim=-2, keepdim=True)).norm(dim=-2).double()
    # All operators of a batch are cut at the same term.
    found = found.reshape(-1, repeats).amax(0)
    return law.at((1 + found) / 2).each(probes), 2 * steps - 1


def powers(op: Operator, v: Tensor, terms: Tensor) -> Iterator[tuple[int, Tensor]]:
    """J v, J^2 v, ..., each column up to its number of terms: counts `terms.sum()` products.

    Args:
        op: a residual operator.
        v: `[*batch_shape, n, m]`.
        terms: number of powers for each column, `[m]`, in descending order.

    Yields:
        k and J^k of the leading columns of v whose number of terms is at least k.
    """
    power, lengths = v, terms.tolist()
    count = len(lengths)
    for k in range(1, lengths[0] + 1):
        while lengths[count - 1] < k:
            count -= 1
        before = power[..., :count]
        power = op.mv(before)
        # A power iteration settles: what the second half of its steps could show, their last one shows.
        if k & (k - 1) == 0:
            disproved(op, before, power)
        yield k, power


def added(total: Tensor, part: Tensor) -> Tensor:
    """The sum, if `part` has only the leading columns; out of place, so that graphs stay intact."""
    if part.shape[-1] == total.shape[-1]:
        return total + part
    return torch.cat([total[..., : part.shape[-1]] + part, total[..., part.shape[-1] :]], dim=-1)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Probes as the columns of one block, longest series first.

    Args:
        v: `[*batch_shape, n, m]`.
        terms: length of each column's series, `[m]`, descending.
        back: permutation that restores the order of the probes.
    """

    v: Tensor
    terms: Tensor
    back: Tensor

    @classmethod
    def of(cls, probes: Tensor, terms: Tensor) -> Columns:
        """From rows `[*batch_shape, m, n]` and their numbers of terms `[m]`."""
        order = terms.argsort(descending=True)
        return cls(v=probes[..., order, :].mT, terms=terms[order], back=order.argsort())

    def weights(self, stopping: Stopping) -> list[float | Tensor]:
        """(-1)^(k+1) / p_k for k = 1 .. the longest series: a number, or one per column of that length, `[m_k]`."""
        survival = stopping.survival(int(self.terms.max()))
        if survival.ndim == 1:
            return [(-1) ** k / p for k, p in enumerate(survival.tolist())]
        columns = survival[:, self.back.argsort()]
        counts = [int((self.terms > k).sum()) for k in range(len(columns))]
        return [(-1) ** k / p[:count] for k, (p, count) in enumerate(zip(columns, counts, strict=True))]


def validate_kind(op: Operator, name: str) -> None:
    """Refuse operators without a series.

    Raises:
        ValueError: the operator is not a residual one.
    """
    if op.kind != "residual":
        raise ValueError(f"{name} needs a residual operator, got an {op.kind} one; use slq")
