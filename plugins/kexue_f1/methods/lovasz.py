"""The Lovász extension of the Jaccard loss: as a hinge on logits, and on probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kexue_bench import method
from kexue_f1.base import BatchLoss


def lovasz_extension(errors: Tensor, y: Tensor) -> Tensor:
    """The Lovász extension of the Jaccard loss of misclassified items, at errors `[R, B, C]` with targets y: `[R, C]`.

    The errors, sorted from large to small, times the increments of the Jaccard loss as the items join the set of
    mistakes one by one (equations 8 and 9).
    """
    ordered, order = errors.sort(dim=1, descending=True)
    y = y.gather(1, order)
    positives = y.sum(1, keepdim=True)
    union = positives + (1 - y).cumsum(1)
    jaccard = 1 - (positives - y.cumsum(1)) / union
    growth = torch.cat([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], dim=1)
    return (ordered * growth).sum(1)


@method(
    "lovasz-hinge",
    "Lovász extension of the Jaccard loss at hinge errors",
    references=("Berman et al., arXiv:1705.08790", "Yu and Blaschko, arXiv:1512.07797"),
    claims=("gradient-matches-value", "upper-bound(jaccard)"),
    order=160,
)
@dataclass(frozen=True, kw_only=True)
class LovaszHinge(BatchLoss):
    """Lovász hinge: the Lovász extension of the Jaccard loss at the hinge errors `max(0, 1 - (2 y - 1) z)`.

    Convex in the logits and an upper bound on `1 - Jaccard`, hence on `1 - F1`. With several labels: the mean over
    labels. The loss of a batch without positives is its largest error (section 3). Targets are 0 or 1.

    Examples:
        >>> import torch
        >>> from kexue_f1 import LovaszHinge
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = LovaszHinge().loss(logits, targets)
        >>> loss.backward()
    """

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over labels, `[R]`."""
        return lovasz_extension((1 - (2 * y - 1) * z).relu(), y).mean(1)

    def probability(self, logits: Tensor) -> None:
        """None: a margin defines no probability."""
        del logits


@method(
    "lovasz-softmax",
    "Lovász extension of the Jaccard loss at errors of probabilities",
    references=("Berman et al., arXiv:1705.08790",),
    claims=("gradient-matches-value", "vertex-exact(jaccard)", "consistent", "neutral-when-empty"),
    needs="one-label",
    order=170,
)
@dataclass(frozen=True, kw_only=True)
class LovaszSoftmax(BatchLoss):
    """Lovász-softmax: the Lovász extension of the Jaccard loss at the errors `|y - p|`.

    For C classes of which one is true, p is the softmax and the loss is the mean over the classes present in the batch;
    for a binary problem, p is the sigmoid and the loss is that of the positives, 0 for a batch without any. At
    saturated p it is exactly `1 - Jaccard` (section 4).

    Raises:
        ValueError: in `loss`: there are several labels and not exactly one is true for each item.

    Examples:
        >>> import torch
        >>> from kexue_f1 import LovaszSoftmax
        >>> logits, targets = torch.tensor([2.0, -0.9, 0.5], requires_grad=True), torch.tensor([1.0, 0.0, 1.0])
        >>> loss, _ = LovaszSoftmax().loss(logits, targets)
        >>> loss.backward()
    """

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over the classes present, `[R]`."""
        if z.shape[2] == 1:
            p = torch.sigmoid(z)
        elif bool(((y == 0) | (y == 1)).all()) and bool((y.sum(2) == 1).all()):
            p = z.softmax(2)
        else:
            raise ValueError("lovasz-softmax needs one true class per item; for several labels use lovasz-hinge")
        present = (y.sum(1) > 0).to(z.dtype)
        return (lovasz_extension((y - p).abs(), y) * present).sum(1) / present.sum(1).clamp_min(1.0)

    def probability(self, logits: Tensor) -> Tensor:
        """The link: a sigmoid for `[B]` and `[R, B]`, a softmax for several classes."""
        single = logits.ndim < 3 or logits.shape[2] == 1
        return torch.sigmoid(logits) if single else logits.softmax(2)
