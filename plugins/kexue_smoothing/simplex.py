"""Maps from scores to the simplex, and the corresponding entropies.

All take `u` [*batch, n] with largest entry 0 in every row; minus infinity has weight 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_BISECTIONS = 60


@dataclass(frozen=True, kw_only=True)
class EntmaxWeights:
    """Base of the operators with entmax weights.

    Args:
        alpha: order of entmax, >= 1: 1 is softmax, 1.5 entmax, 2 sparsemax.
    """

    alpha: float

    def __post_init__(self) -> None:
        if not self.alpha >= 1:
            raise ValueError(f"alpha must be >= 1 (1: softmax, 1.5: entmax, 2: sparsemax), got {self.alpha!r}")

    def weights(self, u: Tensor) -> Tensor:
        """Weights of scores `u` with largest entry 0, [*batch, n]."""
        return entmax(u, self.alpha)


def softmax(u: Tensor) -> Tensor:
    """Weights proportional to exp u."""
    return torch.softmax(u, -1)


def sparsemax(u: Tensor) -> Tensor:
    """Euclidean projection of u onto the simplex (Martins and Astudillo 2016, arXiv:1602.02068)."""
    # At or below -1 the weight is 0 for any other entries.
    u = u.clamp(min=-2)
    with torch.no_grad():
        ordered = u.sort(-1, descending=True).values
        count = torch.arange(1, u.shape[-1] + 1, dtype=u.dtype, device=u.device)
        size = (1 + count * ordered > ordered.cumsum(-1)).sum(-1, keepdim=True)
        support = u >= ordered.gather(-1, (size - 1).clamp(min=0))
    held = support.sum(-1, keepdim=True)
    threshold = ((u * support).sum(-1, keepdim=True) - 1) / held
    return torch.relu(u - threshold) * support


def entmax15(u: Tensor) -> Tensor:
    """Entmax with alpha 3/2: [u / 2 - tau]_+^2 (Peters, Niculae and Martins 2019, arXiv:1905.05702)."""
    half = u.clamp(min=-4) / 2
    with torch.no_grad():
        ordered = half.sort(-1, descending=True).values
        count = torch.arange(1, u.shape[-1] + 1, dtype=u.dtype, device=u.device)
        mean = ordered.cumsum(-1) / count
        spread = (ordered.square().cumsum(-1) - count * mean.square()).clamp(min=0)
        threshold = mean - ((1 - spread).clamp(min=0) / count).sqrt()
        size = (threshold <= ordered).sum(-1, keepdim=True)
        support = half >= ordered.gather(-1, (size - 1).clamp(min=0))
    held = support.sum(-1, keepdim=True)
    mean = (half * support).sum(-1, keepdim=True) / held
    spread = ((half - mean).square() * support).sum(-1, keepdim=True)
    threshold = mean - ((1 - spread) / held).sqrt()
    return torch.relu(half - threshold).square() * support


def entmax(u: Tensor, alpha: float) -> Tensor:
    """Entmax for any alpha > 1, [(alpha - 1) u - tau]_+^(1 / (alpha - 1)), tau by bisection; softmax for alpha 1."""
    if alpha == 1:
        return softmax(u)
    if alpha == 1.5:
        return entmax15(u)
    if alpha == 2:
        return sparsemax(u)
    power = 1 / (alpha - 1)
    v = (alpha - 1) * u.clamp(min=-2 * power)
    with torch.no_grad():
        low = torch.full_like(v[..., :1], -1.0)
        width = torch.full_like(low, 1.0)
        for _ in range(_BISECTIONS):
            width = width / 2
            total = (v - low - width).clamp(min=0).pow(power).sum(-1, keepdim=True)
            low = torch.where(total >= 1, low + width, low)
        active = v > low
        # dp / dv of each entry; the derivative of tau follows by the implicit function theorem.
        slope = torch.where(active, v - low, 1).pow(power - 1) * active
        share = slope / slope.sum(-1, keepdim=True)
    threshold = low + (share * (v - v.detach())).sum(-1, keepdim=True)
    p = torch.where(active, v - threshold, 1).pow(power) * active
    return p / p.detach().sum(-1, keepdim=True)


def entropy(p: Tensor, alpha: float) -> Tensor:
    """Tsallis entropy (1 - sum p^alpha) / (alpha (alpha - 1)), Shannon entropy in nats for alpha 1; [*batch]."""
    if alpha == 1:
        return torch.special.entr(p).sum(-1)
    return (1 - p.pow(alpha).sum(-1)) / (alpha * (alpha - 1))


def rival_weight(n: int, gap: float, alpha: float) -> float:
    """Total weight of n - 1 entries that all lie `gap` below the largest: the maximum for the given gap."""
    if n == 1:
        return 0.0
    if alpha == 1:
        e = (n - 1) * math.exp(-gap)
        return e / (1 + e)
    if gap * (alpha - 1) >= 1:
        return 0.0
    if alpha == 2:
        return (1 - 1 / n) * (1 - gap)
    power, low, high = 1 / (alpha - 1), 0.0, 1 / n
    for _ in range(_BISECTIONS):
        # q, the weight of one of them: (1 - (n - 1) q)^(alpha - 1) - q^(alpha - 1) = (alpha - 1) gap.
        q = (low + high) / 2
        apart = (1 - (n - 1) * q) ** (1 / power) - q ** (1 / power)
        low, high = (q, high) if apart > gap / power else (low, q)
    return (n - 1) * (low + high) / 2
