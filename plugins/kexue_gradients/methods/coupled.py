"""A class as the leaf of a binary tree of bits, and coupled pairs of classes: shared by two methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from kexue_gradients.contract import Distribution, GradSample, Objective
from kexue_gradients.laws import below, in_dtype

if TYPE_CHECKING:
    from torch import Tensor

    from kexue_bench.lab.noise import Noise

# 1 - 2 p at a common node of two leaves that part is at least 1/3, up to rounding; where they do not part it may be 0,
# and the estimate is 0 whatever its value.
_LEAST_LEFT = 0.3


class Tree(Protocol):
    """K - 1 inner nodes over K leaves, each a bit that is 1 to the right; one tree for all variables, or one for each.

    Nothing here is larger than the nodes: a matrix of nodes by leaves would cost K^2 in time and memory.
    """

    def logits(self, logits: Tensor) -> Tensor:
        """Logit of going right at each node, `[..., K - 1]`, from those of the leaves, `[..., K]`."""
        ...

    def descend(self, bits: Tensor) -> tuple[Tensor, Tensor]:
        """The leaf that node bits `[..., K - 1]` lead to, one-hot `[..., K]`, and the nodes on the way, 1 at each."""
        ...

    def onto_logits(self, a: Tensor, gradient: Tensor) -> Tensor:
        """A gradient with respect to the node logits a, `[..., K - 1]`, as one with respect to those of the leaves.

        From the root down, `T' = (1 - p) T - g` to the left and `T' = p T + g` to the right; a leaf's T is its
        gradient.
        """
        ...


def coupled_estimate(
    tree: Tree, distribution: Distribution, objective: Objective, noise: Noise, repeats: int
) -> GradSample:
    """DisARM on the node bits of a tree, conditioned on the two leaves alone.

    With the antithetic pair x, x' of leaves and node bits b, b' of probability p = sigmoid(a), the gradient with
    respect to the node logits a is `1/2 (f(x) - f(x'))` times `(b - b') sigmoid(|a|)` at nodes that both pass, `b - p`
    at those that only x passes, `p - b'` at those that only x' passes, and 0 elsewhere.

    Args:
        tree: nodes over the classes.
        distribution: classes, `[*batch, L, K]`.
        objective: f, evaluated twice per repeat.
        noise: drawn from once.
        repeats: R.
    """
    logits = distribution.logits
    a = tree.logits(logits)
    p = torch.sigmoid(a)
    # The noise of classes has one number for each of them, one more than there are nodes.
    u = in_dtype(noise, logits.dtype).uniform(repeats, *logits.shape)[..., 1:]
    bits, other_bits = below(u, p), below(1 - u, p)
    pair, (passed, other_passed) = tree.descend(torch.stack([bits, other_bits]))
    value = objective.value(pair.flatten(0, 1)).unflatten(0, (2, repeats))
    f, f_antithetic = value.detach()
    both = passed * other_passed
    weights = both * (bits - other_bits) * torch.sigmoid(a.abs())
    weights = weights + (passed - both) * (bits - p) - (other_passed - both) * (other_bits - p)
    gradient = tree.onto_logits(a, distribution.expand((f - f_antithetic) / 2) * weights)
    return GradSample(gradient=gradient, value=value.mean(0))


def weighted_estimate(
    tree: Tree, distribution: Distribution, objective: Objective, noise: Noise, repeats: int
) -> GradSample:
    """RLOO with two draws on the antithetic pair of leaves, weighted as if they were independent.

    `1/2 (f(x) - f(x')) w (x - x')`, w for each variable the product of the probabilities of its two classes over that
    of the pair: for leaves that part at node i, after m < i common ones, `(1 - p_i) prod_m (1 - p_m)^2 / (1 - 2 p_m)`.

    Args:
        tree: a stick, its classes in ascending order of their logits, so that p <= 1/3 wherever two classes or more
            follow; in any other order some pairs of classes never occur, and no weight corrects for that.
        distribution: classes, `[*batch, L, K]`.
        objective: f, evaluated twice per repeat.
        noise: drawn from once.
        repeats: R.
    """
    logits = distribution.logits
    p = torch.sigmoid(tree.logits(logits))
    u = in_dtype(noise, logits.dtype).uniform(repeats, *logits.shape)[..., 1:]
    bits, other_bits = below(u, p), below(1 - u, p)
    pair, (passed, other_passed) = tree.descend(torch.stack([bits, other_bits]))
    value = objective.value(pair.flatten(0, 1)).unflatten(0, (2, repeats))
    f, f_antithetic = value.detach()
    parting = torch.where(bits == other_bits, (1 - p).square() / (1 - 2 * p).clamp_min(_LEAST_LEFT), 1 - p)
    weight = torch.where(passed * other_passed > 0, parting, 1.0).prod(-1, keepdim=True)
    gradient = distribution.expand((f - f_antithetic) / 2) * weight * (pair[0] - pair[1])
    return GradSample(gradient=gradient, value=value.mean(0))


def require_classes(method: str, distribution: Distribution) -> None:
    """Reject bits, which have no tree.

    Raises:
        ValueError: the distribution is over bits.
    """
    if distribution.kind != "categorical":
        raise ValueError(f"{method} couples classes, got {distribution.kind} variables; use disarm")
