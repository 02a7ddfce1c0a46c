"""Soft top-k masks: soft steps with a threshold such that they sum to k, and iterated softmax."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from kexue_bench import method

from ..contract import Bound
from ..kinds import TopKOperator
from ..words import INDICATOR

_BISECTIONS = 64


class ThresholdTopK(TopKOperator):
    """p_i = F(x_i / s - b), with b such that they sum to k: order preserving, in [0, 1].

    For a given gap between the k-th and the next entry, the sum of absolute errors is largest if all chosen entries are
    tied and all others are tied.

    Attributes:
        width: gap, in softnesses, from which on the weights are exactly the mask.
    """

    width: ClassVar[float] = math.inf

    def threshold(self, u: Tensor, k: int) -> Tensor:
        """B such that F(u - b) sums to k, by bisection; [*batch, 1]."""
        reach = math.log(u.shape[-1]) + 40
        low = torch.full_like(u[..., :1], -4 * reach)
        width = torch.full_like(low, 5 * reach)
        for _ in range(_BISECTIONS):
            width = width / 2
            enough = self.step(u - low - width).sum(-1, keepdim=True) >= k
            low = torch.where(enough, low + width, low)
        return low

    @abstractmethod
    def step(self, t: Tensor) -> Tensor:
        """F, a continuous distribution function."""

    @abstractmethod
    def slope(self, t: Tensor) -> Tensor:
        """The derivative of F."""

    def choose(self, u: Tensor, k: int, softness: float | Tensor) -> Tensor:
        """See `TopKOperator.choose`; the derivative of b by the implicit function theorem."""
        # Relative to the k-th entry, so that ties there are exact, and clamped where F is 0 or 1 in float64.
        reach = math.log(u.shape[-1]) + 40
        last, following = u.detach().topk(k + 1, -1).values[..., -2:].chunk(2, -1)
        gap = last - following
        edge = min(3 * reach, -math.log(torch.finfo(u.dtype).tiny) / 2.2)
        u = (u - last).clamp(-edge, edge)
        with torch.no_grad():
            low = self.threshold(u, k)
            # Any b in a whole interval is a solution then; in its middle no entry lies on a kink.
            low = torch.where(gap >= self.width, -(gap.clamp(max=reach) + 1) / 2, low)
        return self.step(u - _Implicit.apply(u, low, self.slope))

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        if k >= n:
            return Bound(0.0, 0.0)
        # All chosen entries at t, all others a gap below: k (1 - F(t)) = (n - k) F(t - gap); the left side decreases.
        apart = gap / softness
        low, high = -60.0 - math.log(n), 60.0 + math.log(n) + min(apart, 60.0)
        for _ in range(_BISECTIONS):
            t = (low + high) / 2
            low, high = (t, high) if k * self.tail(t) > (n - k) * self.tail(apart - t, below=True) else (low, t)
        return Bound(0.0, 2 * k * self.tail(high))

    @abstractmethod
    def tail(self, t: float, *, below: bool = False) -> float:
        """1 - F(t), or F(-t) if `below`."""


class _Implicit(torch.autograd.Function):
    """B as a function of u, where sum F(u - b) = k: its gradient, which is differentiable too, is F' over its sum."""

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, solution: Tensor, slope: Callable[[Tensor], Tensor]) -> Tensor:
        """The solution `[*batch, 1]` for entries u `[*batch, n]`."""
        return solution.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Callable[[Tensor], Tensor]], output: Tensor) -> None:
        """Keep entries and solution, the latter on the graph of the former."""
        ctx.save_for_backward(inputs[0], output)
        ctx.slope = inputs[2]

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient in u."""
        u, b = ctx.saved_tensors
        weight = ctx.slope(u - b)
        share = weight / weight.sum(-1, keepdim=True).clamp(min=torch.finfo(u.dtype).tiny)
        return upstream[0] * share, None, None


@method(
    "lapsum",
    "Laplace distribution functions that sum to k",
    needs="top-k",
    claims=INDICATOR,
    references=("Struski et al. 2025, arXiv:2503.06242",),
    order=210,
)
@dataclass(frozen=True, kw_only=True)
class LapSum(ThresholdTopK):
    """`F(x_i / s - b)`, F(t) = `exp(t) / 2` below 0 and `1 - exp(-t) / 2` above.

    Between two adjacent entries the equation for the sum is quadratic in exp(b), so b has a closed form after one sort,
    in O(n log n).

    Examples:
        >>> import torch
        >>> LapSum().apply(torch.tensor([3.0, 2.0, 1.0, 4.0]), softness=1.0, k=2)
        tensor([0.6967, 0.3033, 0.1116, 0.8884])
    """

    def step(self, t: Tensor) -> Tensor:
        """See `ThresholdTopK.step`."""
        tail = 0.5 * torch.exp(-t.abs())
        return torch.where(t < 0, tail, 1 - tail)

    def threshold(self, u: Tensor, k: int) -> Tensor:
        """See `ThresholdTopK.threshold`.

        With m entries above b, a = sum exp(y_m - y_i) over them and c = sum exp(y_i - y_m) over the others, z = exp(b -
        y_m) solves a z^2 - 2 (m - k) z = c.
        """
        y = u.sort(-1, descending=True).values
        n = y.shape[-1]
        above = torch.exp(y + torch.logcumsumexp(-y, -1))
        rest = torch.logcumsumexp(y.flip(-1), -1).flip(-1)
        below = torch.cat([torch.exp(rest[..., 1:] - y[..., :-1]), torch.zeros_like(y[..., :1])], -1)
        count = torch.arange(1, n + 1, dtype=u.dtype, device=u.device)
        # The sum of F(u - b) at b = y_m, for every m.
        sums = count - above / 2 + below / 2
        m = (sums <= k).sum(-1, keepdim=True)
        a, c, top = (part.gather(-1, (m - 1).clamp(min=0)) for part in (above, below, y))
        more = (m - k).to(u.dtype)
        root = torch.sqrt(more.square() + a * c)
        # Of two equivalent forms of the positive root the one without cancellation.
        z = torch.where(more > 0, (more + root) / a, c / (root - more).clamp(min=torch.finfo(u.dtype).tiny))
        first = rest[..., :1] - math.log(2 * k)
        return torch.where(m > 0, top + torch.log(z), first)

    def slope(self, t: Tensor) -> Tensor:
        """See `ThresholdTopK.slope`."""
        return 0.5 * torch.exp(-t.abs())

    def tail(self, t: float, *, below: bool = False) -> float:
        """See `ThresholdTopK.tail`."""
        return 0.5 * math.exp(-t) if t > 0 else 1 - 0.5 * math.exp(t)


@method(
    "logistic-top-k",
    "sigmoids that sum to k, the weights of maximum entropy",
    needs="top-k",
    claims=INDICATOR,
    references=("Amos et al. 2019, arXiv:1906.08707",),
    order=220,
)
@dataclass(frozen=True, kw_only=True)
class LogisticTopK(ThresholdTopK):
    """`sigmoid(x_i / s - b)`: the weights in [0, 1] with sum k that maximize `<p, x> + s H(p)`.

    H is the sum of binary entropies (the limited multi-label projection of the paper). At half the softness it is the
    limit of the Sinkhorn iterations of `SinkhornTopK`.

    Examples:
        >>> import torch
        >>> LogisticTopK().apply(torch.tensor([3.0, 2.0, 1.0, 4.0]), softness=1.0, k=2)
        tensor([0.6225, 0.3775, 0.1824, 0.8176])
    """

    def step(self, t: Tensor) -> Tensor:
        """See `ThresholdTopK.step`."""
        return torch.sigmoid(t)

    def slope(self, t: Tensor) -> Tensor:
        """See `ThresholdTopK.slope`."""
        return torch.sigmoid(t) * torch.sigmoid(-t)

    def tail(self, t: float, *, below: bool = False) -> float:
        """See `ThresholdTopK.tail`."""
        return 1 / (1 + math.exp(min(t, 700.0)))


@method(
    "projection-top-k",
    "Euclidean projection onto the weights that sum to k",
    needs="top-k",
    claims=(*INDICATOR, "vertex-exact"),
    references=("Wang and Lu, Projection onto the capped simplex, 2015",),
    order=230,
)
@dataclass(frozen=True, kw_only=True)
class ProjectionTopK(ThresholdTopK):
    """`F(x_i / s - b)`, F(t) = t clamped to [0, 1]: sparse, and sparsemax at k = 1.

    Exactly the mask, with zero gradient, once the gap between the k-th and the next entry is s.

    Examples:
        >>> import torch
        >>> ProjectionTopK().apply(torch.tensor([3.0, 2.0, 1.0, 4.0]), softness=2.0, k=2)
        tensor([0.7500, 0.2500, 0.0000, 1.0000])
    """

    width: ClassVar[float] = 1.0

    def step(self, t: Tensor) -> Tensor:
        """See `ThresholdTopK.step`."""
        return t.clamp(0, 1)

    def slope(self, t: Tensor) -> Tensor:
        """See `ThresholdTopK.slope`."""
        return ((t > 0) & (t < 1)).to(t.dtype)

    def tail(self, t: float, *, below: bool = False) -> float:
        """See `ThresholdTopK.tail`."""
        return min(1.0, max(0.0, -t if below else 1 - t))


@method(
    "iterative-top-k",
    "k rounds of softmax, each without the previous choices",
    needs="top-k",
    claims=("error-bound", "hard-limit", "gradient-matches-value", "sums-to-k", "symmetric"),
    references=("Xie and Ermon 2019, arXiv:1901.10517", "Plotz and Roth 2018, arXiv:1810.12575"),
    order=240,
)
@dataclass(frozen=True, kw_only=True)
class IterativeTopK(TopKOperator):
    """Sum of k weight vectors `p = softmax(a / s)`, starting from a = x, with `a <- a + log(1 - p)` after each.

    Not invariant to a common scaling of x and s, because the logarithm is dimensionless. Sums to k; single weights can
    exceed 1, so the error has no better bound than 2 k.

    Examples:
        >>> import torch
        >>> IterativeTopK().apply(torch.tensor([3.0, 2.0, 1.0, 4.0]), softness=1.0, k=2)
        tensor([0.5841, 0.2399, 0.0917, 1.0843])
    """

    def choose(self, u: Tensor, k: int, softness: float | Tensor) -> Tensor:
        """See `TopKOperator.choose`."""
        total, a = torch.zeros_like(u), u
        for _ in range(k):
            p = torch.softmax(a, -1)
            total = total + p
            best = p.detach().argmax(-1, keepdim=True)
            # 1 - p of the largest weight is the sum of the others; subtracting from 1 would cancel.
            others = torch.logsumexp(a.scatter(-1, best, -torch.inf), -1, keepdim=True)
            rest = torch.log1p(-p.scatter(-1, best, 0)).scatter(-1, best, others - torch.logsumexp(a, -1, keepdim=True))
            a = a + rest / softness
            a = a - a.detach().amax(-1, keepdim=True)
        return total

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound:
        """See `Smoothing.bound`."""
        return Bound(0.0, 2.0 * k)


@method(
    "sinkhorn-top-k",
    "entropic optimal transport to 0 and 1, by 20 Sinkhorn iterations, not to convergence",
    needs="top-k",
    claims=("hard-limit", "gradient-matches-value", "unit-interval", "symmetric"),
    references=("Xie et al. 2020, arXiv:2002.06504",),
    order=250,
)
@dataclass(frozen=True, kw_only=True)
class SinkhornTopK(TopKOperator):
    """n entries are transported to the two points y = 0 and 1, with cost `(x_i - y)^2` and regularization s.

    The plan has the form sigmoid((2 x_i - 1) / s + b), so it converges to `LogisticTopK` at softness s / 2, faster for
    larger s; after finitely many iterations the weights sum to k only approximately. The gradient is taken through the
    iterations.

    Args:
        iterations: number of update pairs, >= 1.

    Examples:
        >>> import torch
        >>> SinkhornTopK().apply(torch.tensor([3.0, 2.0, 1.0, 4.0]), softness=2.0, k=2)
        tensor([0.6225, 0.3775, 0.1824, 0.8176])
    """

    iterations: int = 20

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"iterations must be >= 1, got {self.iterations}")

    def choose(self, u: Tensor, k: int, softness: float | Tensor) -> Tensor:
        """See `TopKOperator.choose`.

        The row update is p_i = sigmoid(2 u_i - c); the column update adds to c the log-odds of the transported mass
        minus the log-odds of the required mass.
        """
        n = u.shape[-1]
        ordered = u.topk(k + 1, -1).values
        # Any start converges; the middle between the k-th and the next entry is close to the solution.
        c = ordered[..., -2:].sum(-1, keepdim=True)
        for _ in range(self.iterations):
            t = 2 * u - c
            taken = torch.logsumexp(torch.nn.functional.logsigmoid(t), -1, keepdim=True)
            left = torch.logsumexp(torch.nn.functional.logsigmoid(-t), -1, keepdim=True)
            c = c + (taken - left) - math.log(k / (n - k))
        return torch.sigmoid(2 * u - c)

    def bound(self, n: int, gap: float, softness: float, *, x: Tensor | None = None, k: int = 1) -> Bound | None:
        """None: the distance of the iterations from their limit depends on x."""
        return None
