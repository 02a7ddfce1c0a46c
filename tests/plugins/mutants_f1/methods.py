"""The mistakes. Plain classes with the three verbs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


class _Stateless:
    """Three verbs, of which a subclass writes one."""

    def init(self, targets):
        """No state."""
        return

    def loss(self, logits, targets, state=None):
        """One number a problem."""
        return self.value(logits, targets.to(logits.dtype)), state

    def probability(self, logits):
        """A sigmoid."""
        return torch.sigmoid(logits)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """For a subclass."""
        raise NotImplementedError


def _dice(p: Tensor, y: Tensor, eps: float = 0.0) -> Tensor:
    return 1 - (2 * (p * y).sum(-1) + eps) / ((p + y).sum(-1) + eps).clamp_min(1e-30)


@dataclass(frozen=True, kw_only=True)
class BatchDice(_Stateless):
    """Soft F1 of the batch, which says that batches do not matter, and that it is never below one minus F1."""

    def value(self, z, y):
        """One minus soft F1."""
        return _dice(torch.sigmoid(z), y)


@dataclass(frozen=True, kw_only=True)
class SmoothedDice(_Stateless):
    """Soft F1 with 1 added, which says that empty batches do not matter and that it is F1 at certain decisions."""

    def value(self, z, y):
        """One minus smoothed soft F1."""
        return _dice(torch.sigmoid(z), y, 1.0)


@dataclass(frozen=True, kw_only=True)
class DetachedFocal(_Stateless):
    """Focal loss without the gradient of its weight, which says that its gradient is that of its value."""

    def value(self, z, y):
        """Mean of weight times cross-entropy."""
        p = torch.sigmoid(z)
        weight = (y * (1 - p) + (1 - y) * p).square().detach()
        return (weight * functional.binary_cross_entropy_with_logits(z, y, reduction="none")).mean(-1)


@dataclass(frozen=True, kw_only=True)
class PlainEntropy(_Stateless):
    """Cross-entropy, which says that its own boundary is that of the best F1."""

    def value(self, z, y):
        """Mean cross-entropy."""
        return functional.binary_cross_entropy_with_logits(z, y, reduction="none").mean(-1)


@dataclass(frozen=True, kw_only=True)
class MixingDice(_Stateless):
    """Soft F1 whose denominator is summed over the whole stack by a forgotten axis."""

    def value(self, z, y):
        """One minus a ratio of sums over unequal axes."""
        p = torch.sigmoid(z)
        return 1 - 2 * (p * y).sum(-1) / (p + y).sum().clamp_min(1e-30)


@dataclass(frozen=True, kw_only=True)
class UnsortedLovasz(_Stateless):
    """Lovász hinge with errors in order of the logits instead of their own size; says that it bounds Jaccard."""

    def value(self, z, y):
        """Greedy weights in a wrong order."""
        errors = (1 - (2 * y - 1) * z).relu()
        order = z.argsort(dim=-1)
        errors, y = errors.gather(-1, order), y.gather(-1, order)
        total = y.sum(-1, keepdim=True)
        jaccard = 1 - (total - y.cumsum(-1)) / (total + (1 - y).cumsum(-1)).clamp_min(1e-30)
        growth = torch.cat([jaccard[..., :1], jaccard[..., 1:] - jaccard[..., :-1]], dim=-1)
        return (errors * growth).sum(-1)
